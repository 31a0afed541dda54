/* near.c - see near.h. */
#include "common/near.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool same(char a, char b, bool fold)
{
	return a == b || (fold && tolower((unsigned char)a) == tolower((unsigned char)b));
}

static size_t distance(const char *a, const char *b, bool fold)
{
	size_t row[NEAR_MOST + 1];
	size_t na = strnlen(a, NEAR_MOST), nb = strnlen(b, NEAR_MOST);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = diagonal + !same(a[i - 1], b[j - 1], fold);

			diagonal = row[j];
			if (best > diagonal + 1)
				best = diagonal + 1;
			if (best > row[j - 1] + 1)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

size_t near_distance(const char *a, const char *b)
{
	return distance(a, b, false);
}

size_t near_name(const char *a, const char *b)
{
	return distance(a, b, true);
}
