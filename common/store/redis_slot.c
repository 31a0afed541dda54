/* redis_slot.c - see redis_slot.h.
 *
 * CRC-16/XMODEM by hand: no library in Debian offers it, and with a table of 16 it is four lines.
 */
#include "common/store/redis_slot.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint16_t crc16(const char *s, size_t n)
{
	static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6,
	    0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
	uint16_t crc = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t byte = (uint8_t)s[i];

		crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ byte >> 4) & 15]);
		crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ byte) & 15]);
	}
	return crc;
}

unsigned redis_slot(const char *key)
{
	const char *open = strchr(key, '{');
	const char *close = open != NULL ? strchr(open + 1, '}') : NULL;

	if (close != NULL && close > open + 1)
		return crc16(open + 1, (size_t)(close - open - 1)) % REDIS_SLOTS;
	return crc16(key, strlen(key)) % REDIS_SLOTS;
}
