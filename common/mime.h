/* mime.h - the MIME structure of a message: sections, attachments, what is ambiguous in it.
 *
 * mime_parse() reads the message once for its structure and each part once more for its
 * attachments, both in linear time and through buffers of fixed size; bounds are LIMIT_MIME_* in
 * limits.h. A malformed message never fails: the structure says what could be read, the flags
 * say what a mail client may read in another way. Only a message that cannot be read (disk) or
 * no memory for a TNEF file yields NULL.
 *
 * Own scan for the boundaries, GMime for everything inside a field or a body: GMime's tree knows
 * where a leaf's body lies, but not where a multipart ends (it keeps the text around the parts
 * as strings in memory), skips parts without a header, has no duplicate or depth reports that
 * reach the caller with a part, and follows 1024 levels by recursion. tests/unit/test_mime_tree.c
 * holds both trees against each other.
 *
 * A struct mime belongs to one thread; different ones may be used at the same time. It borrows
 * the message, which must stay as it is until mime_free(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct message;
struct mime;

/* What makes a section ambiguous or damaged. mime_flag_name() gives the word for scripts. */
enum mime_flag {
	MIME_DUPLICATE_FIELD = 1u << 0,	   /* the same Content-* field twice; the first counts */
	MIME_DUPLICATE_BOUNDARY = 1u << 1, /* parameter given more than once */
	MIME_DUPLICATE_CHARSET = 1u << 2,
	MIME_DUPLICATE_NAME = 1u << 3,	  /* name or filename, also once plain and once RFC 2231 */
	MIME_NAMES_DIFFER = 1u << 4,	  /* two places name the file, and not the same */
	MIME_ENCODED_CONTAINER = 1u << 5, /* base64 or the like on a multipart or a message */
	MIME_UNTERMINATED = 1u << 6,	  /* multipart without its closing delimiter */
	MIME_NO_BOUNDARY = 1u << 7,	  /* multipart without a usable boundary parameter */
	MIME_NO_PARTS = 1u << 8,	  /* multipart without a single part */
	MIME_BOUNDARY_REUSED = 1u << 9,	  /* cannot be told from that of a multipart around it */
	MIME_BOUNDARY_LIKE = 1u << 10,	  /* a line begins like a delimiter and goes on */
	MIME_AFTER_CLOSE = 1u << 11,	  /* a delimiter after the closing one */
	MIME_TOO_DEEP = 1u << 12,	  /* not entered: LIMIT_MIME_DEPTH */
	MIME_TOO_MANY = 1u << 13,	  /* sections or attachments left out */
	MIME_BAD_FIELD = 1u << 14,	  /* a header line that is not a field */
	MIME_NO_BLANK_LINE = 1u << 15,	  /* the header ends without an empty line */
	MIME_BAD_TYPE = 1u << 16,	  /* Content-Type that is not just type/subtype */
	MIME_BAD_PARAMETER = 1u << 17,	  /* unclosed quote, text between parameters */
	MIME_UNKNOWN_ENCODING = 1u << 18, /* treated as not encoded */
	MIME_BAD_ENCODING = 1u << 19,	  /* foreign bytes, data after the padding, cut short */
	MIME_EIGHT_BIT_HEADER = 1u << 20, /* bytes above 127 in the header */
	MIME_NUL = 1u << 21,		  /* NUL in the section, also as %00 in a parameter */
	MIME_BARE_LINE_END = 1u << 22,	  /* CR or LF alone */
	MIME_CUT = 1u << 23,	      /* field or name longer than its limit; the rest is lost */
	MIME_NAME_CHANGED = 1u << 24, /* control characters taken out of a file name */
	MIME_FILE_DAMAGED = 1u << 25, /* UUE, BinHex or TNEF: cut short, wrong length or sum */
	MIME_NOT_UNPACKED = 1u << 26, /* too large to look into (TNEF; or too many large ones in
					 other messages now), too large a file (BinHex) */
};
#define MIME_FLAGS 27

/* One section. Offsets are into the CRLF stream of the message. [start, end) is the header of
 * the section, its empty line and its body. The line end before the next delimiter belongs to
 * the delimiter (RFC 2046 5.1.1), so a part whose body is empty ends before the line end of its
 * own empty line. The preamble and the epilogue belong to the multipart. [start, body) is the
 * header with the empty line, [body, end) the body as sent, transfer encoding not undone.
 *
 * path is the IMAP part number: "1" for a message of one part; "1", "2", "2.1" for the parts of
 * a multipart; "2.1" for the only part of the message in part 2. A multipart that is itself the
 * content of a message has no number in IMAP: its path is "TEXT", or "2.TEXT" in part 2.
 * Texts are UTF-8 and never NULL; type, subtype, disposition and encoding are lower case. */
