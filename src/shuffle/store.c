/*
 * store.c: see store.h.
 */
#include "shuffle/store.h"

#include <errno.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/fault.h"
#include "base/io.h"
#include "base/verify.h"

void pj__store_init(pj__store *store, const int *files, const uint64_t *ends, uint64_t memory_most, const char *temp)
{
	*store = (pj__store){.memory_most = memory_most, .temp = temp, .scratch = -1, .owner = getpid()};
	for (int where = 0; where < PJ__STORES; where++) {
		store->file[where] = files[where];
		store->end[where] = ends[where];
	}
	pj__packer_init(&store->packer);
}

void pj__store_fini(pj__store *store)
{
	pj__close(&store->scratch);
	pj__packer_fini(&store->packer);
}

/* A process that user code has forked, and that came back, has the same files open: it must not write to them. */
static pj_status check_owner(const pj__store *store, pj_error *error)
{
	return getpid() == store->owner
		       ? PJ_OK
		       : pj__fail(error, PJ_ERR_USER, 0, NULL, "a process forked by the user's code is no worker");
}

static pj_status no_disk(const pj__store *store, pj_error *error)
{
	int unused;
	/* It could not be opened when the run began; why, is told by trying again. */
	const pj_status status = pj__temp_file(store->temp, &unused, error);
	if (status)
		return status;
	pj__close(&unused);
	return pj__fail(error, PJ_ERR_OUTPUT, EAGAIN, store->temp,
			"there is no file for what does not fit into memory");
}

static bool fits_memory(const pj__store *store, uint64_t bytes)
{
	const uint64_t end = store->end[PJ__IN_MEMORY];
	return end <= store->memory_most && bytes <= store->memory_most - end;
}

static pj_status put_raw(pj__store *store, const char *data, size_t bytes, pj__segment *segments, uint32_t buckets,
			 uint64_t *ret_end, pj_error *error)
{
	const uint64_t start = store->end[PJ__IN_MEMORY];
	const int fd = store->file[PJ__IN_MEMORY];
	for (uint32_t i = 0; i < buckets; i++)
		segments[i].checksum = pj__segment_checksum(&segments[i], data + segments[i].offset);
	const pj_status status = pj__pwrite_checked(fd, PJ__RUN_FILE, data, bytes, (off_t)start, error);
	return status ? status : pj__run_finish(fd, start, segments, buckets, ret_end, error);
}

/* A blob ends at `end`: returns its bytes. */
static uint64_t end_blob(pj__store *store, int where, uint64_t end)
{
	const uint64_t bytes = end - store->end[where];
	PJ_VERIFY(end >= store->end[where] + PJ__FOOTER_BYTES);
	PJ_VERIFY(where != PJ__IN_MEMORY || end <= store->memory_most); /* the lease */
	store->end[where] = end;
	store->runs[where]++;
	if (where == PJ__ON_DISK)
		store->spilled += bytes;
	return bytes;
}

bool pj__store_is_in_memory(const pj__store *store, uint64_t bytes, uint32_t buckets)
{
	/*
	 * Index and footer: no more than so much for each bucket and two more. Blobs of one attempt stay in order:
	 * behind the first one on disk all others are, too.
	 */
	return !store->runs[PJ__ON_DISK] && fits_memory(store, bytes + ((uint64_t)buckets + 2) * sizeof(pj__segment));
}

/* The checksums of segments that lie in pieces. */
static void check_pieces(const struct iovec *pieces, pj__segment *segments, uint32_t buckets)
{
	XXH3_state_t hash;
	for (uint32_t b = 0; b < buckets; b++) {
		if (segments[b].bytes && pieces->iov_len == segments[b].bytes) {
			segments[b].checksum = pj__segment_checksum(&segments[b], pieces++->iov_base);
			continue;
		}
		(void)XXH3_64bits_reset(&hash);
		for (uint64_t done = 0; done < segments[b].bytes; done += pieces++->iov_len)
			(void)XXH3_64bits_update(&hash, pieces->iov_base, pieces->iov_len);
		segments[b].checksum = XXH3_64bits_digest(&hash);
	}
}

