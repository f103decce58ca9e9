#include "config.h"

#include <stdlib.h>

#include "daemon/dispatch/rows.h"

static int
row_compare(const struct row *a, const struct row *b)
{
	return (a->conn.id > b->conn.id) - (a->conn.id < b->conn.id);
}

RB_PROTOTYPE(rows, row, by_id, row_compare)
RB_GENERATE(rows, row, by_id, row_compare)

struct row *
rows_find(struct rows *t, conn_id id)
{
	struct row wanted = {.conn.id = id};

	return RB_FIND(rows, t, &wanted);
}

struct row *
rows_set(struct rows *t, const struct msg_conn *conn)
{
	struct row *row = rows_find(t, conn->id);

	if (row == NULL) {
		row = calloc(1, sizeof(*row));
		if (row == NULL)
			return NULL;
		row->conn.id = conn->id;
		RB_INSERT(rows, t, row);
	}
	row->conn = *conn;
	return row;
}

void
rows_remove(struct rows *t, struct row *row)
{
	RB_REMOVE(rows, t, row);
	free(row);
}
