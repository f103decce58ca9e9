/*
 * Which build a program is of: a digest of the sources of all roles and of config.h, computed when
 * it is built (Makefile.am).  Roles of one build have the same messages and settings.
 */
#ifndef POP3D_BUILD_H
#define POP3D_BUILD_H

/* "pop3d build " and sixteen hexadecimal digits.  Every role's program has it in its file. */
extern const char build_mark[];

#endif
