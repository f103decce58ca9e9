/*
 * FNV-1a, 64 bits: tells things apart that nobody chose in order to be alike.
 * Tables are trees (bsd/sys/tree.h), which need no hash.
 */
#ifndef POP3D_HASH_H
#define POP3D_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Go on with the hash of what came before, HASH_START at first. */
static inline uint64_t
hash_add(uint64_t hash, const void *octets, size_t len)
{
	const unsigned char *p = octets;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
