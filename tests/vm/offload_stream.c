// SPDX-License-Identifier: GPL-2.0
/*
 * offload_stream NEAR FAR UP DOWN SIZE FILE: sends UP octets from the socket with
 * descriptor NEAR to the one with descriptor FAR and DOWN octets back at the same
 * time, in writes of SIZE octets that repeat FILE, and sees that they arrive as they
 * were sent.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK	(1UL << 18)
#define PATIENCE_MS	(600 * 1000)

struct way {
	int from, to;
	uint64_t total, sent, got;
};

static char pattern[2 * CHUNK], buffer[CHUNK];
static size_t period;

static size_t least(uint64_t a, size_t b)
{
	return a < b ? a : b;
}

static void load(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t at;

	if (!file)
		err(EXIT_FAILURE, "%s", path);
	period = fread(pattern, 1, CHUNK, file);
	fclose(file);
	if (!period)
		errx(EXIT_FAILURE, "%s: empty", path);
	for (at = period; at < sizeof(pattern); at++)
		pattern[at] = pattern[at - period];
}

static void push(struct way *way, size_t size)
{
	ssize_t n = write(way->from, pattern + way->sent % period,
			  least(way->total - way->sent, size));

	if (n >= 0)
		way->sent += n;
	else if (errno != EAGAIN)
		err(EXIT_FAILURE, "write after %llu octets", (unsigned long long)way->sent);
}

static void pull(struct way *way)
{
	ssize_t n = read(way->to, buffer, least(way->total - way->got, sizeof(buffer)));

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		err(EXIT_FAILURE, "read after %llu octets", (unsigned long long)way->got);
	if (n == 0)
		errx(EXIT_FAILURE, "end after %llu octets", (unsigned long long)way->got);
	if (memcmp(buffer, pattern + way->got % period, n))
		errx(EXIT_FAILURE, "wrong data in the %zd octets from %llu on", n,
		     (unsigned long long)way->got);
	way->got += n;
}

static short wanted(const struct way *out, const struct way *in)
{
	return (out->sent < out->total ? POLLOUT : 0) | (in->got < in->total ? POLLIN : 0);
}

int main(int argc, char **argv)
{
	struct way up, down;
	size_t size;

	if (argc != 7)
		errx(EXIT_FAILURE, "usage: offload_stream NEAR FAR UP DOWN SIZE FILE");
	up = (struct way){ atoi(argv[1]), atoi(argv[2]), strtoull(argv[3], NULL, 10), 0, 0 };
	down = (struct way){ up.to, up.from, strtoull(argv[4], NULL, 10), 0, 0 };
	size = least(strtoull(argv[5], NULL, 10), CHUNK);
	load(argv[6]);
	if (fcntl(up.from, F_SETFL, O_NONBLOCK) || fcntl(up.to, F_SETFL, O_NONBLOCK))
		err(EXIT_FAILURE, "O_NONBLOCK");

	while (up.got < up.total || down.got < down.total) {
		struct pollfd polled[] = {
			{ .fd = up.from, .events = wanted(&up, &down) },
			{ .fd = up.to, .events = wanted(&down, &up) },
		};

		if (poll(polled, 2, PATIENCE_MS) < 1)
			errx(EXIT_FAILURE, "nothing goes on after %llu and %llu octets",
			     (unsigned long long)up.got, (unsigned long long)down.got);
		if (polled[0].revents & POLLOUT)
			push(&up, size);
		if (polled[1].revents & POLLOUT)
			push(&down, size);
		if (polled[1].revents & ~POLLOUT)
			pull(&up);
		if (polled[0].revents & ~POLLOUT)
			pull(&down);
	}
	return EXIT_SUCCESS;
}
