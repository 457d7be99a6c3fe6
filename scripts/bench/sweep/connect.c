// connect BASE COUNT PORT THREADS FLIGHT: connects once to each of COUNT addresses from BASE on, by
// kernel sockets and epoll, with FLIGHT of them under way in each of THREADS threads. Each connection
// is closed by FIN as soon as it stands, and is done when the other end has closed too. Prints JSON.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct work {
	pthread_t thread;
	unsigned base, count, flight;
	int port;
	unsigned long closed, failed;
};

static int begin(struct work *work, int poll, unsigned number)
{
	struct sockaddr_in there = { .sin_family = AF_INET, .sin_port = htons(work->port),
				     .sin_addr.s_addr = htonl(work->base + number) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct epoll_event event = { .events = EPOLLOUT, .data.fd = fd };
	if (fd < 0 || (connect(fd, (struct sockaddr *)&there, sizeof(there)) && errno != EINPROGRESS) ||
	    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) {
		work->failed++;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	return 1;
}

static void *run(void *argument)
{
	struct work *work = argument;
	int poll = epoll_create1(0);
	unsigned next = 0, flying = 0;
	struct epoll_event events[256];
	while (next < work->count || flying) {
		while (flying < work->flight && next < work->count)
			flying += begin(work, poll, next++);
		int ready = epoll_wait(poll, events, 256, 10000);
		if (ready <= 0) {
			work->failed += flying;
			break;
		}
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			if (!(events[i].events & (EPOLLERR | EPOLLHUP | EPOLLIN))) {
				// It stands. From now on only the end of the other is of interest.
				struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
				shutdown(fd, SHUT_WR);
				epoll_ctl(poll, EPOLL_CTL_MOD, fd, &event);
				continue;
			}
			char byte;
			if (read(fd, &byte, 1) == 0)
				work->closed++;
			else
				work->failed++;
			close(fd);
			flying--;
		}
	}
	close(poll);
	return NULL;
}

int main(int argc, char **argv)
{
	struct in_addr base;
	if (argc < 6 || !inet_aton(argv[1], &base))
		return 2;
	struct rlimit files = { 1 << 20, 1 << 20 };
	setrlimit(RLIMIT_NOFILE, &files);
	unsigned count = atoi(argv[2]), threads = atoi(argv[4]);
	if (threads < 1 || threads > 64)
		return 2;
	struct work works[64] = { 0 };
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < threads; i++) {
		unsigned from = (unsigned long)count * i / threads, to = (unsigned long)count * (i + 1) / threads;
		works[i] = (struct work){ .base = ntohl(base.s_addr) + from, .count = to - from,
					  .flight = atoi(argv[5]), .port = atoi(argv[3]) };
		if (pthread_create(&works[i].thread, NULL, run, &works[i]))
			return 1;
	}
	unsigned long closed = 0, failed = 0;
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(works[i].thread, NULL);
		closed += works[i].closed;
		failed += works[i].failed;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("{\"closed\":%lu,\"failed\":%lu,\"seconds\":%.6f}\n", closed, failed,
	       end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
	return 0;
}
