// SPDX-License-Identifier: GPL-2.0
/*
 * A connection that the kernel left alone: OpenSSL does the handshake, on the
 * same certificates.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "httpd.h"

/* One context a host, in the order of options->hosts. */
static SSL_CTX **contexts;
static const struct options *options;

static _Noreturn void fail(const char *what, const char *name)
{
	ERR_print_errors_fp(stderr);
	errx(EXIT_FAILURE, "OpenSSL: %s %s", what, name ?: "");
}

static int choose_host(SSL *ssl, int *alert __maybe_unused,
		       void *arg __maybe_unused)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t i;

	for (i = 0; name && i < options->nr_hosts; i++)
		if (options->hosts[i].name &&
		    !strcasecmp(options->hosts[i].name, name))
			SSL_set_SSL_CTX(ssl, contexts[i]);
	return SSL_TLSEXT_ERR_OK;
}

static int choose_alpn(SSL *ssl __maybe_unused, const unsigned char **out,
		       unsigned char *out_len, const unsigned char *in,
		       unsigned int in_len, void *arg __maybe_unused)
{
	unsigned char *chosen;

	/* RFC 7301, 3.2: no overlap is an alert, not silence. */
	if (SSL_select_next_proto(&chosen, out_len, options->alpn,
				  options->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(const struct host *host)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		fail("context", NULL);
	if (SSL_CTX_use_certificate_chain_file(ctx, host->cert) != 1)
		fail("certificate", host->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, host->key, SSL_FILETYPE_PEM) != 1)
		fail("private key", host->key);
	SSL_CTX_set_min_proto_version(ctx, options->min_version);
	SSL_CTX_set_max_proto_version(ctx, options->max_version);
	if (options->groups && !SSL_CTX_set1_groups_list(ctx, options->groups))
		fail("groups", options->groups);
	if (options->ciphersuites &&
	    !SSL_CTX_set_ciphersuites(ctx, options->ciphersuites))
		fail("TLS 1.3 suites", options->ciphersuites);
	if (options->ciphers && !SSL_CTX_set_cipher_list(ctx, options->ciphers))
		fail("TLS 1.2 suites", options->ciphers);
	SSL_CTX_set_num_tickets(ctx, options->tickets);
	if (!options->tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	/* Peers that close without close_notify: HTTP says where a page ends. */
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* RFC 8446, 4.2.7: the server's preference, as in the kernel. */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"httpd", 5);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose_host);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

void library_init(const struct options *opt)
{
	size_t i;

	options = opt;
	contexts = calloc(options->nr_hosts, sizeof(*contexts));
	if (!contexts)
		err(EXIT_FAILURE, "library");
	for (i = 0; i < options->nr_hosts; i++)
		contexts[i] = new_context(&options->hosts[i]);
}

/* Gives a connection to the library. 0 or -errno. */
int library_attach(struct conn *conn)
{
	SSL *ssl;

	if (!options->nr_hosts)
		return -ENOKEY;
	ssl = SSL_new(contexts[0]);
	if (!ssl || SSL_set_fd(ssl, conn->fd) != 1) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	conn->library = ssl;
	conn->transport = &library_transport;
	return 0;
}

/* The errno that stands for what a call that returned ret has run into. */
static int library_error(struct conn *conn, int ret)
{
	int saved = errno;

	switch (SSL_get_error(conn->library, ret)) {
	case SSL_ERROR_WANT_READ:
		conn->want = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		conn->want = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return saved ? -saved : -ECONNRESET;
	default:
		if (options->verbose)
			fprintf(stderr, "library: %s\n",
				ERR_reason_error_string(ERR_get_error()));
		return -EPROTO;
	}
}

static int library_handshake(struct conn *conn)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_accept(conn->library);
	return ret == 1 ? 0 : library_error(conn, ret) ?: -ECONNRESET;
}

static ssize_t library_read(struct conn *conn, void *buf, size_t len)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_read(conn->library, buf, len);
	return ret > 0 ? ret : library_error(conn, ret);
}

static ssize_t library_write(struct conn *conn, const void *buf, size_t len)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_write(conn->library, buf, len);
	return ret > 0 ? ret : library_error(conn, ret) ?: -EPIPE;
}

static int library_close_notify(struct conn *conn)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_shutdown(conn->library);
	return ret >= 0 ? 0 : library_error(conn, ret);
}

static struct session library_session(struct conn *conn)
{
	struct session session = { "-", "-", "-", "-", "-", false };
	static char alpn[256];
	const unsigned char *protocol;
	unsigned int len;
	SSL *ssl = conn->library;

	if (conn->state == CONN_HANDSHAKE)
		return session;
	session.version = SSL_get_version(ssl);
	session.suite = SSL_get_cipher_name(ssl);
	session.group = SSL_get0_group_name(ssl) ?: "-";
	session.sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) ?: "-";
	session.resumed = SSL_session_reused(ssl);
	SSL_get0_alpn_selected(ssl, &protocol, &len);
	if (len) {
		snprintf(alpn, sizeof(alpn), "%.*s", (int)len, protocol);
		session.alpn = alpn;
	}
	return session;
}

static void library_release(struct conn *conn)
{
	SSL_free(conn->library);
}

const struct transport library_transport = {
	.name		= "library",
	.handshake	= library_handshake,
	.read		= library_read,
	.write		= library_write,
	.close_notify	= library_close_notify,
	.session	= library_session,
	.release	= library_release,
};
