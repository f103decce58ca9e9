/*
 * Which build a program is of: a digest of the sources of all roles and of config.h, computed when
 * it is built (Makefile.am).  Roles of one build have the same messages and settings.
 */
#ifndef POP3D_BUILD_H
#define POP3D_BUILD_H

#include <stdint.h>

/* "pop3d build " and the digest's first sixteen hexadecimal digits.  Every role's program has it in
 * its file. */
extern const char build_mark[];

/* The same digits as a number: every message has it in its head. */
extern const uint64_t build_id;

/* Why a program of another build is refused. */
extern const char build_differs[];

#endif
