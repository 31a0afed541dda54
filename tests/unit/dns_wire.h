/* dns_wire.h - write DNS messages for tests, right ones and wrong ones. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire {
	unsigned char bytes[70000];
	size_t n;
};

enum { WIRE_QD = 4, WIRE_AN = 6, WIRE_NS = 8 }; /* where the header counts a section's records */

static inline void wire_16(struct wire *w, unsigned v)
{
	w->bytes[w->n++] = (unsigned char)(v >> 8);
	w->bytes[w->n++] = (unsigned char)v;
}

static inline void wire_32(struct wire *w, uint32_t v)
{
	wire_16(w, v >> 16);
	wire_16(w, v & 0xffff);
}

static inline void wire_name(struct wire *w, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		w->bytes[w->n++] = (unsigned char)n;
		memcpy(w->bytes + w->n, name, n);
		w->n += n;
		name += n + (name[n] == '.');
	}
	w->bytes[w->n++] = 0;
}

static inline void wire_count(struct wire *w, size_t section)
{
	unsigned count = w->bytes[section] * 256u + w->bytes[section + 1] + 1;

	w->bytes[section] = (unsigned char)(count >> 8);
	w->bytes[section + 1] = (unsigned char)count;
}

/* flags: 0x8180 and the response code for an ordinary answer */
static inline void wire_start(struct wire *w, unsigned flags, const char *name, unsigned type)
{
	memset(w->bytes, 0, 12);
	w->n = 0;
	wire_16(w, 0x1234);
	wire_16(w, flags);
	w->n = 12;
	wire_name(w, name);
	wire_16(w, type);
	wire_16(w, 1);
	wire_count(w, WIRE_QD);
}

static inline void wire_record(struct wire *w, size_t section, const char *name, unsigned type,
    uint32_t ttl, const void *data, size_t n)
{
	wire_count(w, section);
	wire_name(w, name);
	wire_16(w, type);
	wire_16(w, 1);
	wire_32(w, ttl);
	wire_16(w, (unsigned)n);
	memcpy(w->bytes + w->n, data, n);
	w->n += n;
}

static inline void wire_cname(struct wire *w, const char *name, uint32_t ttl, const char *target)
{
	unsigned char data[256];
	size_t at = w->n, n;

	wire_name(w, target); /* written behind the message, taken back as data */
	n = w->n - at;
	memcpy(data, w->bytes + at, n);
	w->n = at;
	wire_record(w, WIRE_AN, name, 5, ttl, data, n);
}

static inline void wire_soa(struct wire *w, const char *zone, uint32_t ttl, uint32_t minimum)
{
	unsigned char data[22] = {0, 0}; /* two root names, five numbers */

	data[18] = (unsigned char)(minimum >> 24);
	data[19] = (unsigned char)(minimum >> 16);
	data[20] = (unsigned char)(minimum >> 8);
	data[21] = (unsigned char)minimum;
	wire_record(w, WIRE_NS, zone, 6, ttl, data, sizeof data);
}
