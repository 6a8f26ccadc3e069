/*
 * test_codec.c: every format is decoded, whole or from a place in its middle, however it comes in pieces; what is cut
 * off, changed or followed by something else is refused; borders that are found are borders.
 */
#include "testing.h"

#include <lz4frame.h>
#include <lzma.h>
#include <string.h>

#include "base/text.h"
#include "codec/cut.h"
#include "codec/decoder.h"
#include "codec/encoder.h"

static const pj__codec codecs[] = {PJ__CODEC_GZIP, PJ__CODEC_BZIP2, PJ__CODEC_XZ, PJ__CODEC_ZSTD, PJ__CODEC_LZ4};
enum { CODECS = sizeof codecs / sizeof *codecs };

static pj_status put(void *arg, pj_bytes bytes, pj_error *error)
{
	(void)error;
	pj_text_bytes(arg, bytes);
	return PJ_OK;
}

/* Appends a text, compressed, as a file that stands alone. */
static void pack(pj__codec codec, pj_bytes text, pj_text *to)
{
	pj_error error;
	pj__encoder *encoder;
	const size_t room = 2 * text.len + 65536;
	size_t size = 0;
	switch (codec) {
	case PJ__CODEC_XZ: {
		char *at = pj__text_room(to, room);
		assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, (const uint8_t *)text.ptr, text.len,
							 (uint8_t *)at, &size, room),
				 LZMA_OK);
		to->len += size;
		return;
	}
	case PJ__CODEC_LZ4: {
		const LZ4F_preferences_t with = {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled}};
		char *at = pj__text_room(to, LZ4F_compressFrameBound(text.len, &with));
		to->len += LZ4F_compressFrame(at, LZ4F_compressFrameBound(text.len, &with), text.ptr, text.len, &with);
		return;
	}
	default:
		assert_good(pj__encoder_create(codec == PJ__CODEC_GZIP    ? PJ_GZ
					       : codec == PJ__CODEC_BZIP2 ? PJ_BZ2
									  : PJ_ZST,
					       put, to, &encoder, &error),
			    error);
		assert_good(pj__encoder_write(encoder, text, &error), error);
		assert_good(pj__encoder_end(encoder, &error), error);
		pj__encoder_destroy(encoder);
	}
}

/* Decodes from a place on, in pieces of `in` and `out` bytes. */
static pj_status decode(pj__codec codec, pj_bytes packed, uint64_t place, size_t in, size_t out,
			pj__decoder_limits limits, pj_text *to, pj_error *error)
{
	pj__decoder *decoder;
	char room[4096];
	pj__decoded decoded = PJ__DECODED_SOME;
	pj_bytes rest = packed;
	pj_status status = pj__decoder_create(codec, "test", limits, place, packed.ptr, packed.len, &decoder, error);
	if (status)
		return status;
	rest.ptr += pj__codec_byte(codec, place);
	rest.len -= pj__codec_byte(codec, place);
	pj__flow flow = {.in = rest.ptr};
	while (!status && decoded != PJ__DECODED_ALL) {
		if (!flow.in_len) {
			flow.in = rest.ptr;
			flow.in_len = rest.len < in ? rest.len : in;
			rest.ptr += flow.in_len;
			rest.len -= flow.in_len;
			flow.in_ends = !rest.len;
		}
		flow.out = room;
		flow.out_len = out;
		status = pj__decoder_step(decoder, &flow, &decoded, error);
		pj_text_bytes(to, (pj_bytes){room, (size_t)(flow.out - room)});
	}
	pj__decoder_destroy(decoder);
	return status;
}

static void make_text(pj_text *text, size_t lines)
{
	uint64_t random = 1;
	char line[64];
	for (size_t i = 0; i < lines; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		snprintf(line, sizeof line, "line %zu has %llu\n", i, (unsigned long long)(random >> 40));
		pj_text_bytes(text, pj_bytes_of(line));
	}
}

static void same(const pj_text *got, const pj_text *wanted)
{
	assert_int_equal(got->len, wanted->len);
	assert_memory_equal(got->data, wanted->data, wanted->len);
}

static void formats_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		pj__codec codec;
	} starts[] = {
		{"\x1f\x8b\x08 gzip", 8, PJ__CODEC_GZIP},
		{"\xfd"
		 "7zXZ\0 xz",
		 9, PJ__CODEC_XZ},
		{"\x28\xb5\x2f\xfd zstd", 9, PJ__CODEC_ZSTD},
		{"\x04\x22\x4d\x18 lz4", 8, PJ__CODEC_LZ4},
		{"BZh91AY&SY bzip2", 16, PJ__CODEC_BZIP2},
		{"BZh9\x17\x72\x45\x38\x50\x90", 10, PJ__CODEC_BZIP2},
		{"BZh91AY&SX", 10, PJ__CODEC_NONE},
		{"BZh1 is a text", 14, PJ__CODEC_NONE},
		{"\x1f\x8b", 2, PJ__CODEC_NONE},
		{"", 0, PJ__CODEC_NONE},
	};
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		assert_int_equal(pj__codec_of(starts[i].bytes, starts[i].len), starts[i].codec);
}

