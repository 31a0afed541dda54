/* redis_slot.h - the hash slot of a key in Redis Cluster. Pure. */
#pragma once

#define REDIS_SLOTS 16384

/* Of the part between the first '{' and the next '}' if there is something between, else of the
 * whole key. */
unsigned redis_slot(const char *key);
