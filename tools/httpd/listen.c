// SPDX-License-Identifier: GPL-2.0
/*
 * The interface of the kernel: keys into keyrings, a listener, accept. This is
 * all that a server has to do for TLS.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpd.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

static void add_file(const char *type, const char *description,
		     const char *path, key_serial_t keyring)
{
	size_t len;
	void *data = read_file(path, &len);

	if (add_key(type, description, data, len, keyring) < 0)
		err(EXIT_FAILURE, "%s key from %s%s", type, path,
		    errno == ENODEV ? " (is the module tls_hs loaded?)" : "");
	explicit_bzero(data, len);
	free(data);
}

/* Certificate and key into a keyring that is named after the server name. */
key_serial_t tls_add_host(const struct host *host, key_serial_t parent)
{
	key_serial_t keyring = parent;

	if (host->name) {
		keyring = add_key("keyring", host->name, NULL, 0, parent);
		if (keyring < 0)
			err(EXIT_FAILURE, "keyring %s", host->name);
	}
	add_file(TLS_HS_KEY_TYPE_CERT, TLS_HS_KEY_DESC_CERT, host->cert, keyring);
	add_file(TLS_HS_KEY_TYPE_PRIV, TLS_HS_KEY_DESC_PRIV, host->key, keyring);
	return keyring;
}

/* Application protocols, and a key for session tickets, for all hosts. */
void tls_add_policy(const char *protocols, bool tickets, key_serial_t keyring)
{
	unsigned char ticket[48];

	if (add_key(TLS_HS_KEY_TYPE_ALPN, TLS_HS_KEY_DESC_ALPN, protocols,
		    strlen(protocols), keyring) < 0)
		err(EXIT_FAILURE, "protocols %s", protocols);
	if (!tickets)
		return;
	if (getrandom(ticket, sizeof(ticket), 0) != sizeof(ticket) ||
	    add_key(TLS_HS_KEY_TYPE_TICKET, TLS_HS_KEY_DESC_TICKET, ticket,
		    sizeof(ticket), keyring) < 0)
		err(EXIT_FAILURE, "ticket key");
	explicit_bzero(ticket, sizeof(ticket));
}

static int bound_socket(const struct sockaddr *addr, socklen_t len)
{
	int sd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (sd < 0)
		err(EXIT_FAILURE, "socket");
	setsockopt(sd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(sd, addr, len))
		err(EXIT_FAILURE, "bind");
	return sd;
}

/* A listener whose clients the kernel does the handshake with. */
int tls_listen(const struct sockaddr *addr, socklen_t len,
	       const struct tls_hs_crypto_info *info, int backlog)
{
	int sd = bound_socket(addr, len);

	if (setsockopt(sd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")))
		err(EXIT_FAILURE, "TCP_ULP (is the module tls_hs loaded?)");
	if (setsockopt(sd, SOL_TLS, TLS_HS, info, sizeof(*info)))
		err(EXIT_FAILURE, "TLS_HS");
	if (listen(sd, backlog))
		err(EXIT_FAILURE, "listen");
	return sd;
}

/*
 * Accepts a connection. With *kernel it can be read and written in the clear,
 * otherwise the client's first flight has not been read yet.
 */
int tls_accept(int sd, bool *kernel)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd;

	fd = accept4(sd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	*kernel = addr.ss_family == PF_TLS;
	return fd;
}

/* A listener without the kernel's help, for --no-kernel. */
int plain_listen(const struct sockaddr *addr, socklen_t len, int backlog)
{
	int sd = bound_socket(addr, len);

	if (listen(sd, backlog))
		err(EXIT_FAILURE, "listen");
	return sd;
}
