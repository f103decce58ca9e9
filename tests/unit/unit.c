#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <CUnit/Basic.h>

#include "tests/unit/unit.h"

static unsigned int skipped;

void
unit_skip(const char *why)
{
	skipped++;
	printf("skipped: %s ... ", why);
}

static bool
suite_fill(const char *suite, const struct unit_test *tests)
{
	CU_pSuite s = CU_add_suite(suite, NULL, NULL);

	if (s == NULL)
		return false;
	/* CUnit warns of two tests of one name, but takes both; nothing else can fail but memory.
	 */
	for (; tests->name != NULL; tests++)
		if (CU_add_test(s, tests->name, tests->run) == NULL)
			return false;
	return true;
}

int
unit_run(const char *suite, const struct unit_test *tests)
{
	unsigned int ran = 0, failed = 0;

	/* A test that crashes must not take along what was printed before it. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS || !suite_fill(suite, tests)) {
		printf("%s: %s\n", suite, CU_get_error_msg());
		return EXIT_FAILURE;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (CU_basic_run_tests() == CUE_SUCCESS) {
		ran = CU_get_number_of_tests_run();
		failed = CU_get_number_of_tests_failed();
	} else {
		failed = 1;
		printf("%s: %s\n", suite, CU_get_error_msg());
	}
	CU_cleanup_registry();
	printf("%u passed, %u failed, %u skipped\n",
	       ran > failed + skipped ? ran - failed - skipped : 0, failed, skipped);
	return ran > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
