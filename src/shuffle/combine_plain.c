/* The combiner's loops for this instruction set: see combine_kernel.h. */
#define COMBINE_KERNEL pj__combine_plain
#include "shuffle/combine_kernel.h"
