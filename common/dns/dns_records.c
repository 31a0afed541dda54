/* dns_records.c - see dns_records.h. The wire format is read by libresolv (ns_initparse(3)), which
 * checks the bounds of every record; what is inside of one is checked here. */
#include "common/dns_records.h"

#include "common/dns/dns_name.h"
#include "common/limits.h"
#include "common/list.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum reading { READ, LEFT_OUT, BROKEN };

struct cursor { /* inside of one record */
	ns_msg *m;
	const unsigned char *p, *end;
};

/* ---- pieces ---- */

static bool take_16(struct cursor *c, unsigned *out)
{
	if (c->end - c->p < NS_INT16SZ)
		return false;
	*out = ns_get16(c->p);
	c->p += NS_INT16SZ;
	return true;
}

static bool take_32(struct cursor *c, uint32_t *out)
{
	if (c->end - c->p < NS_INT32SZ)
		return false;
	*out = (uint32_t)ns_get32(c->p);
	c->p += NS_INT32SZ;
	return true;
}

static bool take_name(struct cursor *c, char name[NS_MAXDNAME])
{
	int n = ns_name_uncompress(ns_msg_base(*c->m), ns_msg_end(*c->m), c->p, name, NS_MAXDNAME);

	if (n < 0 || n > c->end - c->p)
		return false;
	c->p += n;
	return true;
}

/* May a script see it? Reverse names of small networks have a slash (RFC 2317). */
static bool name_fine(const char *name)
{
	char plain[NS_MAXDNAME];
	size_t n = strlen(name);

	if (strcmp(name, ".") == 0 || dns_name_valid(name))
		return true;
	if (n < 5 || n >= sizeof plain || !dns_name_same(name + n - 5, ".arpa"))
		return false;
	for (size_t i = 0; i <= n; i++)
		plain[i] = name[i];
	for (char *slash = plain; (slash = strchr(slash, '/')) != NULL;)
		*slash = '-';
	return dns_name_valid(plain);
}

static enum reading set_text(struct dns_record *r, const char *text, size_t n)
{
	r->value = xstrndup(text, n);
	r->n = n;
	return READ;
}

/* ---- values by type ---- */

static enum reading read_address(struct cursor *c, struct dns_record *r)
{
	int family = r->type == ns_t_a ? AF_INET : AF_INET6;
	char text[INET6_ADDRSTRLEN];

	if (c->end - c->p != (family == AF_INET ? NS_INADDRSZ : NS_IN6ADDRSZ))
		return BROKEN;
	inet_ntop(family, c->p, text, sizeof text);
	return set_text(r, text, strlen(text));
}

static enum reading read_name(struct cursor *c, struct dns_record *r)
{
	char name[NS_MAXDNAME];

	if (!take_name(c, name) || c->p != c->end)
		return BROKEN;
	return name_fine(name) ? set_text(r, name, strlen(name)) : LEFT_OUT;
}

static enum reading read_mx(struct cursor *c, struct dns_record *r)
{
	return take_16(c, &r->preference) ? read_name(c, r) : BROKEN;
}

static enum reading read_srv(struct cursor *c, struct dns_record *r)
{
	unsigned priority, weight, port;
	char name[NS_MAXDNAME];

	if (!take_16(c, &priority) || !take_16(c, &weight) || !take_16(c, &port) ||
	    !take_name(c, name) || c->p != c->end)
		return BROKEN;
	if (!name_fine(name))
		return LEFT_OUT;
	r->value = xasprintf("%u %u %u %s", priority, weight, port, name);
	r->n = strlen(r->value);
	return READ;
}

/* Strings of up to 255 bytes, each behind its length; joined as RFC 7208 and others do. */
static enum reading read_txt(struct cursor *c, struct dns_record *r)
{
	char text[LIMIT_DNS_MESSAGE_BYTES];
	size_t len = 0;

	while (c->p < c->end) {
		size_t n = *c->p++;

		if (n > (size_t)(c->end - c->p))
			return BROKEN;
		memcpy(text + len, c->p, n);
		len += n;
		c->p += n;
	}
	r->value = xmalloc(len + 1);
	memcpy(r->value, text, len);
	r->value[len] = '\0';
	r->n = len;
	return READ;
}

