/*
 * POP3 words that both halves of a session share: command lines, numbers,
 * capability lists.  Pure functions.
 */
#ifndef POP3D_POP3_H
#define POP3D_POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POP3_LINE_MAX = 255,	   /* octets of a command with CRLF, RFC 2449 section 4 */
	POP3_RESPONSE_MAX = 512,   /* octets of a first line with CRLF, RFC 2449 section 4 */
	POP3_JUNK_MAX = 8192,	   /* octets without a line end before we hang up */
	POP3_SASL_LINE_MAX = 65536 /* octets of a SASL continuation, RFC 5034 section 4 */
};

/* A command line cut into words.  Points into the caller's line. */
struct pop3_command {
	char keyword[8];  /* upper case, terminated; empty: malformed */
	const char *rest; /* behind the first SP after the keyword; NULL: no SP there */
	size_t rest_len;  /* as sent, trailing blanks included */
	unsigned argc;	  /* words in rest; 0 to 3 (3: more than any command takes) */
	const char *argv[2];
	size_t arg_len[2];
};

/*
 * Parse one line without its line end.  0, or -1: malformed (empty line,
 * leading blank, control octet, 8-bit octet, keyword not of 3 or 4 letters);
 * *cmd then has an empty keyword.  Behind PASS octets above 0x7F are lawful: a
 * password is the user's, in the character set of his choice, as AUTH PLAIN
 * takes it.  RFC 1939 sections 3 and 7, RFC 2449 section 3.
 */
int pop3_parse(const char *line, size_t len, struct pop3_command *cmd);

/* Decimal digits only, no wrap.  0 and *value, or -1.  For message numbers and TOP's count. */
int pop3_number(const char *digits, size_t len, uint64_t *value);

/* What a CAPA answer depends on. */
struct pop3_capa {
	bool login_allowed; /* USER and the plaintext SASL mechanisms may be used now */
	bool stls;	    /* STLS would be accepted now */
	bool after_login;   /* TRANSACTION: IMPLEMENTATION is shown */
};

/*
 * Write the whole CAPA response with "+OK" line and terminator (RFC 2449
 * section 5).  Returns its length; at most POP3_CAPA_MAX.
 */
enum { POP3_CAPA_MAX = 512 };
size_t pop3_capa(const struct pop3_capa *c, char out[POP3_CAPA_MAX]);

#endif