/* Also several files behind one another, empty ones among them, in pieces of any size. */
static void whole_files(void **state)
{
	(void)state;
	static const size_t pieces[][2] = {{1, 1}, {7, 4096}, {4096, 3}, {1 << 20, 4096}};
	pj_error error;
	for (size_t c = 0; c < CODECS; c++) {
		pj_text text = {0}, packed = {0}, twice = {0};
		make_text(&text, 300);
		pack(codecs[c], pj__text_all(&text), &packed);
		pack(codecs[c], pj_bytes_of(""), &packed);
		pack(codecs[c], pj__text_all(&text), &packed);
		pj_text_bytes(&twice, pj__text_all(&text));
		pj_text_bytes(&twice, pj__text_all(&text));
		assert_int_equal(pj__codec_of(packed.data, packed.len), codecs[c]);
		for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
			pj_text got = {0};
			assert_good(decode(codecs[c], pj__text_all(&packed), 0, pieces[i][0], pieces[i][1],
					   pj__decoder_limits_of(0), &got, &error),
				    error);
			same(&got, &twice);
			pj__text_fini(&got);
		}
		pj__text_fini(&text);
		pj__text_fini(&packed);
		pj__text_fini(&twice);
	}
}

/* Cut off anywhere, or with one bit changed: an error, or, where a bit means nothing, the same text. */
static void damage(void **state)
{
	(void)state;
	pj_error error;
	for (size_t c = 0; c < CODECS; c++) {
		pj_text text = {0}, packed = {0};
		make_text(&text, 12);
		pack(codecs[c], pj__text_all(&text), &packed);
		for (size_t len = 0; len < packed.len; len++) {
			pj_text got = {0};
			const pj_status status = decode(codecs[c], (pj_bytes){packed.data, len}, 0, 64, 4096,
							pj__decoder_limits_of(0), &got, &error);
			pj__text_fini(&got);
			/* Of nothing at all there is nothing to say. */
			assert_int_equal(status, len ? PJ_ERR_INPUT : status);
			assert_true(!status || (error.offset >= 0 && (size_t)error.offset <= len));
			assert_true(!status || !strcmp(error.file, "test"));
		}
		for (size_t bit = 0; bit < 8 * packed.len; bit++) {
			pj_text got = {0};
			packed.data[bit / 8] ^= (char)(1 << bit % 8);
			if (!decode(codecs[c], pj__text_all(&packed), 0, 64, 4096, pj__decoder_limits_of(32 << 20),
				    &got, &error) &&
			    got.len)
				same(&got, &text);
			packed.data[bit / 8] ^= (char)(1 << bit % 8);
			pj__text_fini(&got);
		}
		pj__text_fini(&text);
		pj__text_fini(&packed);
	}
}

/* Behind the last unit: zeros behind gzip, bzip2 and, by fours, xz; nothing else. */
static void what_follows(void **state)
{
	(void)state;
	pj_error error;
	for (size_t c = 0; c < CODECS; c++) {
		const bool pads = codecs[c] <= PJ__CODEC_XZ;
		pj_text text = {0}, packed = {0}, got = {0};
		make_text(&text, 12);
		pack(codecs[c], pj__text_all(&text), &packed);
		const size_t len = packed.len;
		pj_text_bytes(&packed, (pj_bytes){"\0\0\0\0\0\0\0\0", 8});
		assert_int_equal(
			decode(codecs[c], pj__text_all(&packed), 0, 64, 4096, pj__decoder_limits_of(0), &got, &error),
			pads ? PJ_OK : PJ_ERR_INPUT);
		packed.len = len;
		pj_text_bytes(&packed, pj_bytes_of("something else that is long enough"));
		assert_fails(
			decode(codecs[c], pj__text_all(&packed), 0, 64, 4096, pj__decoder_limits_of(0), &got, &error),
			PJ_ERR_INPUT, error);
		pj__text_fini(&text);
		pj__text_fini(&packed);
		pj__text_fini(&got);
	}
}

static void bombs(void **state)
{
	(void)state;
	pj_error error;
	const pj__decoder_limits limits = {0, 1 << 20, 50};
	for (size_t c = 0; c < CODECS; c++) {
		pj_text text = {0}, packed = {0}, got = {0};
		char *zeros = pj__text_room(&text, 8 << 20);
		memset(zeros, 0, 8 << 20);
		text.len = 8 << 20;
		pack(codecs[c], pj__text_all(&text), &packed);
		assert_fails(decode(codecs[c], pj__text_all(&packed), 0, 64, 4096, limits, &got, &error), PJ_ERR_INPUT,
			     error);
		assert_true(got.len < 6 << 20);
		assert_non_null(strstr(error.what, "bomb"));
		pj__text_fini(&text);
		pj__text_fini(&packed);
		pj__text_fini(&got);
	}
}

