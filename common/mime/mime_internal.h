/* mime_internal.h - what the mime*.c files share. Private to common/mime*.c. */
#pragma once

#include "common/mime.h"
#include "common/mime/mime_reader.h"

#include <gmime/gmime.h>

struct mime_node {
	struct mime_section s;
	GMimeContentEncoding encoding; /* DEFAULT when none or unknown */
	bool binhex;		       /* the body is a BinHex file: by encoding or by type */
	bool content;		       /* of a message: it is what the message around it holds */
	bool entered;		       /* its body was searched for sections */
	bool header_read;	       /* the header is complete and interpreted */
	unsigned depth;		       /* containers around it */
	size_t ordinal, children;      /* place among its siblings from 1; sections inside */
};

struct mime_file {
	struct mime_attachment a;
	uint64_t from; /* offset of the file in the decoded body of its section */
	uint64_t room; /* what BinHex might still yield when its section was begun */
};

struct mime {
	struct mime_source source;
	struct mime_node *nodes;
	size_t nnodes;
	struct mime_file *files;
	size_t nfiles;
	uint64_t unpacked; /* bytes that BinHex files have yielded */
	bool is_mime;	   /* the outermost header says MIME-Version or Content-Type */
};

/* mime.c: before anything of GMime is used that needs its types or charsets. Any thread. */
void mime_prepare(void);

/* mime_structure.c: fills nodes. False with errno when the source cannot be read. */
bool mime_structure(struct mime *);

/* mime_header.c: the fields of one header that say something about MIME. */
enum mime_field { FIELD_TYPE, FIELD_DISPOSITION, FIELD_ENCODING, FIELD_KEPT, FIELD_NONE };
struct mime_header {
	char *value[FIELD_KEPT]; /* unfolded; NULL when absent */
	unsigned seen;		 /* bit per entry of the table of names */
	enum mime_field current; /* of the field that is being read */
	char *text;		 /* its value so far, LIMIT_MIME_FIELD_BYTES at most */
	size_t n;
	bool any; /* a field was read */
	unsigned flags;
	unsigned items; /* parameters and encoded words decoded, of all headers so far */
};
void mime_header_reset(struct mime_header *);
void mime_header_line(struct mime_header *, const struct mime_line *);
/* The header is complete: sets type, names, encoding, flags of the node. *boundary is malloc'ed,
 * NULL unless the section is a multipart with one. */
void mime_header_apply(struct mime_header *, struct mime_node *, bool in_digest, char **boundary);
bool mime_header_is_mime(const struct mime_header *);
void mime_header_free(struct mime_header *);

/* mime_parameters.c: the parameters in a field value that are well-formed, "; a=b; c=d",
 * malloc'ed; at most *left, which is lowered. Adds what is ambiguous in all of them to *flags. */
char *mime_parameters(const char *value, unsigned *left, unsigned *flags);

/* mime_text.c: foreign text to clean UTF-8, malloc'ed: no control characters, at most
 * LIMIT_MIME_NAME_BYTES; unknown or wrong bytes become U+FFFD. charset NULL: UTF-8 when it is,
 * windows-1252 otherwise. Adds MIME_NAME_CHANGED and MIME_CUT to *flags. */
char *mime_text(const void *bytes, size_t n, const char *charset, unsigned *flags);

/* mime_attachments.c: fills files. False with errno when the source cannot be read. */
bool mime_attachments(struct mime *);
