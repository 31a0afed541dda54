/* cpu_time.c - see cpu_time.h. Written by hand: the one field needed of each file does not pay
 * for a library. */
#include "cpu_time.h"

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define STAT_BYTES 1024 /* one line of numbers and a name of 15 letters */

struct process {
	pid_t pid, parent;
	uint64_t ticks;
	bool in_tree;
};

static double ticks_to_seconds(uint64_t ticks)
{
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* The name may contain anything, so the fields are counted from its last bracket. */
static bool read_process(const char *pid, struct process *process)
{
	unsigned long user, system;
	long reaped_user, reaped_system;
	char path[64], line[STAT_BYTES], *bracket;
	int parent, n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	bracket = fgets(line, sizeof(line), f) == NULL ? NULL : strrchr(line, ')');
	fclose(f);
	if (bracket == NULL)
		return false;
	n = sscanf(bracket + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld",
	    &parent, &user, &system, &reaped_user, &reaped_system);
	process->pid = (pid_t)atol(pid);
	process->parent = parent;
	process->ticks = user + system + (uint64_t)reaped_user + (uint64_t)reaped_system;
	process->in_tree = false;
	return n == 5;
}

/* All processes, to be freed; those that end meanwhile are left out. */
static struct process *read_processes(size_t *count)
{
	struct process *all = NULL;
	size_t n = 0, room = 0;
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (proc == NULL)
		err(EX_OSERR, "/proc");
	while ((entry = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (n == room) {
			room = room == 0 ? 256 : 2 * room;
			all = realloc(all, room * sizeof(*all));
			if (all == NULL)
				err(EX_OSERR, "%zu processes", room);
		}
		if (read_process(entry->d_name, &all[n]))
			n++;
	}
	closedir(proc);
	*count = n;
	return all;
}

static bool has_parent_in_tree(const struct process *all, size_t n, pid_t parent)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].pid == parent)
			return all[i].in_tree;
	return false;
}

bool cpu_time_tree(pid_t root, double *seconds)
{
	size_t n;
	struct process *all = read_processes(&n);
	uint64_t ticks = 0;
	bool found = false, grown = true;

	for (size_t i = 0; i < n; i++)
		if (all[i].pid == root)
			found = all[i].in_tree = true;
	while (grown) { /* one generation each time: /proc is not in order of birth */
		grown = false;
		for (size_t i = 0; i < n; i++)
			if (!all[i].in_tree && has_parent_in_tree(all, n, all[i].parent))
				grown = all[i].in_tree = true;
	}
	for (size_t i = 0; i < n; i++)
		if (all[i].in_tree)
			ticks += all[i].ticks;
	free(all);
	*seconds = ticks_to_seconds(ticks);
	return found;
}

bool cpu_time_machine(double *seconds)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq;
	FILE *f = fopen("/proc/stat", "re");
	int n;

	if (f == NULL)
		return false;
	n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
	    &iowait, &irq, &softirq);
	fclose(f);
	*seconds = ticks_to_seconds(user + nice + system + irq + softirq);
	return n == 7;
}

double cpu_time_self(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		err(EX_OSERR, "getrusage");
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
