/*
 * isa.c: see isa.h.
 */
#include "base/isa.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Clang 14 does not know the name (Intel's manual, CPUID: leaf 7, ECX bit 9). */
static bool has_vaes(void)
{
	unsigned a, b, c = 0, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 9 & 1);
}
#endif

static pj__isa best(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("aes") || !__builtin_cpu_supports("bmi") ||
	    !__builtin_cpu_supports("bmi2"))
		return PJ__ISA_PLAIN;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") && has_vaes())
		return PJ__ISA_AVX512;
	return PJ__ISA_AVX2;
#else
	return PJ__ISA_PLAIN;
#endif
}

pj__isa pj__isa_usable(void)
{
	const pj__isa has = best();
	const char *wish = getenv("PAPJUICE_ISA");
	if (!wish)
		return has;
	const pj__isa wanted = strcmp(wish, "plain") == 0  ? PJ__ISA_PLAIN
			       : strcmp(wish, "avx2") == 0 ? PJ__ISA_AVX2
							   : has;
	return wanted < has ? wanted : has;
}
