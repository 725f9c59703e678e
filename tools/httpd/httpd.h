/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tls_hs_httpd: a small HTTP server on TLS that the kernel speaks.
 *
 *	main.c		arguments
 *	listen.c	the kernel's interface: keys, listener, accept
 *	serve.c		the event loop
 *	http.c		requests and responses
 *	kernel.c	reading and writing where the kernel did the handshake
 *	library.c	handshake, reading and writing by OpenSSL where it did not
 */
#ifndef TLS_HS_HTTPD_H
#define TLS_HS_HTTPD_H

#include <keyutils.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <tls_hs.h>

#ifndef __maybe_unused
#define __maybe_unused	__attribute__((__unused__))
#endif

/* Most octets of a request, header end included. */
#define REQUEST_MAX	8192

/* A certificate chain and its key, and the server name that they are for. */
struct host {
	const char	*name;		/* NULL: every name that has no own */
	const char	*cert;		/* PEM or DER file, leaf first */
	const char	*key;
};

struct options {
	struct sockaddr_storage	addr;
	socklen_t		addr_len;
	struct host		*hosts;		/* the default is the first */
	size_t			nr_hosts;
	key_serial_t		keyring;	/* 0: make one out of hosts */
	bool			kernel;
	bool			verbose;
	struct tls_hs_crypto_info info;
	/* The same for the library, in its words; NULL: its defaults. */
	int			min_version;
	int			max_version;
	char			*groups;
	char			*ciphersuites;
	char			*ciphers;
	const char		*protocols;	/* for ALPN, separated by commas */
	unsigned char		*alpn;		/* the same as on the wire, RFC 7301 */
	size_t			alpn_len;
	unsigned int		tickets;	/* a connection */
	void			*body;
	size_t			body_len;
};

/* What is known of a connection's TLS; "-" where it is not. */
struct session {
	const char	*version;
	const char	*suite;
	const char	*group;
	const char	*alpn;
	const char	*sni;
	bool		resumed;
};

struct conn;

/*
 * Who speaks TLS on a connection. Calls that may wait return -EAGAIN and say
 * in conn->want which event to wait for.
 */
struct transport {
	const char	*name;
	/* Completes the handshake, if that is left to do. 0 or -errno. */
	int		(*handshake)(struct conn *conn);
	/* Octets; 0 when the peer closed in order; -errno. */
	ssize_t		(*read)(struct conn *conn, void *buf, size_t len);
	ssize_t		(*write)(struct conn *conn, const void *buf, size_t len);
	/* Sends close_notify, if shutdown() does not. 0 or -errno. */
	int		(*close_notify)(struct conn *conn);
	/* Valid until the next call. */
	struct session	(*session)(struct conn *conn);
	/* Frees what belongs to the transport; may be NULL. */
	void		(*release)(struct conn *conn);
};

extern const struct transport kernel_transport;
extern const struct transport library_transport;

enum conn_state {
	CONN_HANDSHAKE,		/* by the library */
	CONN_REQUEST,		/* reading */
	CONN_RESPONSE,		/* writing */
	CONN_CLOSE_NOTIFY,	/* saying that this was all */
	CONN_DRAIN,		/* waiting for the peer to close */
};

struct conn {
	const struct transport	*transport;
	void			*library;	/* SSL of library.c */
	int			fd;
	enum conn_state		state;
	uint32_t		want;		/* EPOLLIN or EPOLLOUT */
	uint32_t		armed;		/* what epoll waits for */
	time_t			active;		/* CLOCK_MONOTONIC, seconds */
	char			request[REQUEST_MAX];
	size_t			request_len;
	char			*response;
	size_t			response_len;
	size_t			response_sent;
	uint64_t		bytes;		/* of responses, sent */
	int			error;		/* why it ended, 0 if in order */
	bool			close;		/* after this response */
	struct sockaddr_storage	peer;
	struct conn		*next;
	struct conn		**prev;
};

/* listen.c */
key_serial_t tls_add_host(const struct host *host, key_serial_t parent);
void tls_add_policy(const char *protocols, bool tickets, key_serial_t keyring);
int tls_listen(const struct sockaddr *addr, socklen_t len,
	       const struct tls_hs_crypto_info *info, int backlog);
int tls_accept(int sd, bool *kernel);
int plain_listen(const struct sockaddr *addr, socklen_t len, int backlog);

/* library.c */
void library_init(const struct options *options);
int library_attach(struct conn *conn);

/* http.c */
void *read_file(const char *path, size_t *len);
ssize_t http_request_len(const char *buf, size_t len);
int http_respond(struct conn *conn, size_t request_len,
		 const struct options *options);

/* serve.c */
int serve(int sd, const struct options *options);

#endif /* TLS_HS_HTTPD_H */
