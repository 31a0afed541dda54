/* background.c - see background.h. */
#include "common/daemon/background.h"

#include "common/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static int ready_fd = -1; /* the starting process waits at the other end */

void background_enter(void)
{
	int pipe_fds[2];
	char status;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		log_fatal(EX_OSERR, "cannot go into the background: %m");
	if (pid != 0) {
		close(pipe_fds[1]);
		if (read(pipe_fds[0], &status, 1) != 1)
			status = EX_SOFTWARE;
		_exit(status);
	}
	close(pipe_fds[0]);
	ready_fd = pipe_fds[1];
	setsid();
	if (chdir("/") != 0)
		log_warn(NULL, "chdir /: %m");
}

void background_failed(int status)
{
	char byte = (char)status;

	if (ready_fd < 0)
		return;
	if (write(ready_fd, &byte, 1) != 1)
		log_warn(NULL, "the starting process is gone: %m");
	close(ready_fd);
	ready_fd = -1;
}

void background_ready(void)
{
	int null;

	if (ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	background_failed(EXIT_SUCCESS);
}
