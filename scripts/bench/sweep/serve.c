// serve PORT: accepts, answers whatever is said by a short page and closes, or closes when the other
// end does. Prints "listening" when it is, and when it is ended by TERM what it saw, as JSON.
//
// One thread, edge by edge, no allocation: it is the server of all tools, and is not to be what is measured.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static volatile sig_atomic_t over;

static void stop(int signal)
{
	(void)signal;
	over = 1;
}

static int failed(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	struct rlimit files = { 1 << 20, 1 << 20 };
	setrlimit(RLIMIT_NOFILE, &files);
	struct sigaction action = { .sa_handler = stop };
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);

	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])) };
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 65535))
		return failed("listen");
	int poll = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event))
		return failed("epoll");
	printf("listening\n");
	fflush(stdout);

	unsigned long accepted = 0, closed = 0, asked = 0, reset = 0;
	struct epoll_event events[512];
	while (!over) {
		int ready = epoll_wait(poll, events, 512, -1);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				// Not all at once, so that those who are already here get their turn too.
				for (int turn = 0; turn < 256; turn++) {
					int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
					if (client < 0)
						break;
					accepted++;
					event.events = EPOLLIN | EPOLLRDHUP;
					event.data.fd = client;
					epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
				}
				continue;
			}
			char said[4096];
			ssize_t size = read(fd, said, sizeof(said));
			if (size < 0 && errno == EAGAIN)
				continue;
			if (size > 0) {
				asked++;
				if (write(fd, page, sizeof(page) - 1) < 0)
					reset++;
			} else if (size == 0) {
				closed++;
			} else {
				reset++;
			}
			close(fd);
		}
	}
	printf("{\"accepted\":%lu,\"closed\":%lu,\"asked\":%lu,\"reset\":%lu}\n", accepted, closed, asked, reset);
	return 0;
}
