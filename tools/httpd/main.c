// SPDX-License-Identifier: GPL-2.0
/* Arguments of tls_hs_httpd. */
#define _GNU_SOURCE
#include <argp.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd.h"

#define BACKLOG		1024
#define BODY_MAX	(64L << 20)

/* A name on the command line, its bit for the kernel and its library name. */
struct choice {
	const char	*name;
	uint32_t	bit;
	const char	*library;
};

static const struct choice versions[] = {
	{ "1.2", TLS_HS_VERSION_1_2, "" },
	{ "1.3", TLS_HS_VERSION_1_3, "" },
	{}
};

static const struct choice groups[] = {
	{ "secp256r1", TLS_HS_SECP256R1, "P-256" },
	{ "x25519", TLS_HS_X25519, "X25519" },
	{}
};

static const struct choice ciphersuites[] = {
	{ "TLS_AES_128_GCM_SHA256", TLS_HS_AES_128_GCM_SHA256,
	  "TLS_AES_128_GCM_SHA256" },
	{ "TLS_AES_256_GCM_SHA384", TLS_HS_AES_256_GCM_SHA384,
	  "TLS_AES_256_GCM_SHA384" },
	{ "TLS_CHACHA20_POLY1305_SHA256", TLS_HS_CHACHA20_POLY1305_SHA256,
	  "TLS_CHACHA20_POLY1305_SHA256" },
	{}
};

