/*
 * The forms in which an answer is printed.
 */
#ifndef POP3D_CTL_PRINT_H
#define POP3D_CTL_PRINT_H

#include <stdio.h>

#include "common/answer.h"

enum answer_form { FORM_TEXT, FORM_JSON, FORM_TCL };

/* Print text for a person: lines and tabs as they are, each other octet that is not printable
 * ASCII as \xNN. */
void text_print(FILE *out, const char *text);

/* Print it to standard output; ANSWER_NOTHING is nothing and
 * ANSWER_METRICS the text as it is, whatever the form.  Changes the text. */
void answer_print(char *text, enum answer_kind kind, enum answer_form form);

/* Print it as JSON: the schema's number and the answer with its types (pop3ctl(8)).  Changes the
 * text. */
void json_print(char *text, enum answer_kind kind);

#endif
