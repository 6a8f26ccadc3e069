/*
 * plan.c: see plan.h.
 */
#include "job/plan.h"

#include <stdlib.h>

#include "base/grow.h"
#include "base/io.h"
#include "codec/cut.h"
#include "input/view.h"
#include "output/order.h"

static const uint64_t kib = 1024, mib = 1024 * 1024;
enum {
	PACK_MOST = 4096, /* small files in one task */
	SPLITS_LEAST = 64,
	STREAM_LEAST = 1 << 20, /* bytes of a compressed file that is worth it */
	RANGES_MOST = 4096,
	COMBINED_MOST = 1024,
	PARTS_MOST = 256,
	WHOLE_MOST = 64
};

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static pj_status add_split(pj__plan *plan, pj__split split, pj_error *error)
{
	const pj_status status =
		pj__grow(&plan->splits, &plan->split_capacity, plan->split_count + 1, sizeof split, error);
	if (!status)
		plan->splits[plan->split_count++] = split;
	return status;
}

/* Makes a task of the splits added since the last one; none: no task. */
static pj_status end_task(pj__plan *plan, pj_error *error)
{
	const pj_status status =
		pj__grow(&plan->first, &plan->task_capacity, plan->task_count + 2, sizeof *plan->first, error);
	if (status)
		return status;
	plan->first[0] = 0;
	if (plan->split_count > plan->first[plan->task_count])
		plan->first[++plan->task_count] = plan->split_count;
	return PJ_OK;
}

pj_status pj__plan_add(pj__plan *plan, pj__split split, pj_error *error)
{
	const pj_status status = add_split(plan, split, error);
	return status ? status : end_task(plan, error);
}

static pj_status cut(pj__plan *plan, uint32_t index, uint64_t size, pj_error *error)
{
	pj_status status = end_task(plan, error);
	for (uint64_t start = 0; start < size && !status; start += plan->split_bytes) {
		const uint64_t rest = size - start;
		const uint64_t end = start + (rest < plan->split_bytes ? rest : plan->split_bytes);
		status = pj__plan_add(plan, (pj__split){.source = index, .start = start, .end = end, .limit = size},
				      error);
		if (rest <= plan->split_bytes)
			break;
	}
	return status;
}

/* A compressed source on its way to being cut. */
struct cutting {
	pj__plan *plan;
	uint32_t index;
	uint64_t start; /* place where the next split begins */
};

static pj_status cut_at(void *arg, uint64_t place, pj_error *error)
{
	struct cutting *cutting = arg;
	const pj__split split = {.source = cutting->index,
				 .start = cutting->start,
				 .end = place,
				 .limit = pj__source_end(&cutting->plan->sources.at[cutting->index])};
	cutting->start = place;
	return pj__plan_add(cutting->plan, split, error);
}

/* Hands the borders of a compressed source to `take`. */
static pj_status find_borders(pj__sources *sources, size_t index, uint64_t step_bytes, pj__codec_take *take, void *arg,
			      pj_error *error)
{
	const pj__source *source = &sources->at[index];
	int fd;
	bool owned;
	pj_status status = pj__source_open(sources, source, &fd, &owned, error);
	if (status)
		return status;
	const pj__extent extent = pj__source_extent(source, fd);
	status = pj__codec_cut(source->codec, &extent, step_bytes, take, arg, &sources->decoder_bytes, error);
	if (owned)
		pj__close(&fd); /* read only: nothing can be lost */
	return status;
}

static pj_status cut_packed(pj__plan *plan, uint32_t index, pj_error *error)
{
	struct cutting cutting = {plan, index, 0};
	const pj__source *source = &plan->sources.at[index];
	pj_status status = end_task(plan, error);
	if (!status)
		status = find_borders(&plan->sources, index, plan->split_bytes, cut_at, &cutting, error);
	return status ? status : cut_at(&cutting, pj__source_end(source), error);
}

static pj_status plan_tasks(pj__plan *plan, bool begins_empty, pj_error *error)
{
	uint64_t packed = 0;
	pj_status status = end_task(plan, error);
	if (!status && begins_empty)
		plan->first[++plan->task_count] = 0;
	for (size_t i = 0; i < plan->sources.count && !status; i++) {
		const pj__source *source = &plan->sources.at[i];
		const uint64_t size = source->size;
		if (source->kind == PJ__SOURCE_STREAM)
			break;
		if (size > plan->split_bytes) {
			status = pj__source_is_packed(source) ? cut_packed(plan, (uint32_t)i, error)
							      : cut(plan, (uint32_t)i, size, error);
			packed = 0;
			continue;
		}
		const size_t files = plan->split_count - plan->first[plan->task_count];
		if (packed + size > plan->split_bytes || files >= PACK_MOST) {
			status = end_task(plan, error);
			packed = 0;
		}
		packed += size;
		if (size && !status)
			status = add_split(plan,
					   (pj__split){.source = (uint32_t)i,
						       .end = pj__source_end(source),
						       .limit = pj__source_end(source)},
					   error);
	}
	return status ? status : end_task(plan, error);
}

