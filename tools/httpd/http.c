// SPDX-License-Identifier: GPL-2.0
/*
 * As much of HTTP/1.0 and 1.1 (RFC 9112) as a test server needs: GET of one
 * page, header and body in one buffer, so that they leave in one TLS record.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "httpd.h"

void *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *data = NULL;
	size_t size = 0;

	if (!file)
		err(EXIT_FAILURE, "%s", path);
	*len = 0;
	do {
		/* The old copy of a private key must not stay in the heap. */
		char *grown = malloc(size ? 2 * size : 4096);

		if (!grown)
			err(EXIT_FAILURE, "%s", path);
		if (data) {
			memcpy(grown, data, *len);
			explicit_bzero(data, size);
			free(data);
		}
		data = grown;
		size = size ? 2 * size : 4096;
		*len += fread(data + *len, 1, size - *len, file);
	} while (*len == size);
	if (ferror(file))
		err(EXIT_FAILURE, "%s", path);
	fclose(file);
	return data;
}

/* The length of the request at the start of buf, 0 if its end is not there. */
ssize_t http_request_len(const char *buf, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (buf[i] != '\n')
			continue;
		if (i + 1 < len && buf[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && buf[i + 1] == '\r' && buf[i + 2] == '\n')
			return i + 3;
	}
	return len < REQUEST_MAX ? 0 : -EMSGSIZE;
}

/* Whether a line of the request's header is "Connection:" with this option. */
static bool connection_is(const char *request, const char *option)
{
	static const char name[] = "connection:";
	const char *line = request;

	while ((line = strchr(line, '\n'))) {
		char value[64];
		char *token, *rest = value;

		line++;
		if (strncasecmp(line, name, sizeof(name) - 1))
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r\n"), line);
		strsep(&rest, ":");
		while ((token = strsep(&rest, ", \t")))
			if (!strcasecmp(token, option))
				return true;
	}
	return false;
}

/*
 * Answers the request at the start of conn->request, which it takes out.
 * 0 or -ENOMEM.
 */
int http_respond(struct conn *conn, size_t request_len,
		 const struct options *options)
{
	char request[REQUEST_MAX + 1];
	char method[16], target[1024], version[16];
	const char *status = "200 OK";
	const void *body = options->body;
	size_t body_len = options->body_len;
	struct session session = conn->transport->session(conn);
	char header[512];
	int header_len;

	memcpy(request, conn->request, request_len);
	request[request_len] = '\0';
	conn->request_len -= request_len;
	memmove(conn->request, conn->request + request_len, conn->request_len);

	conn->close = true;
	if (sscanf(request, "%15s %1023s %15[^ \r\n]", method, target, version) != 3 ||
	    strncmp(version, "HTTP/1.", 7))
		status = "400 Bad Request";
	else if (strcmp(method, "GET"))
		status = "405 Method Not Allowed";
	else
		conn->close = !strcmp(version, "HTTP/1.0") ||
			      connection_is(request, "close");
	if (!strcmp(status, "200 OK") && strcmp(target, "/"))
		status = "404 Not Found";
	if (strcmp(status, "200 OK")) {
		body = status;
		body_len = strlen(status);
	}

	header_len = snprintf(header, sizeof(header),
			      "HTTP/1.1 %s\r\n"
			      "Server: tls_hs_httpd\r\n"
			      "Content-Type: text/plain\r\n"
			      "Content-Length: %zu\r\n"
			      "Connection: %s\r\n"
			      "X-TLS: %s %s %s\r\n"
			      "\r\n",
			      status, body_len,
			      conn->close ? "close" : "keep-alive",
			      conn->transport->name, session.version,
			      session.suite);
	conn->response_len = header_len + body_len;
	conn->response_sent = 0;
	conn->response = malloc(conn->response_len);
	if (!conn->response)
		return -ENOMEM;
	memcpy(conn->response, header, header_len);
	memcpy(conn->response + header_len, body, body_len);
	return 0;
}
