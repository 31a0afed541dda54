/* dns_message.c - see dns_message.h. The wire format is read by libresolv (ns_initparse(3)), which
 * checks every length against the message. */
#include "common/dns/dns_message.h"

#include "common/dns/dns_name.h"
#include "common/limits.h"

#include <ares.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

/* The error that an answer with this response code leaves in dns_answer.error. */
static const int rcode_errors[] = {
    [ns_r_formerr] = ARES_EFORMERR,
    [ns_r_servfail] = ARES_ESERVFAIL,
    [ns_r_notimpl] = ARES_ENOTIMP,
    [ns_r_refused] = ARES_EREFUSED,
};

static void set_status(struct dns_answer *out, enum dns_status status, int error, uint32_t ttl)
{
	out->status = status;
	out->error = error;
	out->ttl = ttl;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* RFC 2181 8: a TTL with the highest bit set is none. */
static uint32_t ttl_of(uint32_t raw)
{
	return raw > INT32_MAX ? 0 : raw;
}

static bool read_a(const ns_rr *rr, struct dns_answer *out)
{
	char text[INET_ADDRSTRLEN];

	if (ns_rr_rdlen(*rr) != NS_INADDRSZ)
		return false;
	if (out->values.n == 0)
		memcpy(out->first_a, ns_rr_rdata(*rr), NS_INADDRSZ);
	strlist_add(&out->values, inet_ntop(AF_INET, ns_rr_rdata(*rr), text, sizeof text));
	return true;
}

static bool read_aaaa(const ns_rr *rr, struct dns_answer *out)
{
	char text[INET6_ADDRSTRLEN];

	if (ns_rr_rdlen(*rr) != NS_IN6ADDRSZ)
		return false;
	strlist_add(&out->values, inet_ntop(AF_INET6, ns_rr_rdata(*rr), text, sizeof text));
	return true;
}

/* Strings of up to 255 bytes, each behind its length; joined as RFC 7208 and others do. */
static bool read_txt(const ns_rr *rr, struct dns_answer *out)
{
	const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
	char text[LIMIT_DNS_MESSAGE_BYTES];
	size_t len = 0;

	while (p < end) {
		size_t n = *p++;

		if (n > (size_t)(end - p))
			return false;
		memcpy(text + len, p, n);
		len += n;
		p += n;
	}
	strlist_addn(&out->values, text, len);
	return true;
}

static const struct reader {
	int type;
	bool (*read)(const ns_rr *, struct dns_answer *);
} readers[] = {
    {ns_t_a, read_a},
    {ns_t_aaaa, read_aaaa},
    {ns_t_txt, read_txt},
};

/* Types without a reader are found or absent, and have no values. */
static bool read_value(const ns_rr *rr, struct dns_answer *out)
{
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		if (readers[i].type == (int)ns_rr_type(*rr))
			return readers[i].read(rr, out);
	return true;
}

static bool is_record(const ns_rr *rr, const char *owner, int type)
{
	return (int)ns_rr_type(*rr) == type && ns_rr_class(*rr) == ns_c_in &&
	       dns_name_same(ns_rr_name(*rr), owner);
}

/* Is this a complete answer, to our question and no other? */
static bool answers_question(ns_msg *m, const char *name, int type)
{
	ns_rr question;

	return ns_msg_getflag(*m, ns_f_qr) && !ns_msg_getflag(*m, ns_f_tc) &&
	       ns_msg_getflag(*m, ns_f_opcode) == ns_o_query && ns_msg_count(*m, ns_s_qd) == 1 &&
	       ns_parserr(m, ns_s_qd, 0, &question) == 0 && is_record(&question, name, type);
}

enum step { STEP_END, STEP_FOLLOWED, STEP_BROKEN };

/* If owner has a CNAME record, put its target in owner. */
static enum step follow_once(ns_msg *m, char owner[NS_MAXDNAME], uint32_t *ttl)
{
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return STEP_BROKEN;
		if (!is_record(&rr, owner, ns_t_cname))
			continue;
		if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), owner,
			NS_MAXDNAME) != ns_rr_rdlen(rr))
			return STEP_BROKEN;
		*ttl = smaller(*ttl, ttl_of(ns_rr_ttl(rr)));
		return STEP_FOLLOWED;
	}
	return STEP_END;
}

/* Follow the chain that starts at owner; false: broken, too long or a loop. */
static bool follow(ns_msg *m, char owner[NS_MAXDNAME], uint32_t *ttl)
{
	for (int hops = 0; hops <= LIMIT_DNS_CHAIN; hops++) {
		enum step step = follow_once(m, owner, ttl);

		if (step != STEP_FOLLOWED)
			return step == STEP_END;
	}
	return false;
}

