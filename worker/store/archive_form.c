/*
 * What a file is that is no mbox, for those who took it for one.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "worker/store/archive.h"

#define SIGNATURE(octets) (octets), sizeof(octets) - 1

static const struct form {
	const char *octets;
	size_t len;
	const char *what;
} forms[] = {
    {SIGNATURE("\x1f\x8b"), "it is compressed with gzip: decompress it first"},
    {SIGNATURE("BZh"), "it is compressed with bzip2: decompress it first"},
    {SIGNATURE("\xfd\x37zXZ"), "it is compressed with xz: decompress it first"},
    {SIGNATURE("\x28\xb5\x2f\xfd"), "it is compressed with zstd: decompress it first"},
    {SIGNATURE("PK\x03\x04"), "it is a ZIP archive: unpack it first"},
    {SIGNATURE("// <!-- <mdb:mork"), "it is an index of Thunderbird's: serve the mbox beside it"},
    {SIGNATURE("*mbx*\r\n"), "it is an mbx file of c-client's, which is not read"},
    {SIGNATURE("\001\001\001\001\n"), "it is an MMDF mailbox, which is not read"},
    {SIGNATURE("BABYL OPTIONS:"), "it is a Babyl file of Emacs, which is not read"},
    {SIGNATURE("!BDN"), "it is a PST file of Outlook, which is not read"},
    {SIGNATURE("\xcf\xad\x12\xfe"), "it is a DBX file of Outlook Express, which is not read"},
    {SIGNATURE("SQLite format 3"), "it is an SQLite database, which is not read"},
};

const char *
archive_form(int fd)
{
	char start[MBOX_LOOK];
	ssize_t n = pread(fd, start, sizeof(start), 0);

	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (n >= (ssize_t)forms[i].len && memcmp(start, forms[i].octets, forms[i].len) == 0)
			return forms[i].what;
	return n > 0 && mbox_is_field(start, (size_t)n)
		   ? "it looks like a single message: serve the directory that it is in"
		   : NULL;
}
