/*
 * test_engines.c: every engine of the library's table does what every engine must (conformance.h).
 */
#include "conformance.h"

int main(void)
{
	return run_conformance();
}
