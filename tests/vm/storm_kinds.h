/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clients of storm.c: how far they get, and what is wrong with them.
 */
#ifndef _STORM_KINDS_H
#define _STORM_KINDS_H

#include <stdbool.h>
#include <openssl/ssl.h>

/* How far a client means to get. */
enum stage {
	CONNECT,	/* the end of TCP's handshake */
	HELLO,		/* a cut or damaged ClientHello */
	ANSWER,		/* the first octets of the server's answer */
	FLIGHT,		/* a cut or damaged second flight */
	SENT,		/* its Finished, without looking what the server says */
	DATA,		/* data there and back */
};

enum damage { WHOLE, CUT, FLIP, GARBAGE };

struct kind {
	const char	*name;
	enum stage	stage;
	enum damage	damage;
	int		version;	/* 0: either */
	unsigned int	weight;
	bool		resume;
	bool		update;		/* of keys, by the client, both directions */
	bool		library;	/* with a group that the kernel does not have */
	bool		valid;		/* must succeed */
};

static const struct kind kinds[] = {
	{ .name = "connect", .stage = CONNECT, .weight = 12 },
	{ .name = "hello-cut", .stage = HELLO, .damage = CUT, .weight = 25 },
	{ .name = "hello-flip", .stage = HELLO, .damage = FLIP, .weight = 6 },
	{ .name = "hello-garbage", .stage = HELLO, .damage = GARBAGE, .weight = 6 },
	{ .name = "hello", .stage = HELLO, .weight = 6 },
	{ .name = "answer", .stage = ANSWER, .weight = 4 },
	{ .name = "flight-cut", .stage = FLIGHT, .damage = CUT, .weight = 5 },
	{ .name = "flight-flip", .stage = FLIGHT, .damage = FLIP, .weight = 3 },
	{ .name = "flight-garbage", .stage = FLIGHT, .damage = GARBAGE, .weight = 3 },
	{ .name = "flight-none", .stage = FLIGHT, .weight = 3, .resume = true },
	{ .name = "sent", .stage = SENT, .weight = 4 },
	{ .name = "sent-resumed", .stage = SENT, .weight = 6, .resume = true },
	{ .name = "full-1.2", .stage = DATA, .version = TLS1_2_VERSION, .weight = 2, .valid = true },
	{ .name = "full-1.3", .stage = DATA, .version = TLS1_3_VERSION, .weight = 2, .valid = true },
	{ .name = "resumed-1.2", .stage = DATA, .version = TLS1_2_VERSION, .weight = 4,
	  .resume = true, .valid = true },
	{ .name = "resumed-1.3", .stage = DATA, .version = TLS1_3_VERSION, .weight = 4,
	  .resume = true, .valid = true },
	{ .name = "key-update", .stage = DATA, .version = TLS1_3_VERSION, .weight = 3,
	  .resume = true, .update = true, .valid = true },
	{ .name = "library", .stage = HELLO, .weight = 5, .library = true, .valid = true },
};

#endif /* _STORM_KINDS_H */
