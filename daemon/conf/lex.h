/*
 * The words of a configuration file, one after the other.
 */
#ifndef POP3D_CONF_LEX_H
#define POP3D_CONF_LEX_H

#include "daemon/conf/conf_priv.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD, /* unquoted or quoted: the text is the value */
	TOKEN_BAD,  /* a word with a fault, which was told */
	TOKEN_EQUAL,
	TOKEN_COMMA,
	TOKEN_OPEN,
	TOKEN_CLOSE
};

struct token {
	enum token_kind kind;
	int line;
	const char *text; /* as long as the lexer's text */
};

struct lexer {
	struct conf_faults *faults;
	struct conf_place at; /* the file, and the line that is being read */
	char *text;	      /* ends with NUL; words are cut out of it in place */
	size_t next;
	char cut; /* the octet that the NUL behind an unquoted word has replaced, or NUL */
	struct token token; /* the current one */
};

/*
 * Begin with the first token of a text, which the lexer changes and which has
 * room for a NUL at text[len].  A byte order mark (UTF-8) is passed over.  0, or
 * -1: a fault was told, the text is not one.
 */
int lex_begin(struct lexer *x, struct conf_faults *faults, const char *path, char *text,
	      size_t len);

/* Go to the next token. */
void lex_next(struct lexer *x);

#endif
