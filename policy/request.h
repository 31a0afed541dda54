/* request.h - one request of either protocol, from its bytes to the bytes of its answer.
 *
 * The only place that knows both protocols: reading is forwarded to their codecs, answering to
 * policy_rules.c and maps.c, and the default answers stand here. A request owns the bytes it was
 * read from and pins the scripts in force. request_answer() runs in a worker, the rest in the
 * loop. */
#pragma once

#include "common/log.h"
#include "policy/dispatch.h"
#include "policy/listen.h"
#include "policy/peer.h"
#include "policy/policy_codec.h"
#include "policy/socketmap_codec.h"

#include <stdbool.h>
#include <stddef.h>

struct request;

struct request_reader { /* zero it before use */
	union {
		struct policy_reader policy;
		struct socketmap_reader socketmap;
	};
};

bool request_reader_idle(const struct request_reader *, enum service);
enum codec request_reader_feed(struct request_reader *, enum service, const char **p, size_t *n);
const char *request_reader_why(const struct request_reader *, enum service);
void request_reader_clear(struct request_reader *, enum service);

/* Takes the message that the reader has handed out; the reader is empty then. answered is called
 * once, in the loop. listen must stay valid. The request is freed by dispatch.c. */
struct request *request_new(struct request_reader *, enum service, const char *listen,
    const struct log_id *, const struct peer *,
    void (*answered)(void *arg, const char *reply, size_t n), void *arg);
struct task *request_task(struct request *);
/* Nobody waits for the answer any more. */
void request_forget(struct request *);
