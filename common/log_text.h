/*
 * Values of a log line: names, connections and addresses.  Pure functions.
 */
#ifndef POP3D_LOG_TEXT_H
#define POP3D_LOG_TEXT_H

#include <stddef.h>

#include "common/msg.h"

/*
 * Write octets as a value of key=value: bare if they are all of
 * [A-Za-z0-9_.@:/+-], else in double quotes with \" \\ and \xNN.  Always
 * terminated; cut at a whole escape, with "..." as the value's last characters
 * (before the closing quote); empty if cap is under 6.  Returns dst, for use as an argument.
 */
const char *log_quote(char *dst, size_t cap, const char *octets, size_t len);

enum { LOG_QUOTED_SIZE = 4 * MSG_NAME_SIZE + 8 }; /* fits a quoted name */

/* A connection's id as it stands in the log; into dst of LOG_ID_SIZE. Returns dst. */
enum { LOG_ID_SIZE = 20 };
const char *log_conn(char *dst, conn_id id);

/* "192.0.2.1:1234", "[2001:db8::1]:1234", "-"; into dst of LOG_ADDR_SIZE. Returns dst. */
enum { LOG_ADDR_SIZE = 64 };
const char *log_addr(char *dst, const struct msg_addr *a);
/* The address without port or brackets. */
const char *log_host(char *dst, const struct msg_addr *a);

#endif
