// SPDX-License-Identifier: GPL-2.0
/*
 * storm: many TLS clients in one process, most of which go wrong somewhere.
 *
 *	storm [OPTION...] ADDRESS PORT CAFILE
 *	  -n N	connections, -c N at a time
 *	  -s N	seed of the random numbers
 *	  -w N	receive buffer of the clients: small windows
 *	  -t N	seconds after which a connection counts as stuck
 *	  -k K	connections of these kinds only, names separated by commas
 *	  -f	listeners or memory fail: valid clients may fail, too
 *	  -l	the network loses segments: the end of faulty clients may go unnoticed
 *
 * Prints "KIND tried succeeded" for each kind, then "wrong N"; a client that went
 * wrong has a line of its own on standard error. A client of a faulty kind has
 * succeeded when it got as far as it meant to and the connection has ended.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "storm_kinds.h"

#define KINDS		(sizeof(kinds) / sizeof(kinds[0]))
#define BUFFER		16384
#define ECHO_SIZE	24

enum ending { CLOSE, RESET, HALF_CLOSE };

struct conn {
	const struct kind *kind;
	SSL		*ssl;
	BIO		*in, *out;
	unsigned char	*unsent;
	size_t		unsent_len, unsent_off, piece;
	int		fd;
	double		deadline;
	enum ending	ending;
	unsigned int	flights;
	unsigned int	echoes;
	bool		connected, ends, drains, asked;
	char		echo[ECHO_SIZE];
	unsigned int	echo_len;
};

static struct { unsigned long tried, succeeded; } tally[KINDS];
static unsigned long wrong, total = 100, running, started;
static unsigned int at_a_time = 16, window, patience = 60;
static bool faults, lossy;
static struct sockaddr_storage address;
static socklen_t address_len;
static SSL_CTX *contexts[3];		/* 1.2, 1.3, of a library */
static SSL_SESSION *sessions[2][8];
static int epoll;
static struct conn **conns;
static unsigned int weights[KINDS], weight;
static uint64_t state;

/* xorshift64*: the same seed, the same storm */
static uint32_t rnd(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return ((state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* --- the beginning and the end of a connection --- */

static int new_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **slot = &sessions[SSL_version(ssl) == TLS1_3_VERSION][rnd(8)];

	SSL_SESSION_free(*slot);
	*slot = session;
	return 1;
}

static void forget(struct conn *conn)
{
	if (conn->ending == RESET && conn->fd >= 0) {
		struct linger linger = { .l_onoff = 1 };

		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	if (conn->fd >= 0)
		close(conn->fd);
	SSL_free(conn->ssl);
	free(conn->unsent);
	free(conn);
	running--;
}

static void over(struct conn *conn, const char *why, ...)
{
	const struct kind *kind = conn->kind;
	va_list args;
	unsigned int i;

	if (!why) {
		tally[kind - kinds].succeeded++;
	} else if (kind->valid && !faults) {
		wrong++;
		fprintf(stderr, "# %s: ", kind->name);
		va_start(args, why);
		vfprintf(stderr, why, args);
		va_end(args);
		fprintf(stderr, " (%u flights, %u echoes, %.1f s)\n", conn->flights, conn->echoes,
			now() - conn->deadline + patience);
	}
	ERR_clear_error();
	for (i = 0; i < at_a_time; i++)
		if (conns[i] == conn)
			conns[i] = NULL;
	forget(conn);
}

/* The client is where it wanted to be: closes, resets, or says that no more comes. */
static void end(struct conn *conn)
{
	if (conn->ending == HALF_CLOSE && !conn->drains) {
		conn->drains = true;
		shutdown(conn->fd, SHUT_WR);
		return;
	}
	over(conn, NULL);
}

static const struct kind *choose(void)
{
	unsigned int n = rnd(weight), i = 0;

	while (n >= weights[i])
		n -= weights[i++];
	return &kinds[i];
}

static struct conn *begin(void)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	const struct kind *kind = choose();
	int one = 1, version = kind->version, size = window;
	SSL_SESSION *session;

	if (!conn)
		err(EXIT_FAILURE, "connection");
	if (!version)
		version = rnd(2) ? TLS1_3_VERSION : TLS1_2_VERSION;
	conn->kind = kind;
	conn->ending = kind->valid ? CLOSE : rnd(3);
	conn->piece = rnd(4) ? BUFFER : 1 + rnd(200);
	conn->deadline = now() + patience;
	conn->ssl = SSL_new(contexts[kind->library ? 2 : version == TLS1_3_VERSION]);
	conn->in = BIO_new(BIO_s_mem());
	conn->out = BIO_new(BIO_s_mem());
	if (!conn->ssl || !conn->in || !conn->out)
		errx(EXIT_FAILURE, "no memory for a client");
	SSL_set_bio(conn->ssl, conn->in, conn->out);
	SSL_set_connect_state(conn->ssl);
	SSL_set_tlsext_host_name(conn->ssl, "localhost");
	if (kind->valid && !kind->resume && !rnd(4))
		SSL_set_verify(conn->ssl, SSL_VERIFY_PEER, NULL);
	session = sessions[version == TLS1_3_VERSION][rnd(8)];
	if (kind->resume && session)
		SSL_set_session(conn->ssl, session);

	conn->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		err(EXIT_FAILURE, "socket");
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (window && rnd(2)) {
		setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
		setsockopt(conn->fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &size, sizeof(size));
	}
	event.data.ptr = conn;
	running++;
	started++;
	tally[kind - kinds].tried++;
	if (connect(conn->fd, (void *)&address, address_len) && errno != EINPROGRESS) {
		fprintf(stderr, "# connect: %s\n", strerror(errno));
		wrong += !faults && kind->valid;
		forget(conn);
		return NULL;
	}
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event))
		err(EXIT_FAILURE, "epoll");
	return conn;
}

