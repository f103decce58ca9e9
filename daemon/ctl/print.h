/*
 * The forms in which an answer is printed.
 */
#ifndef POP3D_CTL_PRINT_H
#define POP3D_CTL_PRINT_H

#include "common/answer.h"

enum answer_form { FORM_TEXT, FORM_JSON, FORM_TCL };

/* Print it to standard output; ANSWER_NOTHING is nothing, whatever the form.  Changes the text. */
void answer_print(char *text, enum answer_kind kind, enum answer_form form);

#endif