pj_status pj__store_pieces(pj__store *store, struct iovec *pieces, size_t count, pj__segment *segments,
			   uint32_t buckets, uint64_t *ret_bytes, pj_error *error)
{
	const uint64_t start = store->end[PJ__IN_MEMORY];
	const int fd = store->file[PJ__IN_MEMORY];
	uint64_t end = 0;
	PJ_VERIFY(!store->runs[PJ__ON_DISK]); /* blobs of one attempt stay in order */
	check_pieces(pieces, segments, buckets);
	pj_status status = check_owner(store, error);
	if (!status)
		status = pj__pwritev_checked(fd, PJ__RUN_FILE, pieces, count, (off_t)start, error);
	if (!status)
		status = pj__run_finish(fd, start, segments, buckets, &end, error);
	if (status)
		return status;
	*ret_bytes = end_blob(store, PJ__IN_MEMORY, end);
	return PJ_OK;
}

pj_status pj__store_blob(pj__store *store, const char *data, size_t bytes, pj__segment *segments, uint32_t buckets,
			 uint64_t *ret_bytes, pj_error *error)
{
	const int where = pj__store_is_in_memory(store, bytes, buckets) ? PJ__IN_MEMORY : PJ__ON_DISK;
	uint64_t end = 0;
	pj_status status = check_owner(store, error);
	if (status)
		return status;
	if (where == PJ__IN_MEMORY)
		status = put_raw(store, data, bytes, segments, buckets, &end, error);
	else if (store->file[where] < 0)
		status = no_disk(store, error);
	else
		status = pj__packer_put_blob(&store->packer, store->file[where], store->end[where], data, segments,
					     buckets, &end, error);
	if (!status)
		*ret_bytes = end_blob(store, where, end);
	return status;
}

pj_status pj__store_record(pj__store *store, pj_bytes key, pj_bytes value, pj__segment *segments, uint32_t bucket,
			   uint32_t buckets, uint64_t *ret_bytes, pj_error *error)
{
	const int fd = store->file[PJ__ON_DISK];
	uint64_t end = 0;
	if (fd < 0)
		return no_disk(store, error);
	pj_status status = check_owner(store, error);
	if (!status)
		status = pj__packer_put_record(&store->packer, fd, store->end[PJ__ON_DISK], key, value, segments,
					       bucket, buckets, &end, error);
	if (!status)
		*ret_bytes = end_blob(store, PJ__ON_DISK, end);
	return status;
}

static pj_status write_to(pj__store *store, int where, pj_bytes bytes, uint64_t *ret_offset, pj_error *error)
{
	if (store->file[where] < 0)
		return no_disk(store, error);
	pj_status status = check_owner(store, error);
	if (!status)
		status = pj__pwrite_checked(store->file[where], PJ__PART_FILE, bytes.ptr, bytes.len,
					    (off_t)store->end[where], error);
	if (status)
		return status;
	if (where == PJ__ON_DISK)
		PJ_FAULT("spill");
	*ret_offset = store->end[where];
	store->end[where] += bytes.len;
	if (where == PJ__ON_DISK)
		store->spilled += bytes.len;
	return PJ_OK;
}

pj_status pj__store_park(pj__store *store, pj_bytes bytes, bool stays, uint32_t *ret_where, uint64_t *ret_offset,
			 pj_error *error)
{
	*ret_where = fits_memory(store, bytes.len) ? PJ__IN_MEMORY : PJ__ON_DISK;
	const pj_status status = write_to(store, (int)*ret_where, bytes, ret_offset, error);
	if (!status && !stays && *ret_where == PJ__IN_MEMORY)
		store->end[PJ__IN_MEMORY] = *ret_offset; /* the next ones go there, too */
	return status;
}

pj_status pj__store_on_disk(pj__store *store, pj_bytes bytes, uint64_t *ret_offset, pj_error *error)
{
	return write_to(store, PJ__ON_DISK, bytes, ret_offset, error);
}

pj_status pj__store_scratch(pj__store *store, pj_error *error)
{
	const pj_status status = check_owner(store, error);
	if (status)
		return status;
	store->scratch_end = 0;
	if (store->scratch < 0)
		return pj__temp_file(store->temp, &store->scratch, error);
	if (ftruncate(store->scratch, 0))
		return pj__fail(error, PJ_ERR_OUTPUT, errno, store->temp, "cannot empty a temporary file");
	return PJ_OK;
}
