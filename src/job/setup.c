/*
 * setup.c: see setup.h.
 */
#include "job/setup.h"

#include <stdlib.h>

#include "base/machine.h"

enum { LONGEST_SHARE = 4 };
static const uint64_t memory_most = UINT64_C(1) << 62;

static pj_status wrong(pj_error *error, const char *what, const char *name)
{
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the job %s %s", name ? name : "(without a name)", what);
}

static pj_status check_aggregate(const pj_aggregate *aggregate, const char *name, pj_error *error)
{
	const bool adds = aggregate->takes == PJ_TAKES_I64   ? aggregate->add_i64 != NULL
			  : aggregate->takes == PJ_TAKES_F64 ? aggregate->add_f64 != NULL
							     : aggregate->add_bytes != NULL;
	if (!aggregate->state_bytes || aggregate->state_bytes > PJ_STATE_BYTES_MAX)
		return wrong(error, "has an aggregate whose state is empty or too large", name);
	if (!adds || !aggregate->finish)
		return wrong(error, "has an aggregate without the `add` that it takes, or without `finish`", name);
	if (aggregate->exact && !aggregate->merge)
		return wrong(error, "has an exact aggregate without `merge`", name);
	if (aggregate->add_bytes && aggregate->takes != PJ_TAKES_BYTES && !aggregate->exact)
		return wrong(error, "has an aggregate that takes numbers and bytes, but is not exact", name);
	if (aggregate->usual_bytes && (aggregate->usual_bytes > aggregate->state_bytes || aggregate->init ||
				       !aggregate->exact || !aggregate->add_bytes))
		return wrong(error, "has an aggregate with `usual_bytes` that may not have it", name);
	return PJ_OK;
}

/* The fields of a job of another interface lie elsewhere: this comes before anything else of it is looked at. */
static pj_status check_interface(const pj_job *job, pj_error *error)
{
	if (job && job->abi == PJ_ABI)
		return PJ_OK;
	if (!job)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "there is no job");
	return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the job is built for interface %u, this is %u", job->abi,
			PJ_ABI);
}

/* What the reducer and the keys of a job must agree about. */
static pj_status check_keys(const pj_job *job, pj_error *error)
{
	const pj_aggregate *aggregate = job->reducer.aggregate;
	const pj_reducer *reducer = &job->reducer;
	if (reducer->combine && !reducer->general)
		return wrong(error, "has a combiner without a general reducer", job->name);
	if ((reducer->begin || reducer->end) && !reducer->general)
		return wrong(error, "has `begin` or `end` without a general reducer", job->name);
	if ((reducer->combine_begin || reducer->combine_end) && !reducer->combine)
		return wrong(error, "has `combine_begin` or `combine_end` without a combiner", job->name);
	if (aggregate && job->keys.sort_values)
		return wrong(error, "sorts the values of an aggregate, which has no use for that", job->name);
	if (aggregate && aggregate->add_bytes && aggregate->takes != PJ_TAKES_BYTES &&
	    (job->keys.compare || job->keys.group))
		return wrong(error, "has an aggregate of numbers and bytes, and an order or groups of its own for keys",
			     job->name);
	return PJ_OK;
}

static pj_status check_job(const pj_job *job, pj_error *error)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	const char *name = job->name;
	if (!name || !*name)
		return wrong(error, "must have a name", NULL);
	if (name[strspn(name, word)])
		return wrong(error, "has a name with something else than letters, digits and _.-", name);
	if (!!job->mapper.text + !!job->mapper.line + !!job->mapper.command != 1)
		return wrong(error, "must have one mapper, of text or of lines or a program", name);
	if (job->reducer.aggregate && job->reducer.general)
		return wrong(error, "has two reducers", name);
	const pj_status status = check_keys(job, error);
	if (!status && job->reducer.aggregate)
		return check_aggregate(job->reducer.aggregate, name, error);
	return status;
}

/* Calls the job's `configure`; it need not say why it refuses. */
static pj_status call_configure(pj_job *job, const char *const *values, pj_error *error)
{
	pj_error why;
	pj__fail(&why, PJ_ERR_USAGE, 0, NULL, "the job %s refuses its options",
		 job->name ? job->name : "(without a name)");
	const pj_status status = job->configure(job, values, &why);
	why.status = status;
	if (status && error)
		*error = why;
	return status;
}

static pj_status configure(pj_job *job, const char *const *values, pj_error *error)
{
	if (!job->configure || values)
		return job->configure ? call_configure(job, values, error) : PJ_OK;
	size_t count = 0;
	while (job->options && job->options[count].name)
		count++;
	const char **initial = calloc(count + 1, sizeof *initial);
	if (!initial)
		return pj__no_memory(error, (count + 1) * sizeof *initial);
	for (size_t i = 0; i < count; i++)
		initial[i] = job->options[i].initial;
	const pj_status status = call_configure(job, initial, error);
	free(initial);
	return status;
}

