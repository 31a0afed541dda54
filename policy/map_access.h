/* map_access.h - how Sendmail talks to a mail server: the map `server_tls`, ServerDetails().
 *
 * The same as `access` stands in the place of FEATURE(access_db) for rules of one's own.
 * contrib/sendmail-outbound-tls.m4 asks it for each server that Sendmail has connected to, and
 * tls_srv for each recipient again, since one connection may serve several domains:
 *
 *   try_tls:HOST | RECIPIENT   before STARTTLS; answer "NO", or not found
 *   tls_srv:HOST | RECIPIENT   after it, or where it would have been; answer what is demanded:
 *                              "ENCR", "VERIFY:name" (a verified certificate for that name),
 *                              "FP:AA:BB..." (its fingerprint), or not found
 *
 * Without an answer in time the last one for that server and domain goes out again, else tls_srv
 * has TEMP: mail that must be encrypted never leaves in clear because we were slow. Other keys are
 * not found. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_access_answer(const struct map_query *, int number);
struct map_answer map_access_late(const struct map_query *, int number);
