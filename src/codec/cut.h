/*
 * cut.h: where a compressed input can be cut, without decoding it.
 *
 *     gzip    bgzf says in each header how long its member is; other members are searched for: what looks like a
 *             header, and is followed by data that can be decoded
 *     bzip2   blocks are searched for by their magic
 *     xz      the index at the end tells where blocks are
 *     zstd    the lengths of blocks lead from frame to frame
 *     lz4     the same
 *
 * What is found by searching may only look like a border. That does no harm, as long as who decodes up to it looks
 * whether a unit really begins there (decoder.h). The work is bounded: a search that finds nothing for long ends, as
 * does a walk of very many steps, and the rest of the input stays in one piece.
 */
#ifndef PJ_CODEC_CUT_H
#define PJ_CODEC_CUT_H

#include "codec/codec.h"
#include "codec/extent.h"

/* Takes a place where a unit begins. */
typedef pj_status pj__codec_take(void *arg, uint64_t place, pj_error *error);

/*
 * Finds places that lie at least `step_bytes` of compressed bytes apart, not the first. *memory is raised to what the
 * decoders of the units that were looked at need (codec.h). Damage is no failure: whoever decodes will meet it.
 */
PJ_MUST_USE pj_status pj__codec_cut(pj__codec codec, const pj__extent *extent, uint64_t step_bytes,
				    pj__codec_take *take, void *arg, uint64_t *memory, pj_error *error);

#endif
