/* The saved state of the log's follower, as a file that somebody has changed. */
#include "policy/dialogues.h"
#include "tests/fuzz/must.h"

static void on_tried(const char *queue_id, const struct dialogue *d, const char *sender, void *arg)
{
	(void)sender, (void)arg;
	MUST(queue_id != NULL && d->recipients.n == d->results.n);
}

static void on_known(const char *id, const char *sender, int64_t size, int64_t ms, void *arg)
{
	(void)id, (void)sender, (void)size, (void)ms, (void)arg;
}

static void on_time(const char *id, int64_t ms, void *arg)
{
	(void)id, (void)ms, (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dialogues_listener listener = {
	    on_tried, on_known, on_time, on_time, NULL};
	struct dialogues *g = dialogues_new(&listener);

	if (dialogues_load(g, (const char *)data, size, 0))
		dialogues_quiet(g, INT64_MAX / 2);
	dialogues_free(g);
	return 0;
}
