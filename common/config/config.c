/* config.c - see config.h: loading, reference counts, look-ups.
 *
 * libconfuse parses and keeps the texts of one load; what is right is decided by the table of
 * config_schema.c. The first error ends a load. Loads are serialised: libconfuse's lexer is one
 * per process and its callbacks have no argument for their caller. */
#include "common/config.h"

#include "common/config/config_private.h"
#include "common/list.h"
#include "common/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHOWN "\"%.80s\"" /* a wrong name or value in an error */
#define ERROR_BYTES 1024  /* of an error before control characters are escaped */

struct counted {
	struct config config; /* first: a pointer to it is a pointer to this */
	atomic_uint references;
};

/* One load. Only config_load() starts one, under its lock. */
struct load {
	const char *path;			/* of the file, or what stands for it in errors */
	const struct config_override *override; /* being applied, or NULL */
	int *lines; /* of each setting as last set: in the file, -1 by -o, 0 not at all */
	bool failed;
	char *error;
	size_t size;
};

static pthread_mutex_t one_load = PTHREAD_MUTEX_INITIALIZER;
static struct load *load;

/* ---- errors: the first one is kept ---- */

bool config_failed(const char *where, const char *fmt, ...)
{
	char text[ERROR_BYTES];
	va_list ap;
	int n;

	if (load->failed)
		return false;
	load->failed = true;
	n = snprintf(text, sizeof text, "%s: ", where != NULL ? where : load->path);
	va_start(ap, fmt);
	if (n > 0 && (size_t)n < sizeof text)
		vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	log_escape(load->error, load->size, text, strlen(text));
	return false;
}

/* "FILE:LINE" or "-o NAME" of what is being read; line 0: just the file. */
static const char *place(int line, char *out, size_t size)
{
	if (load->override != NULL)
		snprintf(out, size, "-o %.*s", (int)strcspn(load->override->item, "="),
		    load->override->item);
	else if (line > 0)
		snprintf(out, size, "%s:%d", load->path, line);
	else
		snprintf(out, size, "%s", load->path);
	return out;
}

const char *config_place_of(const char *section, const char *name, char *out, size_t size)
{
	const struct setting *s = config_setting(section, name);
	int line = load->lines[s - config_settings];

	if (line < 0)
		snprintf(out, size, "-o %s.%s", section, name);
	else
		place(line, out, size);
	return out;
}

bool config_is_set(const char *section, const char *name)
{
	return load->lines[config_setting(section, name) - config_settings] != 0;
}

/* ---- what libconfuse calls ---- */

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char where[512], text[256], suggestion[128];
	const char *section = strcmp(cfg->name, "root") == 0 ? "" : cfg->name;

	place(cfg->line, where, sizeof where);
	if (strcmp(fmt, "no such option '%s'") == 0) { /* else its own words do */
		const char *unknown = va_arg(ap, const char *);

		config_failed(where, SHOWN " is no setting%s%s%s", unknown,
		    section[0] != '\0' ? " of section " : "", section,
		    config_suggest(section, unknown, suggestion, sizeof suggestion));
		return;
	}
	vsnprintf(text, sizeof text, fmt, ap);
	config_failed(where, "%s (see mailhooks.conf(5))", text);
}

/* The value for an error message: without what follows the scheme of a URL that may hold a password
 * (user:password@host, ?sentinel_password=). */
static const char *harmless(const char *value, char *out, size_t size)
{
	const char *rest = strstr(value, "://");

	if (rest == NULL || (strchr(rest, '@') == NULL && strstr(rest, "password") == NULL))
		return value;
	snprintf(out, size, "%.*s://...", (int)(rest - value), value);
	return out;
}

/* Every value that is read or given by -o. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *section = strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
	const struct setting *s = config_setting(section, opt->name);
	char where[512], why[512], text[100];

	place(cfg->line, where, sizeof where);
	if (s == NULL) { /* libconfuse knows a path "section|name" */
		config_failed(where, "\"%s\" belongs into its section: section { %s = ... }",
		    opt->name, opt->name);
		return -1;
	}
	if (!config_value_check(s, value, why, sizeof why)) {
		config_failed(where, "%s%s%s = " SHOWN ": %s", section,
		    section[0] != '\0' ? "." : "", s->name, harmless(value, text, sizeof text),
		    why);
		return -1;
	}
	if (load->override == NULL)
		load->lines[s - config_settings] = cfg->line;
	*(const char **)result = value;
	return 0;
}

/* ---- the file and the -o arguments ---- */

static cfg_t *new_parser(void)
{
	cfg_opt_t *options = config_options("", on_value);
	cfg_t *cfg = cfg_init(options, CFGF_NONE);

	config_options_free(options);
	if (cfg == NULL) {
		config_failed(NULL, "out of memory");
		return NULL;
	}
	cfg_set_error_function(cfg, on_error);
	return cfg;
}

static bool parse(cfg_t *cfg, const char *text)
{
	FILE *f;
	int rc;

	if (text[0] == '\0')
		return true;
	f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	if (f == NULL)
		return config_failed(NULL, "out of memory");
	rc = cfg_parse_fp(cfg, f);
	fclose(f);
	return rc == CFG_SUCCESS ||
	       config_failed(NULL, "cannot be understood (see mailhooks.conf(5))");
}

