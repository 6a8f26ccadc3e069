/*
 * isa.h: which instruction set the hot loops use, chosen when the program runs.
 *
 * Each such loop stands once, in a file NAME_kernel.h that is compiled for each instruction set (NAME_plain.c,
 * NAME_avx2.c, NAME_avx512.c); the plain one is C for any processor and shows the meaning. All give the same results.
 */
#ifndef PJ_BASE_ISA_H
#define PJ_BASE_ISA_H

typedef enum pj__isa {
	PJ__ISA_PLAIN,
	PJ__ISA_AVX2,  /* AVX2, BMI1, BMI2, AES */
	PJ__ISA_AVX512 /* F, BW, VL, VBMI2, VAES beside these */
} pj__isa;

/*
 * The best that the processor has and the program was built with. The environment's PAPJUICE_ISA (plain, avx2, avx512)
 * can only lower it: for tests, and to compare.
 */
pj__isa pj__isa_usable(void);

#endif
