#include "config.h"

#include <stdlib.h>

#include "daemon/auth/rows.h"

/* Ids come from master, one after the other: their low bits spread well. */
static struct row_bucket *
rows_bucket(const struct rows *t, conn_id id)
{
	return (struct row_bucket *)&t->bucket[id % ROWS_BUCKETS];
}

struct row *
rows_find(const struct rows *t, conn_id id)
{
	struct row *row;

	LIST_FOREACH (row, rows_bucket(t, id), sibling)
		if (row->conn.id == id)
			return row;
	return NULL;
}

struct row *
rows_set(struct rows *t, const struct msg_conn *conn)
{
	struct row *row = rows_find(t, conn->id);

	if (row == NULL) {
		row = calloc(1, sizeof(*row));
		if (row == NULL)
			return NULL;
		LIST_INSERT_HEAD(rows_bucket(t, conn->id), row, sibling);
		t->n++;
	}
	row->conn = *conn;
	return row;
}

void
rows_remove(struct rows *t, struct row *row)
{
	LIST_REMOVE(row, sibling);
	t->n--;
	free(row);
}
