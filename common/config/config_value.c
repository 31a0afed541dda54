/* config_value.c - the value of one setting: from text to a field of struct config.
 *
 * A text is checked where it is read, while its line is known, and stored when the whole
 * configuration has been read. */
#include "common/config/config_private.h"
#include "common/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* config_value_store() writes words and modes through these types. */
_Static_assert(sizeof(enum log_target) == sizeof(int), "enums are as wide as int");
_Static_assert(sizeof(mode_t) == sizeof(int), "mode_t is as wide as int");

static bool parse_number(const struct setting *s, const char *text, int64_t *out)
{
	int base = s->kind == SETTING_MODE ? 8 : 10;
	size_t n = strspn(text, base == 8 ? "01234567" : "0123456789");

	if (n == 0 || n > 18 || text[n] != '\0') /* 18 digits always fit */
		return false;
	*out = strtoll(text, NULL, base);
	return *out >= s->least && *out <= s->most;
}

static bool parse_word(const struct setting *s, const char *text, int *out)
{
	for (const struct setting_word *w = s->words; w->text != NULL; w++)
		if (strcmp(w->text, text) == 0) {
			*out = w->value;
			return true;
		}
	return false;
}

static bool has_control(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return true;
	return false;
}

static bool check_text(const struct setting *s, const char *text, char *why, size_t size)
{
	const char *wanted = s->check != NULL ? s->check(text) : NULL;

	if (has_control(text))
		wanted = "a text without line ends and control characters is wanted";
	else if (strlen(text) > LIMIT_CONFIG_VALUE_BYTES)
		wanted = "a text of at most 2000 bytes is wanted";
	else if (s->kind == SETTING_PATH && text[0] != '/' && !(s->optional && text[0] == '\0'))
		wanted = s->optional ? "an absolute path is wanted, or \"\" for none"
				     : "an absolute path is wanted";
	if (wanted != NULL)
		snprintf(why, size, "%s", wanted);
	return wanted == NULL;
}

static bool check_number(const struct setting *s, const char *text, char *why, size_t size)
{
	bool octal = s->kind == SETTING_MODE;
	int64_t number;

	if (parse_number(s, text, &number))
		return true;
	if (octal)
		snprintf(why, size, "an octal mode from %04o to %04o is wanted", (unsigned)s->least,
		    (unsigned)s->most);
	else
		snprintf(why, size, "a whole number from %lld to %lld is wanted%s%s",
		    (long long)s->least, (long long)s->most, s->reason != NULL ? ": " : "",
		    s->reason != NULL ? s->reason : "");
	return false;
}

static bool check_word(const struct setting *s, const char *text, char *why, size_t size)
{
	size_t n = 0;
	int value;

	if (parse_word(s, text, &value))
		return true;
	for (const struct setting_word *w = s->words; w->text != NULL && n < size; w++)
		n += (size_t)snprintf(
		    why + n, size - n, "%s%s", n == 0 ? "wanted is one of " : ", ", w->text);
	return false;
}

static bool check_bool(const struct setting *s, const char *text, char *why, size_t size)
{
	(void)s;
	if (cfg_parse_boolean(text) >= 0)
		return true;
	snprintf(why, size, "true or false is wanted");
	return false;
}

static bool check_network(const struct setting *s, const char *text, char *why, size_t size)
{
	struct ip_network network;
	const char *wrong;

	(void)s;
	if (ip_network_parse(&network, text, &wrong))
		return true;
	snprintf(why, size, "%s", wrong);
	return false;
}

bool config_value_check(const struct setting *s, const char *text, char *why, size_t size)
{
	static bool (*const checks[])(const struct setting *, const char *, char *, size_t) = {
	    [SETTING_TEXT] = check_text,
	    [SETTING_PATH] = check_text,
	    [SETTING_INT] = check_number,
	    [SETTING_INT64] = check_number,
	    [SETTING_SIZE] = check_number,
	    [SETTING_BYTES] = check_number,
	    [SETTING_MODE] = check_number,
	    [SETTING_BOOL] = check_bool,
	    [SETTING_WORD] = check_word,
	    [SETTING_LIST] = check_text,
	    [SETTING_NETWORKS] = check_network,
	};

	return checks[s->kind](s, text, why, size);
}

static void store_networks(struct network_list *list, cfg_opt_t *opt)
{
	const char *why;

	list->n = cfg_opt_size(opt);
	list->v = xcalloc(list->n, sizeof *list->v);
	for (unsigned i = 0; i < list->n; i++)
		ip_network_parse(&list->v[i], cfg_opt_getnstr(opt, i), &why);
}

static void store_number(const struct setting *s, void *field, const char *text)
{
	int64_t number = 0;

	parse_number(s, text, &number);
	if (s->scale != 0)
		number *= s->scale;
	switch (s->kind) {
	case SETTING_INT64:
		*(int64_t *)field = number;
		break;
	case SETTING_SIZE:
		*(size_t *)field = (size_t)number;
		break;
	case SETTING_BYTES:
		*(uint64_t *)field = (uint64_t)number;
		break;
	default:
		*(int *)field = (int)number;
	}
}

void config_value_store(const struct setting *s, void *base, cfg_opt_t *opt)
{
	void *field = (char *)base + s->offset;
	const char *text = config_setting_is_list(s) ? NULL : cfg_opt_getnstr(opt, 0);

	switch (s->kind) {
	case SETTING_LIST:
		for (unsigned i = 0; i < cfg_opt_size(opt); i++)
			strlist_add(field, cfg_opt_getnstr(opt, i));
		break;
	case SETTING_NETWORKS:
		store_networks(field, opt);
		break;
	case SETTING_TEXT:
	case SETTING_PATH:
		xreplace(field, text);
		break;
	case SETTING_BOOL:
		*(bool *)field = cfg_parse_boolean(text) == 1;
		break;
	case SETTING_WORD:
		parse_word(s, text, field);
		break;
	default:
		store_number(s, field, text);
	}
}

void config_value_free(const struct setting *s, void *base)
{
	void *field = (char *)base + s->offset;

	switch (s->kind) {
	case SETTING_LIST:
		strlist_clear(field);
		break;
	case SETTING_NETWORKS:
		free(((struct network_list *)field)->v);
		*(struct network_list *)field = (struct network_list){NULL, 0};
		break;
	case SETTING_TEXT:
	case SETTING_PATH:
		xreplace(field, NULL);
		break;
	default:
		break;
	}
}
