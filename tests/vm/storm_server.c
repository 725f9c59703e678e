// SPDX-License-Identifier: GPL-2.0
/*
 * storm_server FD...: accepts from these listening sockets for ever. Says in capitals
 * what comes on a connection whose handshake the kernel did; on another answers one
 * octet, 'k' to a TLS record and '?' to anything else, and closes.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/tls_hs.h"

/* In the event: what the descriptor is. */
enum { LISTENER, KERNEL, LIBRARY };

static int epoll;

/* It calls the module's poll, below which allocations may be made to fail. */
static bool watch(int fd, unsigned int what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)what << 32 | fd };

	if (!epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		return true;
	if (errno != ENOMEM)
		err(EXIT_FAILURE, "epoll");
	return false;
}

static void accept_all(int listener)
{
	for (;;) {
		struct sockaddr_storage from = {};
		socklen_t len = sizeof(from);
		int fd = accept4(listener, (void *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EAGAIN || errno == EBADF || errno == EINVAL))
			return;
		/* That client has gone, or memory is short: the next one. */
		if (fd >= 0) {
			if (!watch(fd, from.ss_family == PF_TLS ? KERNEL : LIBRARY))
				close(fd);
		} else if (errno == ENOMEM || errno == ENOBUFS || errno == EMFILE) {
			return;
		}
	}
}

static void serve(int fd, unsigned int what)
{
	char buf[4096];
	ssize_t n, i;

	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && what == KERNEL) {
		for (i = 0; i < n; i++)
			buf[i] = toupper((unsigned char)buf[i]);
		if (send(fd, buf, n, MSG_NOSIGNAL) == n)
			return;
	} else if (n > 0) {
		/* All of it, so that close() sends no reset. */
		send(fd, *buf == 0x16 ? "k" : "?", 1, MSG_NOSIGNAL);
		while (recv(fd, buf, sizeof(buf), 0) > 0)
			;
	}
	close(fd);
}

int main(int argc, char **argv)
{
	int i, n;

	if (argc < 2)
		errx(EXIT_FAILURE, "usage: storm_server FD...");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		err(EXIT_FAILURE, "epoll");
	for (i = 1; i < argc; i++) {
		int fd = atoi(argv[i]);

		if (fcntl(fd, F_SETFL, O_NONBLOCK))
			err(EXIT_FAILURE, "%s", argv[i]);
		if (!watch(fd, LISTENER))
			err(EXIT_FAILURE, "epoll");
	}
	for (;;) {
		struct epoll_event events[64];

		n = epoll_wait(epoll, events, 64, -1);
		for (i = 0; i < n; i++) {
			unsigned int what = events[i].data.u64 >> 32;
			int fd = events[i].data.u64 & 0xffffffff;

			if (what == LISTENER)
				accept_all(fd);
			else
				serve(fd, what);
		}
	}
}
