// SPDX-License-Identifier: GPL-2.0
/*
 * The event loop: one thread, one epoll instance, a state machine for each
 * connection. After close_notify a connection waits for the peer to close,
 * since closing with data unread would reset it and lose the response.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "httpd.h"

/* Seconds without progress after which a connection is closed. */
#define IDLE_MAX	30
#define DRAIN_MAX	3

static volatile sig_atomic_t stopped;
static struct conn *conns;

static void stop(int sig __maybe_unused)
{
	stopped = 1;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* "192.0.2.1:443" or "[2001:db8::1]:443" */
static const char *address(const struct sockaddr_storage *addr)
{
	static char text[INET6_ADDRSTRLEN + 16];
	char ip[INET6_ADDRSTRLEN] = "-";

	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)addr;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:%u", ip, ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const void *)addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "[%s]:%u", ip, ntohs(in6->sin6_port));
	}
	return text;
}

static void report(struct conn *conn)
{
	struct session session = conn->transport->session(conn);

	printf("conn peer=%s tls=%s version=%s suite=%s group=%s alpn=%s",
	       address(&conn->peer), conn->transport->name, session.version,
	       session.suite, session.group, session.alpn);
	printf(" sni=%s resumed=%s bytes=%llu", session.sni,
	       session.resumed ? "yes" : "no", (unsigned long long)conn->bytes);
	if (conn->error)
		printf(" error=%s", strerrorname_np(-conn->error));
	printf("\n");
	fflush(stdout);
}

static void close_conn(struct conn *conn, const struct options *options)
{
	if (options->verbose)
		report(conn);
	if (conn->transport->release)
		conn->transport->release(conn);
	*conn->prev = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	close(conn->fd);
	free(conn->response);
	free(conn);
}

static void new_conn(int ep, int fd, bool kernel, const struct options *options)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct conn *conn = calloc(1, sizeof(*conn));
	socklen_t len = sizeof(conn->peer);

	if (!conn) {
		close(fd);
		return;
	}
	conn->fd = fd;
	conn->want = EPOLLIN;
	conn->armed = EPOLLIN;
	conn->active = now();
	conn->transport = &kernel_transport;
	conn->state = CONN_REQUEST;
	getpeername(fd, (struct sockaddr *)&conn->peer, &len);
	if (!kernel) {
		conn->state = CONN_HANDSHAKE;
		if (library_attach(conn)) {
			close(fd);
			free(conn);
			return;
		}
	}
	conn->prev = &conns;
	conn->next = conns;
	if (conns)
		conns->prev = &conn->next;
	conns = conn;

	event.data.ptr = conn;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		close_conn(conn, options);
}

static void accept_all(int ep, int sd, const struct options *options)
{
	for (;;) {
		bool kernel;
		int fd = tls_accept(sd, &kernel);

		if (fd >= 0)
			new_conn(ep, fd, kernel, options);
		else if (fd == -EAGAIN)
			return;
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
			return (void)usleep(10000);
		else if (fd != -ECONNABORTED && fd != -EINTR)
			errx(EXIT_FAILURE, "accept: %s", strerror(-fd));
	}
}

/*
 * One step of a connection. 0: call again, -EAGAIN: wait for conn->want,
 * anything else: it is over.
 */
static int step(struct conn *conn, const struct options *options)
{
	const struct transport *transport = conn->transport;
	ssize_t n;
	int ret;

	switch (conn->state) {
	case CONN_HANDSHAKE:
		ret = transport->handshake(conn);
		if (!ret)
			conn->state = CONN_REQUEST;
		return ret;

	case CONN_REQUEST:
		n = http_request_len(conn->request, conn->request_len);
		if (n < 0)
			return n;
		if (n) {
			conn->state = CONN_RESPONSE;
			return http_respond(conn, n, options);
		}
		n = transport->read(conn, conn->request + conn->request_len,
				    sizeof(conn->request) - conn->request_len);
		if (n < 0)
			return n;
		conn->request_len += n;
		if (!n)
			conn->state = CONN_CLOSE_NOTIFY;
		return 0;

	case CONN_RESPONSE:
		n = transport->write(conn, conn->response + conn->response_sent,
				     conn->response_len - conn->response_sent);
		if (n < 0)
			return n;
		conn->bytes += n;
		conn->response_sent += n;
		if (conn->response_sent < conn->response_len)
			return 0;
		free(conn->response);
		conn->response = NULL;
		conn->state = conn->close ? CONN_CLOSE_NOTIFY : CONN_REQUEST;
		return 0;

	case CONN_CLOSE_NOTIFY:
		ret = transport->close_notify ? transport->close_notify(conn) : 0;
		if (ret)
			return ret;
		shutdown(conn->fd, SHUT_WR);
		conn->state = CONN_DRAIN;
		return 0;

	case CONN_DRAIN:
		/* What comes now is of no interest, whatever it is. */
		conn->want = EPOLLIN;
		n = recv(conn->fd, conn->request, sizeof(conn->request), MSG_DONTWAIT);
		if (n > 0)
			return 0;
		return n < 0 && errno == EAGAIN ? -EAGAIN : -ESHUTDOWN;
	}
	return -EINVAL;
}

static void run(int ep, struct conn *conn, const struct options *options)
{
	struct epoll_event event = { .data.ptr = conn };
	int ret;

	conn->active = now();
	do {
		ret = step(conn, options);
	} while (!ret);
	if (ret != -EAGAIN) {
		conn->error = ret == -ESHUTDOWN ? 0 : ret;
		close_conn(conn, options);
		return;
	}
	if (conn->want == conn->armed)
		return;
	event.events = conn->want;
	if (!epoll_ctl(ep, EPOLL_CTL_MOD, conn->fd, &event))
		conn->armed = conn->want;
}

static void close_idle(const struct options *options)
{
	time_t time = now();
	struct conn *conn, *next;

	for (conn = conns; conn; conn = next) {
		bool drain = conn->state == CONN_DRAIN;

		next = conn->next;
		if (time - conn->active <= (drain ? DRAIN_MAX : IDLE_MAX))
			continue;
		conn->error = drain ? 0 : -ETIMEDOUT;
		close_conn(conn, options);
	}
}

/* Serves until SIGTERM or SIGINT; returns the exit status. */
int serve(int sd, const struct options *options)
{
	struct sigaction action = { .sa_handler = stop };
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	sigset_t blocked, original;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	/* The signals are let in while waiting only. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, &original);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, sd, &event))
		err(EXIT_FAILURE, "epoll");
	if (getsockname(sd, (struct sockaddr *)&addr, &len))
		err(EXIT_FAILURE, "getsockname");
	printf("ready %s\n", address(&addr));
	fflush(stdout);

	while (!stopped) {
		struct epoll_event events[64];
		int i, n = epoll_pwait(ep, events, 64, 1000, &original);

		if (n < 0 && errno != EINTR)
			err(EXIT_FAILURE, "epoll");
		for (i = 0; i < n; i++) {
			if (events[i].data.ptr)
				run(ep, events[i].data.ptr, options);
			else
				accept_all(ep, sd, options);
		}
		close_idle(options);
	}

	while (conns)
		close_conn(conns, options);
	close(ep);
	close(sd);
	return EXIT_SUCCESS;
}
