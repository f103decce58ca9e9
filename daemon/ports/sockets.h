/*
 * Listening sockets: which ones the settings of a server stand for, and how to
 * get one.
 */
#ifndef POP3D_SOCKETS_H
#define POP3D_SOCKETS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "daemon/conf/conf.h"
#include "common/msg.h"

/* A walk over the sockets of a server: begin with `set` and, for port 0, `chosen`; else zeros. */
struct sockets {
	const struct conf_server *set;
	uint16_t chosen; /* stands for port 0 */
	size_t port, address, family;
};

/*
 * The next one.  *optional: this host may be without addresses of its kind
 * ("*" means what there is).  False: that was all.
 */
bool sockets_next(struct sockets *w, struct sockaddr_storage *ss, bool *optional);

/*
 * Bind and listen, non-blocking, tuned for the clients that will be accepted;
 * port 0 in *ss is replaced by the one that the kernel chose.  `beside`: even
 * where sockets that have socket_share on are bound.  The socket, or -1 with errno.
 */
int socket_listen(struct sockaddr_storage *ss, bool beside);

/* Could a socket be bound there?  Nothing listens meanwhile.  0, or -1 with errno. */
int socket_try(const struct sockaddr_storage *ss);

/* Let others be bound to its address or not (socket(7), SO_REUSEPORT). */
void socket_share(int fd, bool on);

/* Accepted sockets inherit what is set here: once, not for each client (socket(7), tcp(7)). */
void socket_tune(int fd);

uint16_t socket_port(const struct sockaddr_storage *ss);
bool socket_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* The same as messages have it; IPv4 clients of an IPv6 socket become plain IPv4. */
void socket_addr(struct msg_addr *a, const struct sockaddr_storage *ss);

#endif
