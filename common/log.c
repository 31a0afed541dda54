/* log.c - see log.h.
 *
 * A line is built on the stack and leaves in one piece: one write(2) to standard error, or one
 * syslog(3), so no lock of ours is held while something slow reads the log. Forms:
 *
 *   stderr, text   mailhooks-milter[4711]: warn: session=5f3a01 queue=4XyZ1 text
 *   syslog, text   warn: session=5f3a01 queue=4XyZ1 text            (syslog adds the rest)
 *   journal, text  <4>warn: session=5f3a01 queue=4XyZ1 text         (stderr that is the journal)
 *   JSON           {"time":"2025-01-31T08:15:00.123Z","level":"warn","program":"mailhooks-milter",
 *                   "pid":4711,"session":"5f3a01","queue":"4XyZ1","text":"..."}
 *
 * session and queue appear when they are known. A text that was cut ends in "...".
 * The JSON is written by hand although jansson exists: it is one flat object in a fixed buffer,
 * and the log has to work when memory is short. */
#include "common/log.h"

#include "common/limits.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define UNIT_BYTES 16	 /* the longest escape of one character: 4 bytes, each as \xNN */
#define PROGRAM_BYTES 64 /* of the program's name in a line */
#define CUT_MARK "..."	 /* end of a text that was cut */

struct level {
	const char *word;
	int priority;
};

static const struct level levels[] = {
    [LOG_LVL_BUG] = {"bug", LOG_CRIT},
    [LOG_LVL_ERROR] = {"error", LOG_ERR},
    [LOG_LVL_WARN] = {"warn", LOG_WARNING},
    [LOG_LVL_INFO] = {"info", LOG_INFO},
    [LOG_LVL_DEBUG] = {"debug", LOG_DEBUG},
};

/* Set by log_open() before there are threads, read by all of them. */
static struct {
	const char *program; /* NULL: the name it was started by */
	enum log_target target;
	enum log_format format;
	int facility;
	enum log_level least;
	bool journal; /* standard error is the journal */
} settings = {NULL, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO, false};

typedef void ear_function(enum log_level, const char *, void *);

static pthread_mutex_t ear_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(ear_function *) ear;
static void *ear_arg;

/* A buffer that is filled unit by unit and never cut inside of one. */
struct line {
	char *out;
	size_t n, size; /* size includes the terminating NUL */
};

static bool put(struct line *l, const char *s, size_t n)
{
	if (l->size - l->n <= n)
		return false;
	memcpy(l->out + l->n, s, n);
	l->n += n;
	l->out[l->n] = '\0';
	return true;
}

static const char *program_name(void)
{
	return settings.program != NULL ? settings.program : program_invocation_short_name;
}

static bool put_text(struct line *l, const char *s)
{
	return put(l, s, strlen(s));
}

/* ---- escaping ---- */

/* The length of the UTF-8 sequence at s and its code point; 0 when it is none (RFC 3629). */
static size_t utf8_length(const unsigned char *s, size_t n, uint32_t *code)
{
	static const struct {
		unsigned char mask, mark;
		size_t length;
		uint32_t least; /* below it the form is overlong */
	} forms[] = {
	    {0x80, 0x00, 1, 0},
	    {0xe0, 0xc0, 2, 0x80},
	    {0xf0, 0xe0, 3, 0x800},
	    {0xf8, 0xf0, 4, 0x10000},
	};

	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		if ((s[0] & forms[f].mask) != forms[f].mark)
			continue;
		if (forms[f].length > n)
			return 0;
		*code = s[0] & (unsigned char)~forms[f].mask;
		for (size_t i = 1; i < forms[f].length; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			*code = *code << 6 | (s[i] & 0x3f);
		}
		if (*code < forms[f].least || *code > 0x10ffff ||
		    (*code >= 0xd800 && *code <= 0xdfff))
			return 0;
		return forms[f].length;
	}
	return 0;
}

/* Characters that move the cursor, end a line or turn the reading direction of what follows. */
static bool is_control(uint32_t code)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
	    {0x00, 0x1f},     /* C0 */
	    {0x7f, 0x9f},     /* DEL, C1 */
	    {0x200e, 0x200f}, /* direction marks */
	    {0x2028, 0x202e}, /* line and paragraph separator, embeddings and overrides */
	    {0x2066, 0x2069}, /* isolates */
	    {0xfeff, 0xfeff}, /* byte order mark */
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (code >= ranges[i].from && code <= ranges[i].to)
			return true;
	return false;
}

