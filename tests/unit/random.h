/* random.h - bytes for property tests, the same in every run. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* xorshift64*: enough to reach every branch of a parser, and no state but the seed. */
static inline uint32_t random_next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * UINT64_C(2685821657736338717)) >> 32);
}

/* Up to most bytes: three of four from the likely ones, the rest anything. Returns the number;
 * out has room for a NUL after it. */
static inline size_t random_bytes(
    uint64_t *seed, char *out, size_t most, const char *likely, size_t nlikely)
{
	size_t n = random_next(seed) % (most + 1);

	for (size_t i = 0; i < n; i++)
		out[i] = random_next(seed) % 4 != 0 ? likely[random_next(seed) % nlikely]
						    : (char)random_next(seed);
	out[n] = '\0';
	return n;
}
