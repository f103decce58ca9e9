#ifndef POP3D_CTL_HOST_NAME_H
#define POP3D_CTL_HOST_NAME_H

#include <stddef.h>

/* This host's name with its domain, gethostname(2), else of getaddrinfo(3); empty: it has none. */
void host_name(char *dst, size_t cap);

#endif
