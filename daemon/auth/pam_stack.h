/*
 * What a PAM service's lines for one phase come to: whom they let in, whatever their modules say
 * (pam.conf(5), the actions of "[value=action ...]").  Nothing is asked of a module here.
 */
#ifndef POP3D_AUTH_PAM_STACK_H
#define POP3D_AUTH_PAM_STACK_H

#include <stdbool.h>
#include <stddef.h>

enum { PAM_STACK_MAX = 64 /* lines; a longer stack is not judged */ };

/* What a line's module says. */
enum pam_says { PAM_SAYS_EITHER, PAM_SAYS_YES, PAM_SAYS_NO };

struct pam_stack_line {
	char *where;	    /* "/etc/pam.d/pop3d:3" */
	char *control;	    /* "required", "[success=1 default=ignore]"; "" begins a substack */
	char *module;	    /* "pam_unix.so nullok" */
	unsigned level;	    /* of substacks around it */
	enum pam_says says; /* set by whoever knows */
};

struct pam_stack {
	struct pam_stack_line line[PAM_STACK_MAX];
	size_t n;
	bool unknown; /* it could not be noted whole */
};

/* Note a line, with copies of the texts; pam_stack_free() frees them. */
void pam_stack_add(struct pam_stack *s, const char *where, const char *control, const char *module,
		   unsigned level);
void pam_stack_free(struct pam_stack *s);

/* The name of the line's module, without its folder and arguments, in dst (cap octets). */
const char *pam_stack_module(const struct pam_stack_line *l, char *dst, size_t cap);

/* The modules that look at a password, each with a space before it, in dst (cap octets). */
const char *pam_stack_judges(const struct pam_stack *s, char *dst, size_t cap);

/* Let `says` of each line be what its module says to everybody; else either. */
void pam_stack_suppose(struct pam_stack *s);

/* Can it come to a yes, as far as `says` of its lines leaves that open?  True if it is not known.
 */
bool pam_stack_may_pass(const struct pam_stack *s);

/*
 * Log what the lines for that phase of the service get wrong: they let nobody in, or
 * not those whom one of their modules lets in; and if it `authenticates`, they let people in for
 * whom no module has looked at a password.  0; -1: they keep everybody out.
 */
int pam_stack_judge(struct pam_stack *s, const char *service, const char *phase,
		    bool authenticates);

#endif
