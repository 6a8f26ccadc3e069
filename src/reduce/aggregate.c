/*
 * aggregate.c: see aggregate.h.
 */
#include "reduce/aggregate.h"

#include "base/number.h"
#include "base/verify.h"

bool pj__read_number(pj__task *task, pj_takes takes, pj_bytes value, uint64_t *ret_value)
{
	int64_t integer;
	double real;
	if (takes == PJ_TAKES_I64 && pj__parse_i64(value, &integer)) {
		*ret_value = (uint64_t)integer;
		return true;
	}
	if (takes == PJ_TAKES_F64 && pj__parse_f64(value, &real)) {
		memcpy(ret_value, &real, sizeof real);
		return true;
	}
	pj_task_fail(&task->face, PJ_ERR_RECORD, NULL, "the value \"%.*s\" is not %s",
		     value.len < 100 ? (int)value.len : 100, value.len ? value.ptr : "",
		     takes == PJ_TAKES_I64 ? "an integer of 64 bits" : "a number");
	return false;
}

void pj__state_init(const pj_aggregate *aggregate, void *arg, void *state)
{
	PJ_VERIFY(aggregate->state_bytes <= PJ_STATE_BYTES_MAX && (uintptr_t)state % 8 == 0);
	memset(state, 0, aggregate->state_bytes);
	if (aggregate->init)
		aggregate->init(state, arg);
}

void pj__state_add_number(const pj_aggregate *aggregate, void *arg, void *state, uint64_t number)
{
	if (aggregate->takes == PJ_TAKES_F64) {
		double real;
		memcpy(&real, &number, sizeof real);
		aggregate->add_f64(state, real, arg);
	} else {
		aggregate->add_i64(state, (int64_t)number, arg);
	}
}

void pj__state_add(const pj_aggregate *aggregate, void *arg, void *state, pj_bytes value)
{
	uint64_t number;
	if (aggregate->takes == PJ_TAKES_BYTES) {
		aggregate->add_bytes(state, value, arg);
		return;
	}
	PJ_VERIFY(value.len == sizeof number);
	memcpy(&number, value.ptr, sizeof number);
	pj__state_add_number(aggregate, arg, state, number);
}

bool pj__state_merge_stored(const pj_aggregate *aggregate, void *arg, void *state, pj_bytes stored)
{
	if (pj__is_narrow(aggregate)) {
		if (stored.len > 8)
			return false;
		aggregate->add_i64(state, pj__get_narrow(stored), arg);
		return true;
	}
	if (stored.len != aggregate->state_bytes && stored.len != pj__usual_bytes(aggregate))
		return false;
	_Alignas(16) char aligned[PJ_STATE_BYTES_MAX]; /* stored states lie anywhere */
	memcpy(aligned, stored.ptr, stored.len);
	memset(aligned + stored.len, 0, aggregate->state_bytes - stored.len);
	aggregate->merge(state, aligned, arg);
	return true;
}