/* Take the records of the name at the end of the chain; false: the message is broken. */
static bool collect(
    ns_msg *m, const char *owner, int type, uint32_t *ttl, size_t *found, struct dns_answer *out)
{
	ns_rr rr;

	*found = 0;
	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return false;
		if (!is_record(&rr, owner, type))
			continue;
		if (!read_value(&rr, out))
			return false;
		*ttl = smaller(*ttl, ttl_of(ns_rr_ttl(rr)));
		++*found;
	}
	return true;
}

/* The last field of the SOA record, behind two names and four numbers. */
static bool soa_minimum(const ns_rr *rr, uint32_t *minimum)
{
	const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);

	for (int names = 0; names < 2; names++) {
		int n = dn_skipname(p, end);

		if (n < 0)
			return false;
		p += n;
	}
	if (end - p != 5 * NS_INT32SZ)
		return false;
	*minimum = (uint32_t)ns_get32(p + 4 * NS_INT32SZ);
	return true;
}

enum authority { AUTHORITY_SOA, AUTHORITY_NONE, AUTHORITY_REFERRAL, AUTHORITY_BROKEN };

/* How long "absent" may be remembered (RFC 2308 5), and whether it was said at all: name servers
 * without a SOA record are a referral (RFC 2308 2.2), "ask there". */
static enum authority read_authority(ns_msg *m, uint32_t *ttl)
{
	enum authority result = AUTHORITY_NONE;
	uint32_t minimum;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*m, ns_s_ns); i++) {
		if (ns_parserr(m, ns_s_ns, i, &rr) != 0)
			return AUTHORITY_BROKEN;
		if (ns_rr_type(rr) == ns_t_ns)
			result = AUTHORITY_REFERRAL;
		if (ns_rr_type(rr) != ns_t_soa)
			continue;
		if (!soa_minimum(&rr, &minimum))
			return AUTHORITY_BROKEN;
		*ttl = smaller(smaller(*ttl, ttl_of(ns_rr_ttl(rr))), ttl_of(minimum));
		return AUTHORITY_SOA;
	}
	return result;
}

static void set_absent(ns_msg *m, uint32_t chain_ttl, int rcode, struct dns_answer *out)
{
	uint32_t ttl = chain_ttl;
	enum authority authority = read_authority(m, &ttl);
	int error = rcode == ns_r_nxdomain ? ARES_ENOTFOUND : ARES_ENODATA;

	if (authority == AUTHORITY_BROKEN)
		return;
	if (authority == AUTHORITY_REFERRAL && rcode == ns_r_noerror &&
	    !ns_msg_getflag(*m, ns_f_aa))
		return;
	set_status(out, DNS_ABSENT, error, authority == AUTHORITY_SOA ? ttl : 0);
}

static void read_records(ns_msg *m, const char *name, int type, int rcode, struct dns_answer *out)
{
	char owner[NS_MAXDNAME];
	uint32_t ttl = INT32_MAX;
	size_t found = 0;

	strncpy(owner, name, sizeof owner - 1);
	owner[sizeof owner - 1] = '\0';
	if (ns_msg_count(*m, ns_s_an) > LIMIT_DNS_RECORDS ||
	    ns_msg_count(*m, ns_s_ns) > LIMIT_DNS_RECORDS)
		return;
	if (type != ns_t_cname && !follow(m, owner, &ttl))
		return;
	if (rcode == ns_r_noerror && !collect(m, owner, type, &ttl, &found, out)) {
		dns_answer_clear(out);
		set_status(out, DNS_UNKNOWN, ARES_EBADRESP, 0);
		return;
	}
	if (found > 0)
		set_status(out, DNS_FOUND, ARES_SUCCESS, ttl);
	else
		set_absent(m, ttl, rcode, out);
}

void dns_message_read(
    const unsigned char *message, size_t len, const char *name, int type, struct dns_answer *out)
{
	ns_msg m;
	unsigned rcode;

	memset(out, 0, sizeof *out);
	set_status(out, DNS_UNKNOWN, ARES_EBADRESP, 0);
	if (len > LIMIT_DNS_MESSAGE_BYTES || ns_initparse(message, (int)len, &m) != 0)
		return;
	rcode = (unsigned)ns_msg_getflag(m, ns_f_rcode);
	if (rcode < sizeof rcode_errors / sizeof *rcode_errors && rcode_errors[rcode] != 0)
		out->error = rcode_errors[rcode];
	else if ((rcode == ns_r_noerror || rcode == ns_r_nxdomain) &&
		 answers_question(&m, name, type))
		read_records(&m, name, type, (int)rcode, out);
}
