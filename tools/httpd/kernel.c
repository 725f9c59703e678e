// SPDX-License-Identifier: GPL-2.0
/*
 * A connection whose handshake the kernel completed: read(), write() and
 * shutdown() are all there is to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpd.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

static ssize_t kernel_read(struct conn *conn, void *buf, size_t len)
{
	ssize_t n;

	conn->want = EPOLLIN;
	do {
		n = read(conn->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t kernel_write(struct conn *conn, const void *buf, size_t len)
{
	ssize_t n;

	conn->want = EPOLLOUT;
	do {
		n = write(conn->fd, buf, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A number of IANA's registries, and its name as OpenSSL prints it. */
struct name {
	uint16_t	number;
	const char	*name;
};

static const struct name versions[] = {
	{ 0x0303, "TLSv1.2" },
	{ 0x0304, "TLSv1.3" },
	{}
};

static const struct name suites[] = {
	{ 0x1301, "TLS_AES_128_GCM_SHA256" },
	{ 0x1302, "TLS_AES_256_GCM_SHA384" },
	{ 0x1303, "TLS_CHACHA20_POLY1305_SHA256" },
	{ 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{}
};

static const struct name groups[] = {
	{ 23, "secp256r1" },
	{ 29, "x25519" },
	{}
};

static const char *name_of(const struct name *names, uint16_t number)
{
	while (names->name && names->number != number)
		names++;
	return names->name ?: "-";
}

static struct session kernel_session(struct conn *conn)
{
	static struct tls_hs_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(conn->fd, SOL_TLS, TLS_HS_INFO, &info, &len))
		return (struct session){ "-", "-", "-", "-", "-", false };
	return (struct session){
		.version = name_of(versions, info.version),
		.suite = name_of(suites, info.cipher_suite),
		.group = name_of(groups, info.group),
		.alpn = *info.alpn ? info.alpn : "-",
		.sni = *info.server_name ? info.server_name : "-",
		.resumed = info.flags & TLS_HS_INFO_RESUMED,
	};
}

const struct transport kernel_transport = {
	.name		= "kernel",
	.read		= kernel_read,
	.write		= kernel_write,
	.session	= kernel_session,
};