static bool has_input(const pj_input *input)
{
	return input->path_count || input->memory_count || input->read || input->pieces;
}

static void settle_output(pj__setup *setup)
{
	const pj_output *job = &setup->job.output;
	pj_output *output = &setup->options.output;
	if (!output->pair && !output->path) {
		output->pair = job->pair;
		output->arg = job->arg;
		output->path = job->path;
	}
	if (output->columns == PJ_KEY_AND_VALUE)
		output->columns = job->columns;
	if (output->order == PJ_BY_KEY)
		output->order = job->order;
	if (!output->limit)
		output->limit = job->limit;
	if (!output->compression)
		output->compression = job->compression;
	output->overwrite |= job->overwrite;
	output->escape |= job->escape;
}

/* What is named must be there. */
static pj_status check_input(const pj_input *input, pj_error *error)
{
	bool whole = (input->paths || !input->path_count) && (input->memory || !input->memory_count);
	for (size_t i = 0; whole && i < input->path_count; i++)
		whole = input->paths[i] != NULL;
	for (size_t i = 0; whole && i < input->memory_count; i++)
		whole = input->memory[i].ptr || !input->memory[i].len;
	if (!whole)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "an input is a null pointer");
	return has_input(input) ? PJ_OK : pj__fail(error, PJ_ERR_USAGE, 0, NULL, "there is no input");
}

static pj_status check_output(const pj_output *output, pj_error *error)
{
	if (output->columns > PJ_VALUE_ONLY)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown columns: %d", (int)output->columns);
	if (output->order > PJ_BY_VALUE_DOWN)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown order: %d", (int)output->order);
	if (output->compression > PJ_ZST)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown compression: %d", (int)output->compression);
	return PJ_OK;
}

const char *pj__engine_wanted(const pj_job *job, const pj_options *options)
{
	if (options && options->engine)
		return options->engine;
	const pj_sorter given = options ? options->sorter : PJ_SORTER_DEFAULT;
	return (given ? given : job->sorter) == PJ_SORTER_SIMPLE ? "reference" : "local";
}

/* Of keys with an order of the user's no hash knows which are equal. */
static pj_parts usual_parts(const pj_keys *keys)
{
	return keys->compare && !keys->part ? PJ_PARTS_RANGES : PJ_PARTS_HASH;
}

/* Engine, sorter and parts: three questions, of which the older spellings of a sorter answer two at once. */
static void settle_ways(pj__setup *setup)
{
	pj_options *settled = &setup->options;
	const pj_sorter given = settled->sorter, own = setup->job.sorter;
	settled->engine = pj__engine_wanted(&setup->job, settled);
	/*
	 * What the job says of parts holds, unless the options name a sorter: older spellings of it name parts as well.
	 */
	const pj_sorter told = given && given != PJ_SORTER_SIMPLE ? given : own;
	if (!settled->parts && given == PJ_SORTER_TOTAL)
		settled->parts = PJ_PARTS_RANGES;
	if (!settled->parts)
		settled->parts = setup->job.parts;
	if (!settled->parts)
		settled->parts = told == PJ_SORTER_TOTAL ? PJ_PARTS_RANGES : usual_parts(&setup->job.keys);
	settled->sorter = (given ? given : own) == PJ_SORTER_SHARED ? PJ_SORTER_SHARED : PJ_SORTER_PLEX;
}

/* What is asked for must exist, and must be able to do what the job asks of its keys. */
static pj_status check_ways(const pj__setup *setup, pj_error *error)
{
	const pj_keys *keys = &setup->job.keys;
	if (setup->job.map_only)
		return PJ_OK;
	const char *what = NULL, *hint = "--sorter plex can do it";
	if (setup->options.sorter == PJ_SORTER_SHARED && pj__setup_order(setup))
		what = "an order of its own, which the sorter shared, a dict, cannot give";
	if (pj__setup_has_ranges(setup) && keys->part) {
		what = "a partitioner, which does not make ranges";
		hint = "--parts hash can do it";
	}
	if (setup->options.parts == PJ_PARTS_HASH && usual_parts(keys) != PJ_PARTS_HASH) {
		what = "an order of its own, and a hash does not know which keys are equal in it";
		hint = "--parts ranges can do it";
	}
	if (!what)
		return PJ_OK;
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the job %s has %s", setup->job.name, what);
	pj__error_hint(error, "%s", hint);
	return PJ_ERR_USAGE;
}

static pj_status check_enums(const pj_options *options, const pj_job *job, pj_error *error)
{
	if (options->sorter > PJ_SORTER_TOTAL || job->sorter > PJ_SORTER_TOTAL)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown sorter: %d",
				(int)(options->sorter ? options->sorter : job->sorter));
	if (options->parts > PJ_PARTS_RANGES || job->parts > PJ_PARTS_RANGES)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown kind of parts: %d",
				(int)(options->parts ? options->parts : job->parts));
	return PJ_OK;
}

