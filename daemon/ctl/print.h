/*
 * The forms in which an answer is printed.
 */
#ifndef POP3D_CTL_PRINT_H
#define POP3D_CTL_PRINT_H

/* What an answer's lines are. */
enum answer_kind {
	ANSWER_VALUE, /* one line */
	ANSWER_LIST,  /* one value a line */
	ANSWER_PAIRS, /* key, TAB, value */
	ANSWER_TABLE  /* columns by TAB, the first line names them */
};

enum answer_form { FORM_TEXT, FORM_JSON, FORM_TCL };

/* Print it to standard output.  Changes the text. */
void answer_print(char *text, enum answer_kind kind, enum answer_form form);

#endif
