/* The combiner's loops for this instruction set: see combine_kernel.h. */
#define COMBINE_KERNEL pj__combine_avx512
#include "shuffle/combine_kernel.h"
