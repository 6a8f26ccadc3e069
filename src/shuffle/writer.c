/*
 * writer.c: what the combiner and the gatherer share.
 */
#include "shuffle/writer.h"

#include "base/verify.h"

/* Counts a blob of so many bytes. */
static void count_blob(pj__writer *writer, const pj__segment *segments, uint64_t written)
{
	for (uint32_t i = 0; i < writer->partition->buckets; i++) {
		PJ_VERIFY(segments[i].pairs <= segments[i].bytes && segments[i].longest <= segments[i].bytes);
		writer->run_pairs += segments[i].pairs;
	}
	writer->run_bytes += written;
}

pj_status pj__writer_put_blob(pj__writer *writer, const char *data, size_t bytes, pj__segment *segments,
			      pj_error *error)
{
	uint64_t written = 0;
	const pj_status status =
		pj__store_blob(writer->store, data, bytes, segments, writer->partition->buckets, &written, error);
	if (!status)
		count_blob(writer, segments, written);
	return status;
}

pj_status pj__writer_put_pieces(pj__writer *writer, struct iovec *pieces, size_t count, pj__segment *segments,
				pj_error *error)
{
	uint64_t written = 0;
	const pj_status status =
		pj__store_pieces(writer->store, pieces, count, segments, writer->partition->buckets, &written, error);
	if (!status)
		count_blob(writer, segments, written);
	return status;
}

pj_status pj__writer_put_record(pj__writer *writer, pj_bytes key, pj_bytes value, pj__segment *segments,
				pj_error *error)
{
	const pj__partition *partition = writer->partition;
	uint64_t written = 0;
	writer->run_pairs++;
	const pj_status status =
		pj__store_record(writer->store, key, value, segments, pj__partition_bucket(partition, key),
				 partition->buckets, &written, error);
	writer->run_bytes += written;
	return status;
}
