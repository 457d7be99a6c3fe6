// run FILE PROGRAM ARGUMENT...: runs a program to its end and writes to FILE what it cost, as JSON.
//
// It does nothing else, and is small, because a process's peak memory is never less than that of the
// one that it was started from. It takes its child with it when it is killed.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
	return time.tv_sec + time.tv_usec / 1e6;
}

static pid_t child;

// Passes on what it is told, so that the program can end in its own way.
static void pass(int signal)
{
	kill(child, signal);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	double start = now();
	child = fork();
	if (child < 0) {
		perror("fork");
		return 2;
	}
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	signal(SIGINT, pass);
	signal(SIGTERM, pass);
	int status;
	struct rusage usage;
	while (wait4(child, &status, 0, &usage) < 0)
		;
	double wall = now() - start;
	FILE *file = fopen(argv[1], "w");
	if (!file) {
		perror(argv[1]);
		return 2;
	}
	fprintf(file, "{\"start\":%.6f,\"wall\":%.6f,\"user\":%.6f,\"system\":%.6f,\"peak_kib\":%ld,\"status\":%d}\n", start, wall,
		seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return fclose(file) ? 2 : 0;
}
