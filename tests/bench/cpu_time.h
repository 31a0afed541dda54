/* cpu_time.h - CPU time of processes and of the machine, in seconds, from /proc. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* User and system time of a process, its living descendants and those they have waited for.
 * False when the process does not exist. */
bool cpu_time_tree(pid_t, double *seconds);
/* Time that all processors together did not idle. */
bool cpu_time_machine(double *seconds);
/* Of this process. */
double cpu_time_self(void);
