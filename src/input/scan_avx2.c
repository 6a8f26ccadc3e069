/* The scanner's loops for this instruction set: see scan_kernel.h. */
#define SCAN_KERNEL pj__scan_avx2
#include "input/scan_kernel.h"
