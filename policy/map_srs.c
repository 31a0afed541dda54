/* map_srs.c - see map_srs.h. */
#include "policy/map_srs.h"

#include "common/list.h"
#include "common/return_path.h"

#include <stdlib.h>
#include <string.h>

struct map_answer map_srs_answer(const struct map_query *q, int number)
{
	char *original;

	(void)number;
	switch (return_path_reverse(script_set_config(q->set), q->key, &original)) {
	case RETURN_PATH_DONE:
		return (struct map_answer){SOCKETMAP_OK, original};
	case RETURN_PATH_FORGED:
		log_info(q->id, "srs: <%.200s> has a tag that is not ours", q->key);
		break;
	case RETURN_PATH_EXPIRED:
		log_info(q->id, "srs: <%.200s> has expired", q->key);
		break;
	case RETURN_PATH_UNKNOWN:
		return (struct map_answer){
		    SOCKETMAP_TEMP, xstrdup("the keys of return paths cannot be read")};
	case RETURN_PATH_NOT:
	case RETURN_PATH_OFF:
		break;
	}
	free(original);
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}
