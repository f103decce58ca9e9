/*
 * The answer of the control socket: an octet for the exit status of pop3ctl, a digit; one for what
 * the text behind it is, enum answer_kind; the text.
 */
#ifndef POP3D_ANSWER_H
#define POP3D_ANSWER_H

enum answer_kind {
	ANSWER_NOTHING = '-', /* no text, or what is wrong */
	ANSWER_VALUE = 'v',   /* one line */
	ANSWER_NUMBER = 'n',  /* one line, a number */
	ANSWER_TRUTH = 'b',   /* one line, 1 or 0 */
	ANSWER_LIST = 'l',    /* one value a line */
	ANSWER_PAIRS = 'p',   /* key, TAB, value */
	ANSWER_TABLE = 't',   /* columns by TAB, the first line names them */
	ANSWER_METRICS = 'm'  /* text of another program's format, the same in every form */
};

#endif
