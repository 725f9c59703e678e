// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring_accept FD: accepts a connection of the listening socket FD through
 * io_uring, reads from it and writes back what it read, without a copy if it is
 * a plain connection. Prints the family of the address and the octets that were
 * read. Raw system calls: no library.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
	int			fd;
	uint32_t		*sq_tail;
	uint32_t		sq_mask;
	uint32_t		*sq_array;
	struct io_uring_sqe	*sqes;
	uint32_t		*cq_head;
	uint32_t		cq_mask;
	struct io_uring_cqe	*cqes;
};

static void *map(int fd, size_t len, off_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       fd, offset);

	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	return p;
}

static void setup(struct ring *ring)
{
	struct io_uring_params params = {};
	char *sq, *cq;

	ring->fd = syscall(__NR_io_uring_setup, 4, &params);
	if (ring->fd < 0)
		err(EXIT_FAILURE, "io_uring_setup");
	sq = map(ring->fd, params.sq_off.array + params.sq_entries * sizeof(uint32_t),
		 IORING_OFF_SQ_RING);
	cq = map(ring->fd,
		 params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	ring->sqes = map(ring->fd, params.sq_entries * sizeof(struct io_uring_sqe),
			 IORING_OFF_SQES);
	ring->sq_tail = (uint32_t *)(sq + params.sq_off.tail);
	ring->sq_mask = *(uint32_t *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (uint32_t *)(sq + params.sq_off.array);
	ring->cq_head = (uint32_t *)(cq + params.cq_off.head);
	ring->cq_mask = *(uint32_t *)(cq + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

/* Submits one operation and waits for it. */
static int32_t run(struct ring *ring, const struct io_uring_sqe *sqe)
{
	uint32_t tail = *ring->sq_tail, head;
	int32_t res;

	ring->sqes[tail & ring->sq_mask] = *sqe;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		err(EXIT_FAILURE, "io_uring_enter");

	head = *ring->cq_head;
	res = ring->cqes[head & ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	if (res < 0)
		errx(EXIT_FAILURE, "operation %d: %s", sqe->opcode, strerror(-res));
	return res;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage addr = {};
	socklen_t addr_len = sizeof(addr);
	struct io_uring_sqe sqe = {};
	struct ring ring;
	char buf[4096];
	int32_t n;

	if (argc != 2)
		errx(EXIT_FAILURE, "usage: io_uring_accept FD");
	setup(&ring);

	sqe.opcode = IORING_OP_ACCEPT;
	sqe.fd = atoi(argv[1]);
	sqe.addr = (uintptr_t)&addr;
	sqe.addr2 = (uintptr_t)&addr_len;
	sqe.accept_flags = SOCK_CLOEXEC;
	sqe.fd = run(&ring, &sqe);

	sqe.opcode = IORING_OP_RECV;
	sqe.addr = (uintptr_t)buf;
	sqe.addr2 = 0;
	sqe.len = sizeof(buf);
	sqe.msg_flags = 0;
	n = run(&ring, &sqe);

	sqe.opcode = addr.ss_family == AF_INET ? IORING_OP_SEND_ZC : IORING_OP_SEND;
	sqe.len = n;
	run(&ring, &sqe);

	printf("%d %d\n", addr.ss_family, n);
	return EXIT_SUCCESS;
}