/* "first\.last.example.com" means first.last@example.com (RFC 1035 8). */
static char *mailbox_of(const char *name)
{
	char address[NS_MAXDNAME];
	size_t n = 0;
	const char *p = name;

	for (; *p != '\0' && *p != '.'; p++) {
		if (*p == '\\')
			p++;
		address[n++] = *p;
	}
	address[n] = '\0';
	if (*p != '.' || n == 0 || !dns_name_valid(p + 1) ||
	    strspn(address,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+=") != n)
		return xstrdup("");
	return xasprintf("%s@%s", address, p + 1);
}

static enum reading read_soa(struct cursor *c, struct dns_record *r)
{
	char primary[NS_MAXDNAME], mailbox[NS_MAXDNAME];
	struct dns_soa soa;

	if (!take_name(c, primary) || !take_name(c, mailbox) || !take_32(c, &soa.serial) ||
	    !take_32(c, &soa.refresh) || !take_32(c, &soa.retry) || !take_32(c, &soa.expire) ||
	    !take_32(c, &soa.minimum) || c->p != c->end)
		return BROKEN;
	if (!name_fine(primary))
		return LEFT_OUT;
	soa.primary = xstrdup(primary);
	soa.mailbox = mailbox_of(mailbox);
	r->soa = xmalloc(sizeof soa);
	*r->soa = soa;
	return set_text(r, primary, strlen(primary));
}

/* Address, protocol and ports (RFC 1035 3.4.2). */
static enum reading read_wks(struct cursor *c, struct dns_record *r)
{
	char address[INET_ADDRSTRLEN];
	size_t n = (size_t)(c->end - c->p), size;

	if (n < 5 || n > 5 + 65536 / 8)
		return BROKEN;
	inet_ntop(AF_INET, c->p, address, sizeof address);
	size = sizeof address + 5 + 8 * (n - 5) * sizeof " 65535";
	r->value = xmalloc(size);
	r->n = (size_t)snprintf(r->value, size, "%s %u", address, c->p[4]);
	for (unsigned port = 0; port < 8 * (n - 5); port++)
		if (c->p[5 + port / 8] & (0x80u >> port % 8))
			r->n += (size_t)snprintf(r->value + r->n, size - r->n, " %u", port);
	r->value = xrealloc(r->value, r->n + 1);
	return READ;
}

static enum reading read_other(struct cursor *c, struct dns_record *r)
{
	size_t n = (size_t)(c->end - c->p), size = sizeof "\\# 65535 " + 2 * n;

	r->value = xmalloc(size);
	r->n = (size_t)snprintf(r->value, size, "\\# %zu%s", n, n > 0 ? " " : "");
	for (; c->p < c->end; c->p++)
		r->n += (size_t)snprintf(r->value + r->n, size - r->n, "%02x", *c->p);
	return READ;
}

static const struct reader {
	int type;
	enum reading (*read)(struct cursor *, struct dns_record *);
} readers[] = {
    {ns_t_a, read_address},
    {ns_t_aaaa, read_address},
    {ns_t_ns, read_name},
    {ns_t_cname, read_name},
    {ns_t_ptr, read_name},
    {ns_t_soa, read_soa},
    {ns_t_wks, read_wks},
    {ns_t_mx, read_mx},
    {ns_t_txt, read_txt},
    {ns_t_srv, read_srv},
};

static enum reading read_value(struct cursor *c, struct dns_record *r)
{
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		if (readers[i].type == r->type)
			return readers[i].read(c, r);
	return read_other(c, r);
}

/* ---- records ---- */

static void record_free(struct dns_record *r)
{
	if (r->soa != NULL) {
		free(r->soa->primary);
		free(r->soa->mailbox);
		free(r->soa);
	}
	free(r->domain);
	free(r->value);
}

void dns_records_clear(struct dns_records *records)
{
	for (size_t i = 0; i < records->n; i++)
		record_free(&records->v[i]);
	free(records->v);
	memset(records, 0, sizeof *records);
}

static enum reading read_record(ns_msg *m, const ns_rr *rr, struct dns_record *r)
{
	const char *owner = ns_rr_name(*rr)[0] != '\0' ? ns_rr_name(*rr) : ".";
	struct cursor c = {m, ns_rr_rdata(*rr), ns_rr_rdata(*rr) + ns_rr_rdlen(*rr)};
	enum reading reading;

	r->type = (int)ns_rr_type(*rr);
	r->ttl = ns_rr_ttl(*rr) > INT32_MAX ? 0 : ns_rr_ttl(*rr); /* RFC 2181 8 */
	if (ns_rr_class(*rr) != ns_c_in || r->type == ns_t_opt || !name_fine(owner))
		return LEFT_OUT;
	reading = read_value(&c, r);
	if (reading == READ)
		r->domain = xstrdup(owner);
	return reading;
}

static bool read_section(
    ns_msg *m, ns_sect where, enum dns_section section, struct dns_records *out)
{
	if (ns_msg_count(*m, where) > LIMIT_DNS_RECORDS)
		return false;
	for (int i = 0; i < ns_msg_count(*m, where); i++) {
		struct dns_record r = {.section = section};
		enum reading reading;
		ns_rr rr;

		if (ns_parserr(m, where, i, &rr) != 0)
			return false;
		reading = read_record(m, &rr, &r);
		if (reading == READ) {
			out->v = xgrow(out->v, out->n, sizeof *out->v);
			out->v[out->n++] = r;
		} else {
			record_free(&r);
		}
		if (reading == BROKEN)
			return false;
	}
	return true;
}

/* Is this a complete answer, to our question and no other? */
static bool answers_question(ns_msg *m, const char *name, int type)
{
	ns_rr question;

	return ns_msg_getflag(*m, ns_f_qr) && !ns_msg_getflag(*m, ns_f_tc) &&
	       ns_msg_getflag(*m, ns_f_opcode) == ns_o_query && ns_msg_count(*m, ns_s_qd) == 1 &&
	       ns_parserr(m, ns_s_qd, 0, &question) == 0 && (int)ns_rr_type(question) == type &&
	       ns_rr_class(question) == ns_c_in && dns_name_same(ns_rr_name(question), name);
}

void dns_records_read(
    const unsigned char *message, size_t len, const char *name, int type, struct dns_records *out)
{
	ns_msg m;
	int code;

	memset(out, 0, sizeof *out);
	out->code = DNS_CODE_NONSENSE;
	if (len > LIMIT_DNS_MESSAGE_BYTES || ns_initparse(message, (int)len, &m) != 0)
		return;
	code = ns_msg_getflag(m, ns_f_rcode);
	if (code != ns_r_noerror && ns_msg_getflag(m, ns_f_qr)) {
		out->code = code; /* a server that understood nothing repeats no question */
		return;
	}
	if (!answers_question(&m, name, type))
		return;
	if (read_section(&m, ns_s_an, DNS_SECTION_ANSWER, out) &&
	    read_section(&m, ns_s_ns, DNS_SECTION_AUTHORITY, out) &&
	    read_section(&m, ns_s_ar, DNS_SECTION_ADDITIONAL, out)) {
		out->code = 0;
		return;
	}
	dns_records_clear(out);
	out->code = DNS_CODE_NONSENSE;
}
