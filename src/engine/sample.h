/*
 * sample.h: a look at the keys that a mapper will emit, so that they can be parted in equal ranges.
 *
 * The mapper is run over some pieces that are spread evenly over the input; which ones depends on the input alone. Of
 * its pairs only the beginnings of the keys are kept: of each key once for jobs that combine, else of each pair.
 *
 * Where part files are ranges the sample shows in the output, so it belongs to what the job means: every engine takes
 * the same one (engine.h).
 */
#ifndef PJ_ENGINE_SAMPLE_H
#define PJ_ENGINE_SAMPLE_H

#include "engine/local.h"

/*
 * Samples the plan's input (`given` NULL), or the first megabyte of a stream's first split. The keys, cut to
 * PJ__SPLITTER_MOST bytes, are appended to *ret_sample as records without values. User code that fails makes the sample
 * smaller, no more, and with care as without; a lack of memory, or an input that cannot be read, is an error.
 */
PJ_MUST_USE pj_status pj__sample(const pj__setup *setup, pj_bytes params, const pj__plan *plan, pj__whereabouts *here,
				 const pj__split *given, pj__care care, pj_text *ret_sample, pj_error *error);

#endif
