/*
 * engine.c: which engine runs a job, and whether it can.
 */
#include "engine/engine.h"

#include <stdio.h>

#include "output/order.h"

static const pj__engine *find(const char *name)
{
	for (const pj__engine *const *engine = pj__engines; *engine; engine++)
		if (!strcmp((*engine)->name, name))
			return *engine;
	return NULL;
}

bool pj_engine_of(const pj_job *job, const pj_options *options, pj_engine_facts *ret_facts)
{
	const pj__engine *engine = find(pj__engine_wanted(job, options));
	if (!engine)
		return false;
	*ret_facts = (pj_engine_facts){.name = engine->name, .in_caller = engine->can & PJ__IS_IN_CALLER};
	return true;
}

static pj_status unknown(const char *name, pj_error *error)
{
	char names[256] = "";
	size_t len = 0;
	for (const pj__engine *const *engine = pj__engines; *engine && len < sizeof names; engine++)
		len += (size_t)snprintf(names + len, sizeof names - len, " %s", (*engine)->name);
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "unknown engine: %s", *name ? name : "(empty)");
	pj__error_hint(error, "one of:%s", names);
	return PJ_ERR_USAGE;
}

static pj_status refuse(const pj__engine *engine, const char *what, pj_error *error)
{
	pj__fail(error, PJ_ERR_USAGE, 0, NULL, "the engine %s cannot %s", engine->name, what);
	pj__error_hint(error, "--engine local can do it");
	return PJ_ERR_USAGE;
}

pj_status pj__engine_choose(pj__setup *setup, const pj__engine **ret_engine, pj_error *error)
{
	const pj_options *options = &setup->options;
	const pj__engine *engine = find(options->engine);
	if (!engine)
		return unknown(options->engine, error);
	if (!(engine->can & PJ__CAN_CALL) && (options->input.read || options->output.pair))
		return refuse(engine, "call functions of the calling process", error);
	if (!(engine->can & PJ__CAN_SHARE) && options->sorter == PJ_SORTER_SHARED)
		return refuse(engine, "use the sorter shared", error);
	if (!(engine->can & PJ__CAN_RANGE) && (pj__setup_has_ranges(setup) || pj__setup_reduces_whole(setup)))
		return refuse(engine, "make parts that are ranges of keys", error);
	if (!(engine->can & PJ__CAN_ORDER) && pj__is_ordered(&options->output))
		return refuse(engine, "put results in another order than that of keys", error);
	if (!(engine->can & PJ__CAN_SKIP) && options->skip_bad)
		return refuse(engine, "leave out records", error);
	if (engine->can & PJ__IS_IN_CALLER)
		setup->options.workers = 1;
	setup->stands |= !(engine->can & PJ__CAN_STREAM);
	setup->storage = engine->storage;
	*ret_engine = engine;
	return PJ_OK;
}

pj_status pj__engine_fit(const pj__engine *engine, pj__plan *plan, pj_error *error)
{
	if (plan->sources.has_stream && !(engine->can & PJ__CAN_STREAM))
		return refuse(engine, "read a stream", error);
	plan->refers &= (engine->can & PJ__CAN_REFER) != 0;
	return PJ_OK;
}
