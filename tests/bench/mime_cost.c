/* mime_cost - what the MIME structure of large messages costs: seconds and memory for 1, 10 and
 * 50 MB of ordinary mail and of mail made to be slow. A cost that grows faster than the message,
 * or memory that grows with it (but for TNEF, which is held while it is listed), is a fault.
 *
 *     mime_cost            # all kinds
 *     mime_cost base64     # one of them
 *
 * The messages are made while they are read, so the memory shown is the parser's own. */
#include "common/mime.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct kind {
	const char *name, *before, *each;
};

#define MULTIPART "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
#define BINARY "Content-Type: application/x; name=x\r\nContent-Transfer-Encoding: "
/* a file of 4 GB, and runs of 255 */
#define BINHEX \
	"(This file must be converted with BinHex 4.0)\r\n:!Q*[!&4&@&4dG(Kd!!$rrrrr!!!!!\"L%\r\n"

static const struct kind kinds[] = {
    {"text", MULTIPART "--b\r\n\r\n",
	"The quick brown fox jumps over the lazy dog, and again.\r\n"},
    {"base64", BINARY "base64\r\n\r\n",
	"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5kIGFnYWluLiAg\r\n"},
    {"quoted", BINARY "quoted-printable\r\n\r\n", "=C3=A4 and =C3=B6 in a line of text =\r\n"},
    {"uue", "\r\nbegin 644 x\r\n",
	"M5&AE('%U:6-K(&)R;W=N(&9O>\"!J=6UP<R!O=F5R('1H92!L87IY(&1O9RP@\r\n"},
    {"parts", MULTIPART, "--b\r\nContent-Type: image/png; name=x.png\r\n\r\nx\r\n"},
    {"empty-parts", MULTIPART, "--b\r\n"},
    {"empty-lines", MULTIPART "--b\r\n\r\n",
	"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"},
    {"dashes", MULTIPART, "--\r\n--\r\n--\r\n--\r\n--\r\n--\r\n--\r\n--\r\n"},
    {"one-line", MULTIPART "--b\r\n\r\n", "all of it in one line, all of it in one line, "},
    {"one-field", "Content-Type: text/plain;\r\n", " a=b;\r\n"},
    {"comments", "Content-Type: text/plain;\r\n", " (("},
    {"messages", "", "Content-Type: message/rfc822\r\n\r\n"},
    {"words", MULTIPART,
	"--b\r\nContent-Type: a/b; name=\"=?iso-8859-2?q?a?= =?koi8-r?q?a?= =?cp1252?q?a?=\"\r\n\r\n"},
    {"begins", "\r\n", "begin 644 x\r\n#86)C\r\n`\r\nend\r\n"},
    {"binhex", "\r\n" BINHEX, "N2q3rj$rN2q3rj$rN2q3rj$rN2q3rj$r\r\n"},
    {"tnef", BINARY "base64\r\nContent-Disposition: inline; filename=winmail.dat\r\n\r\neJ8+IgEA",
	"AgKQBgAAAAAAAAACD4AGAAIAAAB4ePAA"},
};

struct endless {
	const struct kind *kind;
	uint64_t n;
};

static ssize_t read_endless(void *arg, uint64_t offset, void *out, size_t n)
{
	const struct endless *e = arg;
	size_t before = strlen(e->kind->before), each = strlen(e->kind->each), at;
	char *p = out;

	if (offset >= e->n)
		return 0;
	if (n > e->n - offset)
		n = (size_t)(e->n - offset);
	for (size_t i = 0; i < n && offset + i < before; i++)
		*p++ = e->kind->before[offset + i];
	at =
	    p - (char *)out < (ssize_t)n ? (offset + (size_t)(p - (char *)out) - before) % each : 0;
	while (p < (char *)out + n) {
		size_t left = (size_t)((char *)out + n - p), piece = each - at;

		piece = piece < left ? piece : left;
		memcpy(p, e->kind->each + at, piece);
		p += piece;
		at = 0;
	}
	return (ssize_t)n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kilobytes(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void measure(const struct kind *kind)
{
	static const unsigned megabytes[] = {1, 10, 50};

	printf("%-12s", kind->name);
	for (size_t i = 0; i < sizeof megabytes / sizeof *megabytes; i++) {
		struct endless e = {kind, megabytes[i] * UINT64_C(1000000)};
		const struct mime_source source = {read_endless, &e};
		double start = now();
		struct mime *m = mime_parse_source(&source);

		printf(" %8.3f", now() - start);
		if (i + 1 == sizeof megabytes / sizeof *megabytes)
			printf(" %9zu %11zu", mime_section_count(m), mime_attachment_count(m));
		mime_free(m);
	}
	printf(" %8ld\n", peak_kilobytes());
}

int main(int argc, char **argv)
{
	printf("%-12s %8s %8s %8s %9s %11s %8s\n", "CPU seconds", "1 MB", "10 MB", "50 MB",
	    "sections", "attachments", "peak KB");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (argc < 2 || strcmp(argv[1], kinds[i].name) == 0)
			measure(&kinds[i]);
	return 0;
}