/* A piece as a split; of a compressed file it has to be the whole. False: the file has no such piece. */
static bool split_of(const pj__sources *sources, pj_piece piece, pj__split *ret_split)
{
	const pj__source *const source = piece.path < sources->count ? &sources->at[piece.path] : NULL;
	if (!source || piece.start > source->size || piece.length > source->size - piece.start)
		return false;
	const bool packed = pj__source_is_packed(source);
	*ret_split = (pj__split){.source = (uint32_t)piece.path,
				 .start = piece.start,
				 .end = packed ? pj__source_end(source) : piece.start + piece.length,
				 .limit = pj__source_end(source)};
	return !packed || piece.length == source->size;
}

/* The tasks are given. */
static pj_status plan_pieces(pj__plan *plan, const pj_input *input, pj_error *error)
{
	const pj__sources *const sources = &plan->sources;
	bool good = sources->count == input->path_count;
	for (size_t i = 0; good && i < sources->count; i++)
		good = sources->at[i].kind == PJ__SOURCE_FILE;
	pj_status status = good ? end_task(plan, error) : PJ_OK;
	for (size_t i = 0; good && !status && i < input->piece_count; i++) {
		pj__split split;
		good = split_of(sources, input->pieces[i], &split);
		if (good)
			status = pj__plan_add(plan, split, error);
	}
	return good ? status
		    : pj__fail(error, PJ_ERR_USAGE, 0, NULL,
			       "a piece lies outside its file, or is only a part of a compressed one");
}

/* One border is enough to know that there are some. */
static pj_status take_first(void *arg, uint64_t place, pj_error *error)
{
	(void)place, (void)error;
	*(bool *)arg = true;
	return PJ_ERR_BUSY;
}

/*
 * Makes a stream of a compressed file that is most of the input and cannot be cut: while one process decodes it, others
 * can map. Where there are more such files, workers decode and map one each.
 */
static pj_status stream_largest(pj__sources *sources, uint64_t split_bytes, pj_error *error)
{
	for (size_t i = 0; i < sources->count; i++) {
		pj__source *source = &sources->at[i];
		bool can_be_cut = false;
		if (source->kind != PJ__SOURCE_FILE || !pj__source_is_packed(source) || source->size < STREAM_LEAST ||
		    source->size <= sources->bytes / 2)
			continue;
		const pj_status status = find_borders(sources, i, split_bytes, take_first, &can_be_cut, error);
		if (can_be_cut || status)
			return can_be_cut ? PJ_OK : status;
		source->kind = PJ__SOURCE_STREAM;
		sources->has_stream = true;
	}
	return PJ_OK;
}

/* Makes streams of the sources after the first stream, so that the order of tasks is that of the input. */
static void settle_streams(pj__sources *sources)
{
	bool after = false;
	for (size_t i = 0; i < sources->count; i++) {
		pj__source *source = &sources->at[i];
		after |= source->kind == PJ__SOURCE_STREAM;
		if (after) {
			source->kind = PJ__SOURCE_STREAM;
			source->base = source->size = 0;
		}
	}
}

const pj__split *pj__plan_first_streamed(const pj__plan *plan)
{
	const bool is = plan->split_count && plan->sources.at[plan->splits[0].source].kind == PJ__SOURCE_STREAM;
	return is ? plan->splits : NULL;
}

bool pj__plan_is_streamed(const pj__plan *plan, size_t task)
{
	return plan->sources.has_stream && plan->first[task] < plan->first[task + 1] &&
	       plan->sources.at[plan->splits[plan->first[task]].source].kind == PJ__SOURCE_STREAM;
}