static size_t escape_byte(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\tt\nn\rr\\\\";

	for (const char *p = named; *p != '\0'; p += 2)
		if ((unsigned char)*p == c) {
			out[0] = '\\';
			out[1] = p[1];
			return 2;
		}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

/* One character of s as it stands in the log: out gets *written bytes. Returns bytes consumed. */
static size_t escape_unit(char out[static UNIT_BYTES], size_t *written, const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t code = 0;
	size_t length = utf8_length(u, n, &code);

	if (length != 0 && code != '\\' && !is_control(code)) {
		memcpy(out, s, length);
		*written = length;
		return length;
	}
	if (length == 0)
		length = 1; /* one byte of something that is not UTF-8 */
	*written = 0;
	for (size_t i = 0; i < length; i++)
		*written += escape_byte(out + *written, u[i]);
	return length;
}

/* The escaped unit inside of a JSON string. Returns the new length. */
static size_t json_unit(char out[static 2 * UNIT_BYTES], const char *unit, size_t n)
{
	size_t written = 0;

	for (size_t i = 0; i < n; i++) {
		if (unit[i] == '"' || unit[i] == '\\')
			out[written++] = '\\';
		out[written++] = unit[i];
	}
	return written;
}

/* Append s, escaped. False: it did not fit whole; what is there ends at a character. */
static bool put_escaped(struct line *l, enum log_format format, const char *s, size_t n)
{
	char unit[UNIT_BYTES], json[2 * UNIT_BYTES];
	size_t written;

	while (n > 0) {
		size_t used = escape_unit(unit, &written, s, n);
		const char *out = unit;

		if (format == LOG_AS_JSON) {
			written = json_unit(json, unit, written);
			out = json;
		}
		if (!put(l, out, written))
			return false;
		s += used;
		n -= used;
	}
	return true;
}

static size_t escape_into(char *out, size_t size, enum log_format format, const char *s, size_t n)
{
	struct line l = {out, 0, size};

	if (size == 0)
		return 0;
	out[0] = '\0';
	put_escaped(&l, format, s, n);
	return l.n;
}

size_t log_escape(char *out, size_t size, const char *s, size_t n)
{
	return escape_into(out, size, LOG_AS_TEXT, s, n);
}

size_t log_escape_json(char *out, size_t size, const char *s, size_t n)
{
	return escape_into(out, size, LOG_AS_JSON, s, n);
}

/* ---- one line ---- */

/* The message, cut and marked when it is longer than what is left before `tail`. */
static void put_message(
    struct line *l, enum log_format format, const char *text, bool cut, const char *tail)
{
	struct line body = {l->out + l->n, 0, l->size - l->n - strlen(tail)};
	struct line fitting = body;

	fitting.size -= strlen(CUT_MARK);
	if (cut || !put_escaped(&body, format, text, strlen(text))) {
		put_escaped(&fitting, format, text, strlen(text));
		l->n += fitting.n;
		put_text(l, CUT_MARK);
	} else {
		l->n += body.n;
	}
	put_text(l, tail);
}

static void put_field(struct line *l, const char *before, const char *value, size_t size,
    const char *after, enum log_format format)
{
	size_t n = strnlen(value, size);

	if (n == 0)
		return;
	put_text(l, before);
	put_escaped(l, format, value, n);
	put_text(l, after);
}

static void build_text(
    struct line *l, enum log_level level, const struct log_id *id, const char *text, bool cut)
{
	char number[16];

	if (settings.target == LOG_TO_STDERR && !settings.journal) {
		snprintf(number, sizeof number, "[%ld]: ", (long)getpid());
		put_escaped(l, LOG_AS_TEXT, program_name(), strnlen(program_name(), PROGRAM_BYTES));
		put_text(l, number);
	}
	put_text(l, levels[level].word);
	put_text(l, ": ");
	if (id != NULL) {
		put_field(l, "session=", id->session, sizeof id->session, " ", LOG_AS_TEXT);
		put_field(l, "queue=", id->queue, sizeof id->queue, " ", LOG_AS_TEXT);
	}
	put_message(l, LOG_AS_TEXT, text, cut, "");
}

static void put_now(struct line *l)
{
	char stamp[40], millis[24]; /* years beyond 9999 included */
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	if (strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	snprintf(millis, sizeof millis, ".%03ldZ", now.tv_nsec / 1000000);
	put_text(l, stamp);
	put_text(l, millis);
}

static void build_json(
    struct line *l, enum log_level level, const struct log_id *id, const char *text, bool cut)
{
	char number[32];

	put_text(l, "{\"time\":\"");
	put_now(l);
	put_text(l, "\",\"level\":\"");
	put_text(l, levels[level].word);
	put_text(l, "\",\"program\":\"");
	put_escaped(l, LOG_AS_JSON, program_name(), strnlen(program_name(), PROGRAM_BYTES));
	snprintf(number, sizeof number, "\",\"pid\":%ld", (long)getpid());
	put_text(l, number);
	if (id != NULL) {
		put_field(l, ",\"session\":\"", id->session, sizeof id->session, "\"", LOG_AS_JSON);
		put_field(l, ",\"queue\":\"", id->queue, sizeof id->queue, "\"", LOG_AS_JSON);
	}
	put_text(l, ",\"text\":\"");
	put_message(l, LOG_AS_JSON, text, cut, "\"}");
}

static void write_stderr(struct line *l)
{
	const char *p = l->out;
	size_t left = l->n + 1;

	l->out[l->n] = '\n'; /* in the place of the NUL: text and line end leave together */
	while (left > 0) {
		ssize_t n = write(STDERR_FILENO, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* nobody reads the log: mail goes on */
		p += n;
		left -= (size_t)n;
	}
	l->out[l->n] = '\0';
}

static bool heard(enum log_level level, const char *text)
{
	ear_function *listener;

	if (atomic_load(&ear) == NULL)
		return false;
	pthread_mutex_lock(&ear_lock);
	listener = atomic_load(&ear);
	if (listener != NULL)
		listener(level, text, ear_arg);
	pthread_mutex_unlock(&ear_lock);
	return listener != NULL;
}

/* Returns whether a test heard the line instead of the administrator. */
static bool emit(enum log_level level, const struct log_id *id, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static bool emit(enum log_level level, const struct log_id *id, const char *fmt, va_list ap)
{
	char text[LIMIT_LOG_LINE_BYTES], out[LIMIT_LOG_LINE_BYTES];
	struct line l = {out, 0, sizeof out};
	int saved = errno; /* callers log first and then look at errno */
	bool by_test;
	int n;

	out[0] = '\0';
	n = vsnprintf(text, sizeof text, fmt, ap);
	if (n < 0)
		snprintf(text, sizeof text, "(message could not be formatted)");
	if (settings.journal) { /* it knows the program; the level it takes from here */
		char mark[8];

		snprintf(mark, sizeof mark, "<%d>", levels[level].priority);
		put_text(&l, mark);
	}
	(settings.format == LOG_AS_JSON ? build_json : build_text)(
	    &l, level, id, text, n >= (int)sizeof text);
	by_test = heard(level, out);
	if (!by_test && settings.target == LOG_TO_SYSLOG)
		syslog(settings.facility | levels[level].priority, "%s", out);
	else if (!by_test)
		write_stderr(&l);
	errno = saved;
	return by_test;
}

/* JOURNAL_STREAM is device:inode of the journal's end of standard error (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* ---- public ---- */

void log_open(const char *program, enum log_target target, enum log_format format, int facility,
    enum log_level least)
{
	settings.program = program;
	settings.target = target;
	settings.format = format;
	settings.facility = facility;
	settings.least = least;
	settings.journal = target == LOG_TO_STDERR && stderr_is_journal();
	log_reopen();
}

void log_reopen(void)
{
	closelog();
	if (settings.target == LOG_TO_SYSLOG)
		openlog(settings.program, LOG_PID | LOG_NDELAY, settings.facility);
}

enum log_level log_least(void)
{
	return settings.least;
}

#define LOG_FUNCTION(name, level)                                \
	void name(const struct log_id *id, const char *fmt, ...) \
	{                                                        \
		va_list ap;                                      \
                                                                 \
		if ((level) > settings.least)                    \
			return;                                  \
		va_start(ap, fmt);                               \
		emit(level, id, fmt, ap);                        \
		va_end(ap);                                      \
	}

LOG_FUNCTION(log_error, LOG_LVL_ERROR)
LOG_FUNCTION(log_warn, LOG_LVL_WARN)
LOG_FUNCTION(log_info, LOG_LVL_INFO)
LOG_FUNCTION(log_debug, LOG_LVL_DEBUG)

void log_bug(const struct log_id *id, const char *fmt, ...)
{
	va_list ap;
	bool by_test;

	va_start(ap, fmt);
	by_test = emit(LOG_LVL_BUG, id, fmt, ap);
	va_end(ap);
#ifdef MAILHOOKS_ABORT_ON_BUG
	if (!by_test) /* a test that listens provoked it */
		abort();
#endif
	(void)by_test;
}

void log_fatal(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!emit(LOG_LVL_ERROR, NULL, fmt, ap) && settings.target == LOG_TO_SYSLOG) {
		va_end(ap);
		settings.target = LOG_TO_STDERR; /* whoever starts the program sees it, too */
		va_start(ap, fmt);
		emit(LOG_LVL_ERROR, NULL, fmt, ap);
	}
	va_end(ap);
	exit(status);
}

void log_capture(void (*listener)(enum log_level, const char *line, void *), void *arg)
{
	pthread_mutex_lock(&ear_lock);
	ear_arg = arg;
	atomic_store(&ear, listener);
	pthread_mutex_unlock(&ear_lock);
}
