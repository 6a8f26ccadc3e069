/*
 * engines.c: the table of engines (engine.h). A line for each; a program that is linked with the library's objects may
 * bring a table of its own, as tests/unit/test_fake_engine.c does.
 */
#include "engine/engine.h"

const pj__engine *const pj__engines[] = {
	&pj__engine_reference,
	&pj__engine_local,
	NULL,
};