/* --- the middle --- */

static void damage(struct conn *conn, unsigned char *data, size_t *len)
{
	size_t i;

	switch (conn->kind->damage) {
	case WHOLE:
		break;
	case CUT:
		/* The headers of record and message as often as the rest. */
		*len = 1 + rnd(*len < 12 || rnd(2) ? *len - 1 : 11);
		break;
	case FLIP:
		/* Nobody looks at the version of a change_cipher_spec, RFC 8446 section 5.1. */
		do
			i = rnd(*len);
		while (i == 2 && *data == SSL3_RT_CHANGE_CIPHER_SPEC);
		data[i] ^= 1 << rnd(8);
		break;
	case GARBAGE:
		*len = 1 + rnd(*len);
		for (i = 0; i < *len; i++)
			data[i] = rnd(256);
		if (rnd(2) && *len > 5)
			memcpy(data, "\x16\x03\x01\0\x40", 5);
		break;
	}
}

/* Sends what can be sent; false if the connection is over. */
static bool flush(struct conn *conn)
{
	ssize_t n;
	size_t len;

	while (conn->unsent_off < conn->unsent_len) {
		len = conn->unsent_len - conn->unsent_off;
		if (len > conn->piece)
			len = conn->piece;
		n = send(conn->fd, conn->unsent + conn->unsent_off, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0) {
			/* A server that does not want the rest is right. */
			if (conn->kind->valid)
				over(conn, "send: %s", strerror(errno));
			else
				over(conn, NULL);
			return false;
		}
		conn->unsent_off += n;
	}
	if (!conn->ends)
		return true;
	conn->ends = false;
	/* Some wait for what the server makes of it, at worst until its deadline. */
	if (conn->kind->library || (conn->kind->damage > CUT && !rnd(6))) {
		conn->drains = true;
		return true;
	}
	end(conn);
	return false;
}

/* What OpenSSL wants to send, as it is or damaged. */
static void collect(struct conn *conn)
{
	unsigned char *data;
	size_t len = BIO_ctrl_pending(conn->out), left;
	const struct kind *kind = conn->kind;
	bool last = kind->stage == (conn->flights ? FLIGHT : HELLO);

	if (!len)
		return;
	left = conn->unsent_len - conn->unsent_off;
	data = malloc(left + len);
	if (!data)
		err(EXIT_FAILURE, "buffer");
	if (left)
		memcpy(data, conn->unsent + conn->unsent_off, left);
	BIO_read(conn->out, data + left, len);
	free(conn->unsent);
	conn->unsent = data;
	conn->unsent_off = 0;
	if (last) {
		damage(conn, data + left, &len);
		if (kind->stage == FLIGHT && kind->damage == WHOLE)
			len = 0;
	}
	conn->unsent_len = left + len;
	conn->flights++;
	if (last || (kind->stage == SENT && conn->flights > 1))
		conn->ends = true;
}

