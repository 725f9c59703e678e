// SPDX-License-Identifier: GPL-2.0
/*
 * A connection whose handshake the kernel completed: plain data, and records
 * of other types beside it as control messages (Documentation/networking/tls.rst).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tls.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "httpd.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

/* RFC 8446, 5.1 and 6 */
#define CONTENT_ALERT		21
#define CONTENT_DATA		23
#define ALERT_WARNING		1
#define ALERT_CLOSE_NOTIFY	0

/* Room for one octet of control message. */
union control {
	struct cmsghdr	header;
	char		buf[CMSG_SPACE(sizeof(unsigned char))];
};

static unsigned char record_type(struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	if (cmsg && cmsg->cmsg_level == SOL_TLS &&
	    cmsg->cmsg_type == TLS_GET_RECORD_TYPE)
		return *CMSG_DATA(cmsg);
	return CONTENT_DATA;
}

static ssize_t kernel_read(struct conn *conn, void *buf, size_t len)
{
	union control control;
	struct iovec iov = { buf, len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const unsigned char *alert = buf;
	ssize_t n;

	conn->want = EPOLLIN;
	do {
		n = recvmsg(conn->fd, &msg, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : 0;

	switch (record_type(&msg)) {
	case CONTENT_DATA:
		return n;
	case CONTENT_ALERT:
		if (n == 2 && alert[1] == ALERT_CLOSE_NOTIFY)
			return 0;
		return -ECONNABORTED;
	default:
		/* A KeyUpdate, for one, needs keys that we do not have. */
		return -EPROTO;
	}
}

static ssize_t kernel_write(struct conn *conn, const void *buf, size_t len)
{
	ssize_t n;

	conn->want = EPOLLOUT;
	do {
		n = send(conn->fd, buf, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int kernel_close_notify(struct conn *conn)
{
	unsigned char alert[] = { ALERT_WARNING, ALERT_CLOSE_NOTIFY };
	struct iovec iov = { alert, sizeof(alert) };
	union control control = {
		.header = {
			.cmsg_len = CMSG_LEN(sizeof(unsigned char)),
			.cmsg_level = SOL_TLS,
			.cmsg_type = TLS_SET_RECORD_TYPE,
		},
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*CMSG_DATA(&control.header) = CONTENT_ALERT;
	conn->want = EPOLLOUT;
	if (sendmsg(conn->fd, &msg, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

static const struct {
	uint16_t	version;
	uint16_t	cipher;
	const char	*name;
} suites[] = {
	{ TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128, "TLS_AES_128_GCM_SHA256" },
	{ TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_256, "TLS_AES_256_GCM_SHA384" },
	{ TLS_1_3_VERSION, TLS_CIPHER_CHACHA20_POLY1305,
	  "TLS_CHACHA20_POLY1305_SHA256" },
	{ TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128,
	  "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_256,
	  "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ TLS_1_2_VERSION, TLS_CIPHER_CHACHA20_POLY1305,
	  "ECDHE-ECDSA-CHACHA20-POLY1305" },
};

static struct session kernel_session(struct conn *conn)
{
	struct session session = { "-", "-", "-", "-" };
	struct tls_crypto_info info = {};
	socklen_t len = sizeof(info);
	size_t i;

	if (getsockopt(conn->fd, SOL_TLS, TLS_TX, &info, &len))
		return session;
	if (info.version == TLS_1_3_VERSION)
		session.version = "TLSv1.3";
	else if (info.version == TLS_1_2_VERSION)
		session.version = "TLSv1.2";
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i].version == info.version &&
		    suites[i].cipher == info.cipher_type)
			session.suite = suites[i].name;
	return session;
}

const struct transport kernel_transport = {
	.name		= "kernel",
	.read		= kernel_read,
	.write		= kernel_write,
	.close_notify	= kernel_close_notify,
	.session	= kernel_session,
};
