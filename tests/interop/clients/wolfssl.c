// SPDX-License-Identifier: GPL-2.0
/* wolfssl HOST PORT CA VERSION MODE: fetches the page; resumed: twice. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <err.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_SIZE 1024

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *address;
	int fd;

	if (getaddrinfo(host, port, &hints, &address))
		errx(EXIT_FAILURE, "%s: unknown", host);
	fd = socket(address->ai_family, address->ai_socktype, 0);
	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen))
		err(EXIT_FAILURE, "connect");
	freeaddrinfo(address);
	return fd;
}

static void check(int result, const char *what)
{
	if (result != WOLFSSL_SUCCESS)
		errx(EXIT_FAILURE, "%s: %d", what, result);
}

static WOLFSSL_SESSION *fetch(WOLFSSL_CTX *ctx, char **argv, WOLFSSL_SESSION *session)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	const char *host = argv[1];
	char page[2 * PAGE_SIZE + 1];
	WOLFSSL *ssl = wolfSSL_new(ctx);
	int fd = connect_to(host, argv[2]);
	bool resumed = session;
	int len = 0, n;

	check(wolfSSL_set_fd(ssl, fd), "set_fd");
	check(wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, host, strlen(host)), "UseSNI");
	check(wolfSSL_check_domain_name(ssl, host), "check_domain_name");
	check(wolfSSL_UseSessionTicket(ssl), "UseSessionTicket");
	if (session)
		check(wolfSSL_set_session(ssl, session), "set_session");
	n = wolfSSL_connect(ssl);
	if (n != WOLFSSL_SUCCESS)
		errx(EXIT_FAILURE, "connect: %s",
		     wolfSSL_ERR_reason_error_string(wolfSSL_get_error(ssl, n)));
	if (wolfSSL_session_reused(ssl) != resumed)
		errx(EXIT_FAILURE, "resumed: %d", !resumed);
	if (wolfSSL_write(ssl, request, strlen(request)) != (int)strlen(request))
		errx(EXIT_FAILURE, "write");
	while ((n = wolfSSL_read(ssl, page + len, sizeof(page) - 1 - len)) > 0)
		len += n;
	if (wolfSSL_get_error(ssl, n) != WOLFSSL_ERROR_ZERO_RETURN)
		errx(EXIT_FAILURE, "no close_notify");
	page[len] = '\0';
	if (strncmp(page, "HTTP/1.1 200 OK\r\n", 17) || len < PAGE_SIZE ||
	    strspn(page + len - PAGE_SIZE, "x") != PAGE_SIZE)
		errx(EXIT_FAILURE, "no page");
	session = wolfSSL_get1_session(ssl);
	wolfSSL_free(ssl);
	close(fd);
	return session;
}

int main(int argc, char **argv)
{
	WOLFSSL_SESSION *session;
	WOLFSSL_CTX *ctx;

	if (argc != 6)
		errx(EXIT_FAILURE, "usage: wolfssl HOST PORT CA VERSION MODE");
	wolfSSL_Init();
	ctx = wolfSSL_CTX_new(strcmp(argv[4], "1.3") ? wolfTLSv1_2_client_method() :
						       wolfTLSv1_3_client_method());
	check(wolfSSL_CTX_load_verify_locations(ctx, argv[3], NULL), argv[3]);
	session = fetch(ctx, argv, NULL);
	if (!strcmp(argv[5], "resumed"))
		fetch(ctx, argv, session);
	return 0;
}
