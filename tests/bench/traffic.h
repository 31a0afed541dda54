/* traffic.h - what Postfix 3.7 sends to a milter during an SMTP session, packet for packet.
 *
 * The traffic of a session follows from the negotiation and from the shape of the messages, so
 * it is built once and replayed. It was compared with the writes of a running Postfix 3.7.11:
 * - macros go before every event, also before each header and each body chunk, and also before
 *   an event that the milter declined (SMFIP_NO*) at the SMTP commands; declined headers, EOH and
 *   body send nothing;
 * - an event whose reply is waived (SMFIP_NR_*) stays in a buffer of 4096 bytes: it leaves with the
 *   next event that has a reply, when the buffer is full, at the end of DATA (another process takes
 *   over the connection there), or with QUIT;
 * - ABORT follows each message whatever became of it, and one more precedes QUIT.
 * A struct traffic is immutable once built. */
#pragma once

#include "milter_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_MTA_BUFFER_BYTES 4096 /* of Postfix's streams */

struct traffic_shape {
	const char *sender; /* without <> */
	unsigned recipients, headers;
	size_t body_bytes;
};

struct traffic_step { /* an event with its macros; bytes are traffic.packets.bytes + offset */
	size_t offset, size;
	char command;	   /* SMFIC_* */
	bool reply;	   /* the milter answers */
	bool flush;	   /* the MTA empties its buffer after it, reply or not */
	bool smtp_command; /* the SMTP client sends something first */
};

struct traffic_section { /* steps[first] to steps[end - 1] */
	size_t first, end;
};

struct traffic {
	struct wire_buffer packets;
	struct traffic_step *steps;
	size_t nsteps;
	struct traffic_section head; /* CONNECT and HELO */
	struct traffic_section mail; /* MAIL to BODYEOB, then ABORT as its last step */
	struct traffic_section tail; /* ABORT and QUIT */
};

/* The packet that opens a session. */
void traffic_add_offer(struct wire_buffer *);
/* Whether the answer stays within what traffic_add_offer() offered. */
bool traffic_acceptable(const struct wire_negotiation *);

struct traffic *traffic_build(const struct traffic_shape *, const struct wire_negotiation *);
void traffic_free(struct traffic *);