static void ask(struct conn *conn)
{
	char text[ECHO_SIZE + 1];

	snprintf(text, sizeof(text), "hello %018u", rnd(1u << 30));
	memcpy(conn->echo, text, ECHO_SIZE);
	if (conn->kind->update)
		SSL_key_update(conn->ssl, SSL_KEY_UPDATE_REQUESTED);
	SSL_write(conn->ssl, text, ECHO_SIZE);
	conn->asked = true;
	conn->echo_len = 0;
}

/* After the handshake: false if the connection is over. */
static bool talk(struct conn *conn)
{
	char buf[256];
	int n, i;

	if (!conn->asked) {
		ask(conn);
		return true;
	}
	while ((n = SSL_read(conn->ssl, buf, sizeof(buf))) > 0)
		for (i = 0; i < n; i++) {
			char wanted = conn->echo[conn->echo_len % ECHO_SIZE];

			if (wanted >= 'a' && wanted <= 'z')
				wanted -= 'a' - 'A';
			if (conn->echo_len++ >= ECHO_SIZE || buf[i] != wanted) {
				over(conn, "wrong echo");
				return false;
			}
		}
	n = SSL_get_error(conn->ssl, n);
	if (n != SSL_ERROR_WANT_READ) {
		over(conn, "SSL_read: error %d: %s", n, ERR_reason_error_string(ERR_peek_error()));
		return false;
	}
	if (conn->echo_len < ECHO_SIZE)
		return true;
	if (++conn->echoes < (conn->kind->update ? 3 : 1 + rnd(2))) {
		ask(conn);
		return true;
	}
	SSL_shutdown(conn->ssl);
	collect(conn);
	if (flush(conn))
		over(conn, NULL);
	return false;
}

/* Lets OpenSSL go on; false if the connection is over. */
static bool advance(struct conn *conn)
{
	int rc;

	if (!SSL_is_init_finished(conn->ssl)) {
		rc = SSL_do_handshake(conn->ssl);
		if (rc <= 0) {
			rc = SSL_get_error(conn->ssl, rc);
			if (rc != SSL_ERROR_WANT_READ) {
				over(conn, "handshake: error %d: %s", rc,
				     ERR_reason_error_string(ERR_peek_error()));
				return false;
			}
		}
	}
	if (SSL_is_init_finished(conn->ssl) && conn->kind->stage == DATA && !talk(conn))
		return false;
	collect(conn);
	return flush(conn);
}

static void readable(struct conn *conn)
{
	unsigned char buf[BUFFER];
	ssize_t n;

	for (;;) {
		n = recv(conn->fd, buf, sizeof(buf), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (conn->drains) {
			if (conn->kind->library)
				over(conn, n == 1 && *buf == 'k' ? NULL : "library: got %zd", n);
			else if (n <= 0)
				over(conn, NULL);
			else
				continue;
			return;
		}
		if (n <= 0) {
			if (conn->kind->valid)
				over(conn, n ? "recv: %s" : "recv: end", strerror(errno));
			else
				over(conn, NULL);
			return;
		}
		if (conn->kind->stage == ANSWER) {
			end(conn);
			return;
		}
		BIO_write(conn->in, buf, n);
		if (!advance(conn))
			return;
	}
}

static void writable(struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!conn->connected) {
		getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			over(conn, "connect: %s", strerror(error));
			return;
		}
		conn->connected = true;
		if (conn->kind->stage == CONNECT)
			end(conn);
		else
			advance(conn);
		return;
	}
	flush(conn);
}

/* --- all of them --- */

static bool is_known(const struct conn *conn)
{
	unsigned int i;

	for (i = 0; i < at_a_time; i++)
		if (conns[i] == conn)
			return true;
	return false;
}

