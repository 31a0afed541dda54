/* notify.h - tell systemd how we are (sd_notify protocol).
 *
 * By hand although libsystemd has it: the protocol is one datagram, and the library would pull a
 * compression stack into a process that starts as root. */
#pragma once

#include <stdint.h>

void notify(const char *state);	  /* "READY=1" ...; nothing happens outside of systemd */
int64_t notify_watchdog_ms(void); /* 0 = no watchdog */