/* A frame that wants a window of 2 GiB, and an xz header that wants 1.5 GiB, get an error and no memory. */
static void memory(void **state)
{
	(void)state;
	pj_error error;
	pj_text got = {0};
	static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00\0\0\0\0\0\0\0\0\0\0\0";
	assert_true(pj__codec_memory(PJ__CODEC_ZSTD, frame, sizeof frame) > (uint64_t)1 << 31);
	assert_fails(decode(PJ__CODEC_ZSTD, (pj_bytes){frame, sizeof frame - 1}, 0, 64, 4096,
			    pj__decoder_limits_of(16 << 20), &got, &error),
		     PJ_ERR_MEMORY, error);
	pj_text text = {0}, packed = {0};
	make_text(&text, 100);
	pack(PJ__CODEC_XZ, pj__text_all(&text), &packed);
	assert_true(pj__codec_memory(PJ__CODEC_XZ, packed.data, packed.len) > 1 << 18);
	assert_fails(
		decode(PJ__CODEC_XZ, pj__text_all(&packed), 0, 64, 4096, pj__decoder_limits_of(1 << 16), &got, &error),
		PJ_ERR_MEMORY, error);
	pj__text_fini(&got);
	pj__text_fini(&text);
	pj__text_fini(&packed);
}

struct places {
	uint64_t at[256];
	size_t count;
};

static pj_status take(void *arg, uint64_t place, pj_error *error)
{
	struct places *places = arg;
	(void)error;
	assert_true(places->count < 256);
	places->at[places->count++] = place;
	return PJ_OK;
}

/* From every border on, what is decoded is an end of the text. */
static void borders(void **state)
{
	(void)state;
	pj_error error;
	for (size_t c = 0; c < CODECS; c++) {
		pj_text text = {0}, packed = {0}, all = {0};
		struct places places = {0};
		uint64_t needed = 0;
		make_text(&text, 2000);
		for (int i = 0; i < 20; i++) {
			pack(codecs[c], pj__text_all(&text), &packed);
			pj_text_bytes(&all, pj__text_all(&text));
		}
		const pj__extent extent = {.name = "test", .fd = -1, .size = packed.len, .memory = packed.data};
		assert_good(pj__codec_cut(codecs[c], &extent, packed.len / 5, take, &places, &needed, &error), error);
		assert_true(places.count >= 3 && places.count <= 5);
		for (size_t i = 0; i < places.count; i++) {
			pj_text got = {0};
			assert_good(decode(codecs[c], pj__text_all(&packed), places.at[i], 1000, 4096,
					   pj__decoder_limits_of(0), &got, &error),
				    error);
			assert_true(got.len && got.len % text.len == 0 && got.len < all.len);
			assert_memory_equal(got.data, all.data + all.len - got.len, got.len);
			pj__text_fini(&got);
		}
		pj__text_fini(&text);
		pj__text_fini(&packed);
		pj__text_fini(&all);
	}
}

/* The bytes do not depend on how the text is cut. */
static void encoders(void **state)
{
	(void)state;
	pj_error error;
	pj_text text = {0};
	make_text(&text, 20000);
	for (pj_compression kind = PJ_GZ; kind <= PJ_ZST; kind++) {
		pj_text once = {0}, piecewise = {0};
		pj__encoder *encoder;
		assert_good(pj__encoder_create(kind, put, &once, &encoder, &error), error);
		assert_good(pj__encoder_write(encoder, pj__text_all(&text), &error), error);
		assert_good(pj__encoder_end(encoder, &error), error);
		pj__encoder_destroy(encoder);
		assert_good(pj__encoder_create(kind, put, &piecewise, &encoder, &error), error);
		for (size_t done = 0, step = 1; done < text.len; done += step, step = step * 3 % 7001 + 1) {
			const size_t rest = text.len - done;
			const pj_bytes piece = {text.data + done, rest < step ? rest : step};
			assert_good(pj__encoder_write(encoder, piece, &error), error);
		}
		assert_good(pj__encoder_end(encoder, &error), error);
		pj__encoder_destroy(encoder);
		same(&piecewise, &once);
		pj__text_fini(&once);
		pj__text_fini(&piecewise);
	}
	pj__text_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_told_apart),
		cmocka_unit_test(whole_files),
		cmocka_unit_test(damage),
		cmocka_unit_test(what_follows),
		cmocka_unit_test(bombs),
		cmocka_unit_test(memory),
		cmocka_unit_test(borders),
		cmocka_unit_test(encoders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