struct mime_section {
	char *path;
	char *type, *subtype; /* text/plain without Content-Type (message/rfc822 in a digest) */
	char *type_filename;  /* name= of Content-Type */
	char *disposition;    /* "" without Content-Disposition */
	char *disposition_filename; /* filename= of Content-Disposition */
	char *encoding;		    /* as stated, known or not */
	char *charset;
	uint64_t start, body, end;
	size_t parent;	/* the section around it, counted from 1; 0 for the outermost */
	unsigned flags; /* enum mime_flag */
};

/* What an attachment is. A MIME part is one when its disposition says "attachment" or anything but
 * "inline", when it has a file name, or when it is none of text, multipart and message; also an
 * encoded message, which cannot be looked into. A multipart that holds parts never is: its parts
 * are listed. Files are looked for in text and in TNEF, not in the files found there, but for the
 * messages embedded in TNEF. */
enum mime_kind {
	MIME_PART,   /* "MIME" */
	MIME_UUE,    /* "UUE": uuencoded in the body of a message that is not MIME */
	MIME_BINHEX, /* "BINHEX": BinHex 4.0 there; the data fork is the file */
	/* "MIMEUUE", "MIMEBINHEX": in the text of a MIME part, beside which the part itself may
	 * be listed; or as the encoding of the part, and then listed once. */
	MIME_PART_UUE,
	MIME_PART_BINHEX,
	MIME_TNEF, /* "TNEF": file inside a winmail.dat, which is listed before as MIME */
};

struct mime_attachment {
	size_t section; /* counted from 1 */
	char *name;	/* UTF-8, "" when it has none; never to be used as a path */
	char *type;	/* "application/pdf", lower case */
	uint64_t size;	/* bytes decoded */
	enum mime_kind kind;
	unsigned flags; /* MIME_FILE_DAMAGED, MIME_NOT_UNPACKED, MIME_NAME_CHANGED, MIME_CUT */
};

enum mime_piece { MIME_WHOLE, MIME_HEADER, MIME_BODY };
enum mime_result {
	MIME_OK,
	MIME_ABSENT,  /* no such section or attachment */
	MIME_UNREAD,  /* the message could not be read; errno */
	MIME_STOPPED, /* the sink said so */
	MIME_PARTIAL, /* .size bytes are written; the file is larger (MIME_NOT_UNPACKED) */
};

/* Bytes out: false stops. */
struct mime_sink {
	bool (*write)(void *arg, const void *bytes, size_t n);
	void *arg;
};
/* Sink of a file descriptor: arg points to the int. False with errno when it refuses. */
bool mime_write_fd(void *fd, const void *bytes, size_t n);

/* Where a message comes from: read() works as message_read(). */
struct mime_source {
	ssize_t (*read)(void *arg, uint64_t offset, void *out, size_t n);
	void *arg;
};

/* NULL with errno when the message cannot be read. */
struct mime *mime_parse(const struct message *);
struct mime *mime_parse_source(const struct mime_source *);
void mime_free(struct mime *); /* NULL is fine */

size_t mime_section_count(const struct mime *); /* at least 1 */
const struct mime_section *mime_section(const struct mime *, size_t i);
/* By path, "" being the whole message; NULL when there is none. */
const struct mime_section *mime_find(const struct mime *, const char *path);
size_t mime_attachment_count(const struct mime *);
const struct mime_attachment *mime_attachment(const struct mime *, size_t i);
unsigned mime_flags(const struct mime *); /* of all sections and attachments */

const char *mime_flag_name(enum mime_flag); /* "duplicate-boundary"; NULL when not a flag */
const char *mime_kind_name(enum mime_kind); /* "MIMEUUE" */

/* A section as sent, or its header or its body. */
enum mime_result mime_read(
    const struct mime *, const char *path, enum mime_piece, const struct mime_sink *);
/* The decoded bytes of attachment i (from 0), exactly .size of them. */
enum mime_result mime_save(const struct mime *, size_t i, const struct mime_sink *);
