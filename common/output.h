/*
 * What a program prints for its caller: lost output is a failure.
 */
#ifndef POP3D_OUTPUT_H
#define POP3D_OUTPUT_H

/*
 * From now on the program, whose name is borrowed, ends with status 1 in place of 0, and the reason
 * on standard error, if standard output has not taken all that was printed there: a full disk, a
 * reader that has gone.  By exit(3) or at the end of main(); on_exit(3).
 */
void output_watch(const char *program);

#endif
