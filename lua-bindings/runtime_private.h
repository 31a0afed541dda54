/* runtime_private.h - private to lua-bindings/: what runtime.c and runtime_life.c share, the
 * runtime itself and its gate. */
#pragma once

#include "lua-bindings/guard.h"
#include "lua-bindings/runtime.h"

struct runtime {
	lua_State *L;
	struct script_set *set;
	struct guard guard;
	size_t memory_bytes; /* cap on top of base */
	size_t base;	     /* bytes used by the prepared state */
	const struct log_id *id;
	struct message_view *view;
	const char *script, *hook; /* running now, for messages */
	bool guest;		   /* see runtime_adopt() */
	enum runtime_dry dry;
	char asked[64]; /* the first function that reached out while dry */
};

/* Key of the registry: the environment of the life. */
extern const char runtime_env_key;

/* What runs inside lua_pcall, and how it went. */
struct gate {
	void (*l_body)(lua_State *L, struct gate *);
	void *arg;
	bool absent;
};

/* Run g->l_body in the gate, the only lua_pcall, with an empty stack before and after. budget NULL:
 * the host's own work, unlimited. error may be NULL. */
enum run_result runtime_enter(struct runtime *, struct gate *, const struct run_budget *budget,
    char *error, size_t error_size);
