/*
 * libFuzzer: any octets as courierpop3dsizelist.
 */
#include "config.h"

#include "tests/fuzz/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	foreign_run(courier_line, NULL, data, size);
	return 0;
}
