/*
 * Which process listens at a TCP port of this host.
 */
#ifndef POP3D_PORTS_HOLDER_H
#define POP3D_PORTS_HOLDER_H

#include <stddef.h>
#include <stdint.h>

/*
 * "NAME, pid N" of the first process that has a listening socket at that port in dst (of cap
 * octets), by proc(5): /proc/net/tcp, and the descriptors of all processes, which takes root.
 * Returns dst; "" if none is found.
 */
const char *holder_of_port(uint16_t port, char *dst, size_t cap);

#endif