void pj__plan_part(pj__plan *plan, const pj__setup *setup, bool to_folder)
{
	const uint64_t bytes = plan->sources.text_bytes, wanted = setup->options.partitions;
	const bool stream = plan->sources.has_stream;
	/*
	 * A range holds what one worker reduces at a time: in its cache, but pairs that are copied want longer streams.
	 */
	const bool combines = pj__setup_combines(setup);
	const uint64_t per_range = combines || plan->refers ? mib : 4 * mib;
	uint64_t ranges = stream ? 64 : clamp(bytes / per_range, 1, combines ? COMBINED_MOST : RANGES_MOST);
	const bool ordered = pj__is_ordered(&setup->options.output), whole = pj__setup_reduces_whole(setup);
	const bool files = (to_folder && !ordered) || whole;
	/* A program reduces slower than we do: there is to be work for all processors sooner. */
	const uint64_t per_part = whole ? 4 * mib : 64 * mib, most = whole ? WHOLE_MOST : PARTS_MOST;
	const uint64_t parts = wanted ? wanted : stream ? 8 : clamp(bytes / per_part, 1, most);
	plan->parts = 1;
	plan->files = 0;
	if (files) {
		ranges = clamp(ranges / parts, 1, RANGES_MOST);
		if ((pj__setup_has_ranges(setup) || !to_folder || ordered) && parts > 1) {
			plan->files = (uint32_t)parts;
			ranges *= parts;
		} else {
			plan->parts = (uint32_t)parts;
		}
	} else if (wanted) {
		ranges = wanted;
	}
	plan->ranges = (uint32_t)ranges;
}

pj_plan_facts pj__plan_facts(const pj__plan *plan, const pj__setup *setup)
{
	const bool parts = !setup->job.map_only;
	return (pj_plan_facts){.split_bytes = plan->split_bytes,
			       .part_files = parts ? pj__plan_files(plan) : 0,
			       .ranges = parts ? (uint64_t)plan->parts * plan->ranges : 0,
			       .in_place = plan->refers};
}

/*
 * Lines that are only put in order stay where they are, if nobody sees anything but keys, and the inputs would fit into
 * memory: then they do not have to come from the disk a second time, one by one.
 * This is where a plan depends on memory (plan.h); pj_plan_facts.in_place tells what came of it.
 */
static bool may_refer(const pj__setup *setup, const pj__sources *sources)
{
	const pj_reducer *reducer = &setup->job.reducer;
	const bool only_sorts = !setup->job.map_only && !reducer->aggregate && !reducer->general &&
				!pj__setup_order(setup) && setup->options.output.columns == PJ_KEY_ONLY;
	const bool in_runs = setup->options.sorter == PJ_SORTER_PLEX;
	return only_sorts && in_runs && sources->bytes <= setup->options.memory / 2;
}

/* A job may need a certain number of inputs. */
static pj_status check_count(const pj__plan *plan, const pj_job *job, pj_error *error)
{
	const size_t count = plan->sources.count;
	if (!job->input_count || count == job->input_count)
		return PJ_OK;
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the number of inputs is wrong");
	pj__error_reason(error, "there %s %zu", count == 1 ? "is" : "are", count);
	pj__error_hint(error, "the job %s takes %u", job->name, job->input_count);
	return PJ_ERR_USAGE;
}

static uint64_t split_bytes_for(const pj__plan *plan, const pj__setup *setup)
{
	const uint64_t given = setup->options.split_bytes;
	/* So that the start of a program does not weigh. */
	const uint64_t least = setup->job.mapper.command ? 2 * mib : 256 * kib;
	return given                      ? given
	       : plan->sources.has_stream ? 16 * mib
					  : clamp(plan->sources.bytes / SPLITS_LEAST, least, 16 * mib);
}

pj_status pj__plan_init(pj__plan *plan, const pj__setup *setup, bool to_folder, pj_error *error)
{
	*plan = (pj__plan){0};
	pj_status status = setup->storage->list_inputs(&plan->sources, &setup->options.input, error);
	if (!status)
		status = check_count(plan, &setup->job, error);
	if (!status && !setup->stands)
		status = setup->options.input.pieces
				 ? PJ_OK
				 : stream_largest(&plan->sources, split_bytes_for(plan, setup), error);
	if (!status) {
		settle_streams(&plan->sources);
		plan->split_bytes = split_bytes_for(plan, setup);
		plan->refers = may_refer(setup, &plan->sources) && pj__view_place(&plan->sources);
		pj__plan_part(plan, setup, to_folder);
		status = setup->options.input.pieces ? plan_pieces(plan, &setup->options.input, error)
						     : plan_tasks(plan, setup->job.begins_empty, error);
	}
	if (status)
		pj__plan_fini(plan);
	return status;
}

void pj__plan_fini(pj__plan *plan)
{
	pj__sources_fini(&plan->sources);
	free(plan->splits);
	free(plan->first);
	*plan = (pj__plan){0};
}
