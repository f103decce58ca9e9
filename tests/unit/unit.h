/*
 * The frame of the unit tests: one program a module, one CUnit suite a program.
 */
#ifndef POP3D_TESTS_UNIT_H
#define POP3D_TESTS_UNIT_H

#include <CUnit/CUnit.h>

/* `name` begins with the number of the conformance item that it proves, if one does. */
struct unit_test {
	const char *name;
	void (*run)(void);
};

/*
 * Run the tests of a table that ends with {NULL, NULL}.  What fails is told on
 * standard output, whose last line is "N passed, N failed, N skipped" (counted
 * in test functions).  Returns main's exit status: 0 if all passed, else 1.
 */
int unit_run(const char *suite, const struct unit_test *tests);

/* Count the running test as skipped, and say why; to be followed by its return. */
void unit_skip(const char *why);

#endif
