/* near.h - which name was meant? The edit distance of two names, for "did you mean ...?". Pure.
 * Written here: no library that is linked has one. */
#pragma once

#include <stddef.h>

#define NEAR_MOST 64 /* characters of a name that are compared; real ones have some 20 */

/* Levenshtein's distance: characters to insert, delete or replace. */
size_t near_distance(const char *a, const char *b);
/* The same for names whose ASCII case was perhaps mistaken: that counts as nothing. */
size_t near_name(const char *a, const char *b);