static pj_status settle(pj__setup *setup, pj_error *error)
{
	pj_options *settled = &setup->options;
	pj_status status = check_job(&setup->job, error);
	if (status)
		return status;
	settle_output(setup);
	if (!has_input(&settled->input))
		settled->input = setup->job.input;
	status = check_input(&settled->input, error);
	if (!status)
		status = check_output(&settled->output, error);
	if (status)
		return status;
	status = check_enums(settled, &setup->job, error);
	if (status)
		return status;
	settle_ways(setup);
	status = check_ways(setup, error);
	if (status)
		return status;
	if (!settled->workers)
		settled->workers = pj__processors();
	if (settled->workers > PJ_WORKERS_MAX)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%u workers are more than %d", settled->workers,
				PJ_WORKERS_MAX);
	if (settled->partitions > PJ_PARTITIONS_MAX)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "%llu partitions are more than %d",
				(unsigned long long)settled->partitions, PJ_PARTITIONS_MAX);
	if (settled->memory > memory_most)
		return pj__fail(error, PJ_ERR_USAGE, 0, NULL, "a memory budget of %llu bytes is more than 2^62",
				(unsigned long long)settled->memory);
	if (!settled->memory) {
		setup->available = pj__memory_available();
		const uint64_t half = setup->available / 2;
		settled->memory = half < memory_most ? half : memory_most;
	}
	if (!settled->attempts)
		settled->attempts = PJ_ATTEMPTS_USUAL;
	if (!settled->max_record)
		settled->max_record = PJ_MAX_RECORD_USUAL;
	return PJ_OK;
}

pj_status pj__setup_init(pj__setup *setup, const pj_job *job, const pj_options *options, pj_error *error)
{
	pj_status status = check_interface(job, error);
	if (status)
		return status;
	*setup = (pj__setup){.job = *job, .storage = &pj__storage_files};
	if (options)
		setup->options = *options;
	status = configure(&setup->job, setup->options.values, error);
	if (status)
		return status;
	status = settle(setup, error);
	if (!status)
		status = pj__commands_create(&setup->job, setup->options.memory / LONGEST_SHARE,
					     setup->options.timeout_ms, &setup->commands, error);
	if (status)
		pj__setup_fini(setup);
	return status;
}

void pj__setup_fini(pj__setup *setup)
{
	pj__commands_destroy(setup->commands);
	setup->commands = NULL;
	if (setup->job.release)
		setup->job.release(&setup->job);
}

/* The real job must be right, and what its description said. */
static pj_status check_loaded(const pj_job *job, const pj_job *described, pj_error *error)
{
	const pj_status status = check_job(job, error);
	if (status)
		return status;
	const pj_aggregate *now = job->reducer.aggregate, *told = described->reducer.aggregate;
	if (job->map_only != described->map_only || !now != !told || (now && now->exact != told->exact) ||
	    !job->reducer.general != !described->reducer.general || !job->reducer.begin != !described->reducer.begin ||
	    !job->reducer.end != !described->reducer.end || !job->keys.compare != !described->keys.compare ||
	    !job->keys.group != !described->keys.group || !job->keys.part != !described->keys.part ||
	    job->keys.sort_values != described->keys.sort_values)
		return pj__fail(error, PJ_ERR_USER, 0, NULL, "the plug-in's job %s is not the one it described",
				described->name);
	return PJ_OK;
}

pj_status pj__setup_load(pj__setup *setup, pj_error *error)
{
	const pj_job described = setup->job;
	if (!described.load)
		return PJ_OK;
	const pj_job *real = NULL;
	pj_error why;
	pj__fail(&why, PJ_ERR_USER, 0, NULL, "cannot load the job %s", described.name);
	pj_status status = described.load(described.load_arg, &real, &why);
	if (!status && !real)
		status = PJ_ERR_USER;
	why.status = status;
	if (status && error)
		*error = why;
	if (!status)
		status = check_interface(real, error);
	if (status)
		return status;
	setup->job = *real;
	status = configure(&setup->job, setup->options.values, error);
	if (!status) {
		status = check_loaded(&setup->job, &described, error);
		if (status)
			pj__setup_fini(setup);
	}
	if (status)
		setup->job = described;
	return status;
}

const pj_keys *pj__setup_order(const pj__setup *setup)
{
	const pj_keys *keys = &setup->job.keys;
	return keys->compare || keys->group || keys->sort_values ? keys : NULL;
}

const pj_keys *pj__setup_keys(const pj__setup *setup)
{
	return setup->job.keys.part ? &setup->job.keys : pj__setup_order(setup);
}

bool pj__setup_combines(const pj__setup *setup)
{
	const pj_aggregate *aggregate = setup->job.reducer.aggregate;
	/* Keys that are not the same bytes, but equal, must keep the plan order: it tells which is the first. */
	return !setup->job.map_only && aggregate && aggregate->exact && !setup->job.keys.compare &&
	       !setup->job.keys.group;
}
