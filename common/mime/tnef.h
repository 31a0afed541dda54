/* tnef.h - the files inside a TNEF stream (winmail.dat, application/ms-tnef; MS-OXTNEF).
 *
 * Pure and without memory of contents: the answer says where in the given bytes each file lies.
 * Every length is checked against what is there; what does not fit ends the reading and is
 * reported, the files found until then stay. Wrong checksums are reported and nothing more.
 * Bounds: LIMIT_TNEF_FILES, LIMIT_TNEF_DEPTH. Linear time. Names are data: nothing here or in
 * its callers opens a file by them (R15). Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Text as it stands in the bytes, without terminator; s is NULL when absent. */
struct tnef_text {
	const unsigned char *s;
	size_t n;
	unsigned codepage; /* of Windows; 1200 is UTF-16, low byte first */
};

struct tnef_file {
	size_t offset, size; /* in the bytes given */
	struct tnef_text name, type;
	bool message; /* an embedded message, itself TNEF; its files follow */
};

struct tnef {
	struct tnef_file *files;
	size_t nfiles;
	bool is_tnef;	/* the signature is right */
	bool damaged;	/* ends early, or a length that cannot be */
	bool wrong_sum; /* an attribute whose checksum is wrong */
	bool too_many;	/* files left out: LIMIT_TNEF_FILES */
	bool too_deep;	/* embedded messages not entered: LIMIT_TNEF_DEPTH */
};

/* Fills *t, which need not be initialised. t->files point into bytes. */
void tnef_read(struct tnef *t, const void *bytes, size_t n);
void tnef_clear(struct tnef *t);