static void run(void)
{
	struct epoll_event events[64];
	double next = now() + 1;
	unsigned int i;
	int n;

	while (started < total || running) {
		for (i = 0; i < at_a_time && started < total; i++)
			if (!conns[i])
				conns[i] = begin();
		n = epoll_wait(epoll, events, 64, 200);
		for (i = 0; n > 0 && i < (unsigned int)n; i++) {
			struct conn *conn = events[i].data.ptr;
			uint32_t what = events[i].events;
			struct epoll_event again = { .events = EPOLLIN, .data.ptr = conn };

			if (what & (EPOLLOUT | EPOLLERR | EPOLLHUP))
				writable(conn);
			if (is_known(conn) && conn->connected &&
			    (what & (EPOLLIN | EPOLLERR | EPOLLHUP)))
				readable(conn);
			if (!is_known(conn))
				continue;
			if (!conn->connected || conn->unsent_off < conn->unsent_len)
				again.events |= EPOLLOUT;
			epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &again);
		}
		if (now() < next)
			continue;
		next = now() + 1;
		for (i = 0; i < at_a_time; i++) {
			if (!conns[i] || now() < conns[i]->deadline)
				continue;
			if (!conns[i]->kind->valid && !faults && !lossy) {
				wrong++;
				fprintf(stderr, "# %s: stuck\n", conns[i]->kind->name);
			}
			over(conns[i], "stuck");
		}
	}
}

static SSL_CTX *context(int version, const char *groups, const char *cafile)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || !SSL_CTX_set1_groups_list(ctx, groups) ||
	    !SSL_CTX_load_verify_locations(ctx, cafile, NULL))
		errx(EXIT_FAILURE, "OpenSSL: %s", ERR_reason_error_string(ERR_peek_error()));
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, new_session);
	return ctx;
}

static bool named(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at;

	for (at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static void to_address(const char *host, int port)
{
	struct sockaddr_in *in = (void *)&address;
	struct sockaddr_in6 *in6 = (void *)&address;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		address_len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		address_len = sizeof(*in6);
	} else {
		errx(EXIT_FAILURE, "%s is no address", host);
	}
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	unsigned int i;
	int opt;

	state = 1;
	while ((opt = getopt(argc, argv, "n:c:s:w:t:k:fl")) >= 0) {
		switch (opt) {
		case 'n':
			total = strtoul(optarg, NULL, 0);
			break;
		case 'c':
			at_a_time = atoi(optarg);
			break;
		case 's':
			state = strtoull(optarg, NULL, 0) * 2 + 1;
			break;
		case 'w':
			window = atoi(optarg);
			break;
		case 't':
			patience = atoi(optarg);
			break;
		case 'k':
			only = optarg;
			break;
		case 'f':
			faults = true;
			break;
		case 'l':
			lossy = true;
			break;
		default:
			return EXIT_FAILURE;
		}
	}
	if (argc != optind + 3)
		errx(EXIT_FAILURE, "usage: storm [OPTION...] ADDRESS PORT CAFILE");
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stderr, NULL, _IOLBF, 0);
	to_address(argv[optind], atoi(argv[optind + 1]));
	contexts[0] = context(TLS1_2_VERSION, "P-256:X25519", argv[optind + 2]);
	contexts[1] = context(TLS1_3_VERSION, "X25519:P-256", argv[optind + 2]);
	contexts[2] = context(TLS1_3_VERSION, "X448", argv[optind + 2]);
	for (i = 0; i < KINDS; i++) {
		weights[i] = !only || named(only, kinds[i].name) ? kinds[i].weight : 0;
		weight += weights[i];
	}
	conns = calloc(at_a_time, sizeof(*conns));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!weight || !conns || epoll < 0)
		errx(EXIT_FAILURE, "no kind of that name, or no memory");
	run();
	for (i = 0; i < KINDS; i++)
		if (tally[i].tried)
			printf("%s %lu %lu\n", kinds[i].name, tally[i].tried, tally[i].succeeded);
	printf("wrong %lu\n", wrong);
	return EXIT_SUCCESS;
}