static bool parse_file(cfg_t *cfg, const char *path, bool must_exist)
{
	char *text, where[512];
	const char *why;
	int line;
	bool ok;

	switch (config_source_read(path, &text, &why)) {
	case CONFIG_SOURCE_MISSING:
		return !must_exist ||
		       config_failed(path, "cannot be read: %s (name another file with -c)", why);
	case CONFIG_SOURCE_BAD:
		return config_failed(path,
		    "cannot be read: %s (check the file and its permissions; the daemons read it as "
		    "their user, so it should be of the group mailhooks)",
		    why);
	case CONFIG_SOURCE_OK:
		break;
	}
	load->path = path;
	if (config_source_clean(text, &line, &why))
		ok = parse(cfg, text);
	else
		ok = config_failed(place(line, where, sizeof where), "%s", why);
	free(text);
	return ok;
}

/* The section of a -o argument; NULL: it does not exist, reported. */
static cfg_t *override_section(cfg_t *cfg, const struct config_override *o, const char *where)
{
	const struct titled_section *titled = config_titled_section(o->section);
	char suggestion[128];
	cfg_t *section = cfg;

	if (config_setting(o->section, o->name) == NULL) {
		config_failed(where, "there is no such setting%s",
		    config_suggest(o->section, o->name, suggestion, sizeof suggestion));
		return NULL;
	}
	if (titled != NULL && o->title == NULL) {
		config_failed(where, "name the %s: -o %s.%s.%s=...", o->section, o->section,
		    titled->example, o->name);
		return NULL;
	}
	if (o->title != NULL)
		section = cfg_gettsec(cfg, o->section, o->title);
	else if (o->section[0] != '\0')
		section = cfg_getsec(cfg, o->section);
	if (section == NULL)
		config_failed(where,
		    "there is no %s " SHOWN ": write %s " SHOWN " { } into the file", o->section,
		    o->title, o->section, o->title);
	return section;
}

/* A relative path means what the user's shell means by it. */
static char *override_value(const struct setting *s, const char *value)
{
	char *directory, *path;

	if (s->kind != SETTING_PATH || value[0] == '/' || value[0] == '\0')
		return xstrdup(value);
	directory = getcwd(NULL, 0);
	path = directory != NULL ? xasprintf("%s/%s", directory, value) : xstrdup(value);
	free(directory);
	return path;
}

/* first: of this name, so it replaces a list and does not add to it. */
static bool override(cfg_t *cfg, const struct config_override *o, bool first)
{
	const struct setting *s = config_setting(o->section, o->name);
	char where[512];
	cfg_t *section;
	cfg_opt_t *opt;
	char *value;
	bool ok;

	load->override = o;
	section = override_section(cfg, o, place(0, where, sizeof where));
	if (section == NULL)
		return false;
	opt = cfg_getopt(section, o->name);
	if (config_setting_is_list(s) && first) {
		cfg_free_value(opt);
		opt->flags &= ~CFGF_RESET;
	}
	load->lines[s - config_settings] = -1;
	if (config_setting_is_list(s) && o->value[0] == '\0')
		return true; /* "name=" empties a list */
	value = override_value(s, o->value);
	ok = cfg_setopt(section, opt, value) != NULL || config_failed(where, "cannot be set");
	free(value);
	return ok;
}

static bool is_first(const struct strlist *items, size_t i)
{
	size_t key = strcspn(items->v[i], "=") + 1;

	for (size_t j = 0; j < i; j++)
		if (strncmp(items->v[j], items->v[i], key) == 0)
			return false;
	return true;
}

static bool override_all(cfg_t *cfg, const struct strlist *items)
{
	for (size_t i = 0; i < items->n; i++) {
		struct config_override o;
		bool ok;

		if (!config_override_parse(&o, items->v[i]))
			return config_failed("-o",
			    SHOWN " is not understood: write -o section.name=value", items->v[i]);
		ok = override(cfg, &o, is_first(items, i));
		load->override = NULL;
		config_override_clear(&o);
		if (!ok)
			return false;
	}
	return true;
}

/* ---- from libconfuse to struct config ---- */

static void store_section(cfg_t *section, const char *name, void *base)
{
	for (size_t i = 0; i < config_nsettings; i++)
		if (strcmp(config_settings[i].section, name) == 0)
			config_value_store(&config_settings[i], base,
			    cfg_getopt(section, config_settings[i].name));
}

static void store_titled(struct config *c, cfg_t *cfg, const struct titled_section *t)
{
	unsigned n = cfg_size(cfg, t->name);

	*(void **)((char *)c + t->array) = xcalloc(n > 0 ? n : 1, t->size);
	*(size_t *)((char *)c + t->count) = n;
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(cfg, t->name, i);
		void *element = config_titled_element(t, c, i);

		*(char **)element = xstrdup(cfg_title(section));
		store_section(section, t->name, element);
	}
}