static const struct choice ciphers[] = {
	{ "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	  TLS_HS_ECDHE_ECDSA_AES_128_GCM_SHA256,
	  "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	  TLS_HS_ECDHE_ECDSA_AES_256_GCM_SHA384,
	  "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	  TLS_HS_ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
	  "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{}
};

enum {
	OPT_BODY_SIZE = 0x100,
	OPT_VERSIONS,
	OPT_GROUPS,
	OPT_CIPHERSUITES,
	OPT_CIPHERS,
	OPT_ALPN,
	OPT_TICKETS,
	OPT_VHOST,
	OPT_KEYRING,
	OPT_NO_KERNEL,
};

#define OPTION(n, k, a, d)	{ .name = (n), .key = (k), .arg = (a), .doc = (d) }

static const struct argp_option argp_options[] = {
	OPTION("address", 'a', "ADDR", "Listen on ADDR [::, IPv4 as well]"),
	OPTION("port", 'p', "N", "Listen on port N, 0 for a free one [4433]"),
	OPTION("cert", 'c', "FILE", "Certificate chain, PEM, leaf first"),
	OPTION("key", 'k', "FILE", "Private key, PEM"),
	OPTION("vhost", OPT_VHOST, "NAME:CERT:KEY",
	       "Another chain and key, for the server name NAME; may be "
	       "repeated"),
	OPTION("keyring", OPT_KEYRING, "SERIAL",
	       "Let the kernel use this keyring instead of a new one "
	       "from --cert and --vhost"),
	OPTION("file", 'f', "FILE", "Page to serve"),
	OPTION("body-size", OPT_BODY_SIZE, "N",
	       "Serve a page of N octets instead [1024]"),
	OPTION("versions", OPT_VERSIONS, "LIST", "TLS versions: 1.2,1.3 [all]"),
	OPTION("groups", OPT_GROUPS, "LIST", "Groups: secp256r1,x25519 [all]"),
	OPTION("ciphersuites", OPT_CIPHERSUITES, "LIST",
	       "TLS 1.3 suites, by their RFC 8446 names [all]"),
	OPTION("ciphers", OPT_CIPHERS, "LIST",
	       "TLS 1.2 suites, by their IANA names [all]"),
	OPTION("alpn", OPT_ALPN, "LIST",
	       "Protocols for ALPN, in the order of preference [http/1.1]"),
	OPTION("tickets", OPT_TICKETS, "N",
	       "Session tickets a connection, at most 8, 0 for none [2]"),
	OPTION("no-kernel", OPT_NO_KERNEL, NULL,
	       "Leave every handshake to the library"),
	OPTION("verbose", 'v', NULL, "A line for each connection"),
	{}
};

struct arguments {
	struct options	options;
	struct host	default_host;
	const char	*address;
	const char	*port;
};

static long number(struct argp_state *state, const char *arg, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (errno || end == arg || *end || n < 0 || n > max)
		argp_error(state, "%s: not from 0 to %ld", arg, max);
	return n;
}

/*
 * Turns a list of names into a mask for the kernel and a list for the library,
 * with colons between, which the caller frees.
 */
static char *choose(struct argp_state *state, const char *arg,
		    const struct choice *choices, uint32_t *mask)
{
	char *list = strdup(arg), *rest = list, *name;
	char *library = NULL;

	*mask = 0;
	while ((name = strsep(&rest, ","))) {
		const struct choice *choice = choices;
		char *longer;

		while (choice->name && strcasecmp(choice->name, name))
			choice++;
		if (!choice->name)
			argp_error(state, "not known: %s", name);
		*mask |= choice->bit;
		if (asprintf(&longer, "%s%s%s", library ?: "", library ? ":" : "",
			     choice->library) < 0)
			err(EXIT_FAILURE, "%s", arg);
		free(library);
		library = longer;
	}
	free(list);
	return library;
}

/* RFC 7301, 3.1: each name with its length in front. */
static void set_alpn(struct argp_state *state, struct options *options,
		     const char *arg)
{
	char *rest = strdupa(arg);
	char *name;
	size_t len;

	free(options->alpn);
	options->protocols = arg;
	options->alpn = malloc(strlen(arg) + 1);
	options->alpn_len = 0;
	if (!options->alpn)
		err(EXIT_FAILURE, "ALPN");
	while ((name = strsep(&rest, ","))) {
		len = strlen(name);
		if (!len || len > 255)
			argp_error(state, "not a protocol name: '%s'", name);
		options->alpn[options->alpn_len] = len;
		memcpy(options->alpn + options->alpn_len + 1, name, len);
		options->alpn_len += len + 1;
	}
}

static void add_host(struct options *options, struct host host)
{
	options->hosts = reallocarray(options->hosts, options->nr_hosts + 1,
				      sizeof(host));
	if (!options->hosts)
		err(EXIT_FAILURE, "hosts");
	options->hosts[options->nr_hosts++] = host;
}

static void add_vhost(struct argp_state *state, struct options *options, char *arg)
{
	struct host host;

	host.name = strsep(&arg, ":");
	host.cert = strsep(&arg, ":");
	host.key = strsep(&arg, ":");
	if (!*host.name || !host.cert || !host.key || arg)
		argp_error(state, "--vhost takes NAME:CERT:KEY");
	add_host(options, host);
}

static void set_versions(struct options *options)
{
	if (options->info.versions == TLS_HS_VERSION_1_2)
		options->max_version = TLS1_2_VERSION;
	if (options->info.versions == TLS_HS_VERSION_1_3)
		options->min_version = TLS1_3_VERSION;
}

static void set_body(struct options *options, size_t len)
{
	unsigned char *body = malloc(len + 1);
	size_t i;

	if (!body)
		err(EXIT_FAILURE, "body");
	for (i = 0; i < len; i++)
		body[i] = i % 64 == 63 ? '\n' : 'a' + i / 64 % 26;
	options->body = body;
	options->body_len = len;
}

/* The default host comes first, whatever the order of arguments. */
static void finish(struct argp_state *state, struct arguments *args)
{
	struct options *options = &args->options;

	if (!args->default_host.cert != !args->default_host.key)
		argp_error(state, "--cert and --key belong together");
	if (args->default_host.cert) {
		add_host(options, args->default_host);
		memmove(options->hosts + 1, options->hosts,
			(options->nr_hosts - 1) * sizeof(*options->hosts));
		options->hosts[0] = args->default_host;
	}
	if (!args->default_host.cert && (!options->keyring || options->nr_hosts))
		argp_error(state, "--cert and --key are missing");
	if (!options->nr_hosts && !options->kernel)
		argp_error(state, "--no-kernel needs --cert and --key");
	if (!options->body)
		set_body(options, 1024);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;
	struct options *options = &args->options;
	struct tls_hs_crypto_info *info = &options->info;

	switch (key) {
	case 'a':
		args->address = arg;
		break;
	case 'p':
		number(state, arg, 65535);
		args->port = arg;
		break;
	case 'c':
		args->default_host.cert = arg;
		break;
	case 'k':
		args->default_host.key = arg;
		break;
	case 'f':
		options->body = read_file(arg, &options->body_len);
		break;
	case 'v':
		options->verbose = true;
		break;
	case OPT_BODY_SIZE:
		set_body(options, number(state, arg, BODY_MAX));
		break;
	case OPT_VERSIONS:
		free(choose(state, arg, versions, &info->versions));
		set_versions(options);
		break;
	case OPT_GROUPS:
		options->groups = choose(state, arg, groups, &info->ecurves);
		break;
	case OPT_CIPHERSUITES:
		options->ciphersuites = choose(state, arg, ciphersuites,
					       &info->tls_13_ciphersuites);
		break;
	case OPT_CIPHERS:
		options->ciphers = choose(state, arg, ciphers,
					  &info->tls_12_cipher_suites);
		break;
	case OPT_ALPN:
		set_alpn(state, options, arg);
		break;
	case OPT_TICKETS:
		options->tickets = number(state, arg, 8);
		break;
	case OPT_VHOST:
		add_vhost(state, options, arg);
		break;
	case OPT_KEYRING:
		options->keyring = number(state, arg, INT32_MAX);
		break;
	case OPT_NO_KERNEL:
		options->kernel = false;
		break;
	case ARGP_KEY_END:
		finish(state, args);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void resolve(struct arguments *args)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *result;
	int ret = getaddrinfo(args->address, args->port, &hints, &result);

	if (ret)
		errx(EXIT_FAILURE, "%s: %s", args->address, gai_strerror(ret));
	memcpy(&args->options.addr, result->ai_addr, result->ai_addrlen);
	args->options.addr_len = result->ai_addrlen;
	freeaddrinfo(result);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse,
		.doc = "Serves a page over TLS that the kernel speaks, "
		       "or OpenSSL where the kernel cannot.",
	};
	struct arguments args = {
		.address = "::",
		.port = "4433",
		.options = {
			.kernel = true,
			.tickets = 2,
			.min_version = TLS1_2_VERSION,
		},
	};
	struct options *options = &args.options;
	size_t i;
	int sd;

	set_alpn(NULL, options, "http/1.1");
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	resolve(&args);
	library_init(options);

	if (options->kernel) {
		if (!options->keyring) {
			options->keyring = add_key("keyring", "tls_hs_httpd", NULL, 0,
						   KEY_SPEC_PROCESS_KEYRING);
			if (options->keyring < 0)
				err(EXIT_FAILURE, "keyring");
			for (i = 0; i < options->nr_hosts; i++)
				tls_add_host(&options->hosts[i], options->keyring);
			tls_add_policy(options->protocols, options->tickets,
				       options->keyring);
		}
		options->info.tls_keyring = options->keyring;
		options->info.tickets = options->tickets;
		sd = tls_listen((struct sockaddr *)&options->addr,
				options->addr_len, &options->info, BACKLOG);
	} else {
		sd = plain_listen((struct sockaddr *)&options->addr,
				  options->addr_len, BACKLOG);
	}
	return serve(sd, options);
}
