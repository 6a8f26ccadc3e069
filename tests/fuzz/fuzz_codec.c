/*
 * fuzz_codec.c: any bytes as a compressed input: decoding them ends, in text or an error, within its room; looking for
 * borders ends, and from any of them a decoder can begin.
 *
 *     input    format (1 byte, 0: by the magic), bytes read at a time (1 byte), bytes
 */
#include <stdlib.h>

#include "codec/cut.h"
#include "codec/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1000, TEXT_MOST = 1 << 20 };

#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

static void decode(pj__codec codec, const char *bytes, size_t size, size_t step, uint64_t place)
{
	const pj__decoder_limits limits = {16 << 20, 1 << 18, 100};
	pj__decoder *decoder;
	pj_error error;
	char room[ROOM];
	if (pj__decoder_create(codec, "fuzz", limits, place, bytes, size, &decoder, &error))
		return;
	size_t at = (size_t)pj__codec_byte(codec, place), text = 0;
	pj__decoded decoded = PJ__DECODED_SOME;
	pj__flow flow = {.in = bytes};
	while (decoded != PJ__DECODED_ALL && text < TEXT_MOST) {
		if (!flow.in_len) {
			flow.in = bytes + at;
			flow.in_len = size - at < step ? size - at : step;
			at += flow.in_len;
			flow.in_ends = at == size;
		}
		flow.out = room;
		flow.out_len = ROOM;
		if (pj__decoder_step(decoder, &flow, &decoded, &error))
			break;
		must(flow.out >= room && flow.out <= room + ROOM && flow.out_len == ROOM - (size_t)(flow.out - room));
		must(pj__codec_byte(codec, pj__decoder_place(decoder)) <= size);
		text += (size_t)(flow.out - room);
	}
	pj__decoder_destroy(decoder);
}

struct input {
	pj__codec codec;
	const char *bytes;
	size_t size, step, found;
	uint64_t last;
};

static pj_status take(void *arg, uint64_t place, pj_error *error)
{
	struct input *input = arg;
	(void)error;
	must(place > input->last && pj__codec_byte(input->codec, place) < input->size);
	input->last = place;
	if (input->found++ < 4)
		decode(input->codec, input->bytes, input->size, input->step, place);
	return PJ_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct input input = {.bytes = (const char *)data + 2, .size = size - 2, .step = (size_t)data[1] + 1};
	const pj__extent extent = {.name = "fuzz", .fd = -1, .size = input.size, .memory = input.bytes};
	uint64_t memory = 0;
	input.codec = data[0] % 6 ? (pj__codec)(data[0] % 6) : pj__codec_of(input.bytes, input.size);
	if (input.codec == PJ__CODEC_NONE)
		return 0;
	(void)pj__codec_memory(input.codec, input.bytes, input.size);
	decode(input.codec, input.bytes, input.size, input.step, 0);
	(void)!pj__codec_cut(input.codec, &extent, 16, take, &input, &memory, NULL);
	return 0;
}