/* What depends on the position in the file. */
static void name_transport(const char *section, int *id, char **transport, size_t position)
{
	*id = (int)position;
	if ((*transport)[0] == '\0') {
		free(*transport);
		*transport = xasprintf("mailhooks-%s-%d", section, *id);
	}
}

static void store(struct config *c, cfg_t *cfg)
{
	store_section(cfg, "", c);
	for (size_t i = 0; config_sections[i] != NULL; i++)
		if (config_titled_section(config_sections[i]) == NULL)
			store_section(cfg_getsec(cfg, config_sections[i]), config_sections[i], c);
	for (const struct titled_section *t = config_titled; t->name != NULL; t++)
		store_titled(c, cfg, t);
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i].id == 0)
			c->services[i].id = (int)i + 1;
	for (size_t i = 0; i < c->nsenders; i++)
		name_transport(CONFIG_SENDER, &c->senders[i].id, &c->senders[i].transport, i);
	for (size_t i = 0; i < c->nprofiles; i++)
		name_transport(CONFIG_PROFILE, &c->profiles[i].id, &c->profiles[i].transport, i);
}

static void free_titled(struct config *c, const struct titled_section *t)
{
	for (size_t k = 0; k < config_titled_count(t, c); k++) {
		void *element = config_titled_element(t, c, k);

		for (size_t i = 0; i < config_nsettings; i++)
			if (strcmp(config_settings[i].section, t->name) == 0)
				config_value_free(&config_settings[i], element);
		free(*(char **)element);
	}
	free(*(void **)((char *)c + t->array));
}

static void config_free(struct config *c)
{
	for (size_t i = 0; i < config_nsettings; i++)
		if (config_titled_section(config_settings[i].section) == NULL)
			config_value_free(&config_settings[i], c);
	for (const struct titled_section *t = config_titled; t->name != NULL; t++)
		free_titled(c, t);
	free(c->path);
	free(c);
}

/* ---- public ---- */

static struct config *load_one(const char *path, const struct config_overrides *overrides)
{
	const char *file = path != NULL ? path : CONFIG_DEFAULT_PATH;
	struct counted *counted = NULL;
	cfg_t *cfg = new_parser();

	if (cfg == NULL || !parse_file(cfg, file, path != NULL))
		goto out;
	if (cfg_size(cfg, CONFIG_SERVICE) == 0 &&
	    cfg_setopt(cfg, cfg_getopt(cfg, CONFIG_SERVICE), CONFIG_FIRST_SERVICE) == NULL) {
		config_failed(NULL, "out of memory");
		goto out;
	}
	if (overrides != NULL && !override_all(cfg, &overrides->items))
		goto out;

	counted = xcalloc(1, sizeof *counted);
	atomic_init(&counted->references, 1);
	counted->config.path = xstrdup(load->path == file ? file : "");
	store(&counted->config, cfg);
	if (!config_fits(&counted->config)) {
		config_free(&counted->config);
		counted = NULL;
	}
out:
	if (cfg != NULL)
		cfg_free(cfg);
	return counted != NULL ? &counted->config : NULL;
}

struct config *config_load(
    const char *path, const struct config_overrides *overrides, char *error, size_t size)
{
	struct load this = {.path = "configuration", .error = error, .size = size};
	struct config *config;

	if (size > 0)
		error[0] = '\0';
	this.lines = xcalloc(config_nsettings, sizeof *this.lines);
	pthread_mutex_lock(&one_load);
	load = &this;
	config = load_one(path, overrides);
	load = NULL;
	pthread_mutex_unlock(&one_load);
	free(this.lines);
	return config;
}

struct config *config_ref(struct config *c)
{
	atomic_fetch_add(&((struct counted *)c)->references, 1);
	return c;
}

void config_unref(struct config *c)
{
	if (c != NULL && atomic_fetch_sub(&((struct counted *)c)->references, 1) == 1)
		config_free(c);
}

void config_keep(char **next, const char *in_force, const char *name)
{
	if (strcmp(*next, in_force) == 0)
		return;
	/* not the values: the address of a store may have a password */
	log_warn(NULL, "%s: another value takes effect with a restart only", name);
	xreplace(next, in_force);
}

bool network_list_has(const struct network_list *list, const struct ip_address *address)
{
	for (size_t i = 0; i < list->n; i++)
		if (ip_network_has(&list->v[i], address))
			return true;
	return false;
}

bool network_list_has_all(const struct network_list *list)
{
	bool ipv4 = false, ipv6 = false;

	for (size_t i = 0; i < list->n; i++) {
		ipv4 |= list->v[i].bits == 0 && list->v[i].base.family == AF_INET;
		ipv6 |= list->v[i].bits == 0 && list->v[i].base.family == AF_INET6;
	}
	return ipv4 && ipv6;
}

const struct service_config *config_service(
    const struct config *c, const char *listen, const char *daemon_name)
{
	for (size_t i = 0; listen != NULL && i < c->nservices; i++)
		if (strlist_has(&c->services[i].listen, listen))
			return &c->services[i];
	for (size_t i = 0; daemon_name != NULL && i < c->nservices; i++)
		if (strlist_has(&c->services[i].daemon_names, daemon_name))
			return &c->services[i];
	return &c->services[0];
}
