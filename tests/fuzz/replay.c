/*
 * Run a fuzz target over the files named, without libFuzzer; each as it is
 * and cut short at each of its first octets.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 64, FILE_MAX = 1 << 20 };

static size_t
file_read(const char *path, uint8_t *octets)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	n = fread(octets, 1, FILE_MAX, f);
	fclose(f);
	return n;
}

int
main(int argc, char *argv[])
{
	static uint8_t octets[FILE_MAX];

	for (int i = 1; i < argc; i++) {
		size_t len = file_read(argv[i], octets);

		for (size_t cut = 0; cut <= len; cut = cut < CUTS || cut == len ? cut + 1 : len) {
			/* of the right size, so that a read behind the end is seen */
			uint8_t *exact = malloc(cut > 0 ? cut : 1);

			if (exact == NULL)
				return 1;
			memcpy(exact, octets, cut);
			(void)LLVMFuzzerTestOneInput(exact, cut);
			free(exact);
		}
	}
	return 0;
}
