// SPDX-License-Identifier: GPL-2.0
/*
 * offload_wire DEVICE PORT KEY SALT FILE: listens on DEVICE, which hears both
 * directions of a wire, to what is sent to TCP port PORT, until standard input
 * ends. Then all of it must be records of TLS 1.2 with AES-128-GCM under KEY and
 * SALT (hexadecimal), numbered from 0, that OpenSSL decrypts to octets that repeat
 * FILE. An octet that is sent twice must be the same both times. Prints
 * "listening" at first, at the end segments, octets, octets sent again, records and the
 * octets of the longest segment.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM		(512UL << 20)
#define FRAME		(1UL << 12)
#define BLOCK		(1UL << 20)
#define BLOCKS		96UL
#define HEADER		5
#define NONCE		8
#define TAG		16

static uint8_t *stream, *seen;
static uint32_t first;
static int begun;
static size_t end, segments, again, longest;

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(EXIT_FAILURE, "mmap");
	return p;
}

static void take(uint32_t seq, const uint8_t *data, size_t len)
{
	size_t at = (uint32_t)(seq - first), i;
	int sent_before;

	if (at + len > ROOM)
		errx(EXIT_FAILURE, "segment at %zu: more than fits", at);
	sent_before = memchr(seen + at, 1, len) != NULL;
	segments++;
	if (len > longest)
		longest = len;
	for (i = 0; sent_before && i < len; i++) {
		if (!seen[at + i])
			continue;
		if (stream[at + i] != data[i])
			errx(EXIT_FAILURE, "octet %zu was sent as %02x and as %02x",
			     at + i, stream[at + i], data[i]);
		again++;
	}
	memcpy(stream + at, data, len);
	memset(seen + at, 1, len);
	if (at + len > end)
		end = at + len;
}

static void packet(const uint8_t *data, size_t len, uint16_t port)
{
	const struct iphdr *ip = (const void *)(data + ETH_HLEN);
	const struct tcphdr *tcp;
	size_t headers, total;

	if (len < ETH_HLEN + sizeof(*ip) || ip->version != 4 || ip->protocol != IPPROTO_TCP)
		return;
	tcp = (const void *)((const uint8_t *)ip + ip->ihl * 4);
	total = ntohs(ip->tot_len);
	headers = ip->ihl * 4 + tcp->doff * 4;
	if (len < ETH_HLEN + total || total < headers || ntohs(tcp->dest) != port)
		return;
	if (tcp->syn) {
		first = ntohl(tcp->seq) + 1;
		begun = 1;
	} else if (begun && total > headers) {
		take(ntohl(tcp->seq), (const uint8_t *)ip + headers, total - headers);
	}
}

/* TCP over IPv4 without fragments, to a port. */
static void hear_only(int fd, uint16_t port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 6),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 4),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, ETH_HLEN),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, ETH_HLEN + 2),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 1 << 18),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
		err(EXIT_FAILURE, "SO_ATTACH_FILTER");
}

static int listen_on(const char *device, uint16_t port, uint8_t **ring)
{
	struct tpacket_req3 req = {
		.tp_block_size = BLOCK, .tp_block_nr = BLOCKS,
		.tp_frame_size = FRAME, .tp_frame_nr = BLOCK / FRAME * BLOCKS,
		.tp_retire_blk_tov = 100,
	};
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(device),
	};
	/* Hears nothing before it is bound: the ring is not there yet. */
	int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V3;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		err(EXIT_FAILURE, "packet socket");
	hear_only(fd, port);
	*ring = mmap(NULL, BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ring == MAP_FAILED || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(EXIT_FAILURE, "%s", device);
	return fd;
}

static void take_block(struct tpacket_block_desc *block, uint16_t port)
{
	struct tpacket3_hdr *frame = (void *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
	uint32_t i;

	for (i = 0; i < block->hdr.bh1.num_pkts; i++) {
		if (frame->tp_snaplen == frame->tp_len)
			packet((uint8_t *)frame + frame->tp_mac, frame->tp_snaplen, port);
		else
			errx(EXIT_FAILURE, "packet of %u octets cut", frame->tp_len);
		frame = (void *)((uint8_t *)frame + frame->tp_next_offset);
	}
}

static void capture(int fd, uint8_t *ring, uint16_t port)
{
	struct pollfd polled[] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	struct tpacket_stats_v3 stats;
	socklen_t len = sizeof(stats);
	unsigned int at = 0, quiet = 0;

	while (quiet < 5) {
		struct tpacket_block_desc *block = (void *)(ring + at * BLOCK);

		if (__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
			take_block(block, port);
			__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL,
					 __ATOMIC_RELEASE);
			at = (at + 1) % BLOCKS;
			quiet = 0;
			continue;
		}
		if (polled[1].fd < 0)
			quiet++;
		poll(polled, 2, 50);
		if (polled[1].fd == 0 && polled[1].revents && getchar() == EOF)
			polled[1].fd = -1;
	}
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		err(EXIT_FAILURE, "PACKET_STATISTICS");
	if (stats.tp_drops)
		errx(EXIT_FAILURE, "%u packets were not heard", stats.tp_drops);
}

/* Decrypts a record in place. */
static int open_record(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *salt,
		       uint64_t number, uint8_t *record, int len)
{
	uint8_t iv[12], aad[13], *content = record + HEADER + NONCE;
	int content_len = len - HEADER - NONCE - TAG, i, n;

	memcpy(iv, salt, 4);
	memcpy(iv + 4, record + HEADER, NONCE);
	for (i = 0; i < 8; i++)
		aad[i] = number >> (56 - 8 * i);
	memcpy(aad + 8, record, 3);
	aad[11] = content_len >> 8;
	aad[12] = content_len;
	return EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, content + content_len) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, aad, sizeof(aad)) == 1 &&
	       EVP_DecryptUpdate(ctx, content, &n, content, content_len) == 1 &&
	       EVP_DecryptFinal_ex(ctx, content + n, &n) == 1;
}

static uint64_t decrypt_stream(const uint8_t *key, const uint8_t *salt, const uint8_t *wanted,
		       size_t period)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint64_t number = 0;
	size_t at, plain = 0, i;

	for (at = 0; at < end; number++) {
		uint8_t *record = stream + at;
		size_t len = HEADER + (record[3] << 8 | record[4]);

		if (at + len > end)
			errx(EXIT_FAILURE, "record %llu at %zu is not whole",
			     (unsigned long long)number, at);
		for (i = 0; i < len; i++)
			if (!seen[at + i])
				errx(EXIT_FAILURE, "octet %zu was never sent", at + i);
		if (record[0] < 20 || record[0] > 23 || record[1] != 3 || record[2] != 3 ||
		    len < HEADER + NONCE + TAG)
			errx(EXIT_FAILURE, "no record at %zu", at);
		if (!open_record(ctx, key, salt, number, record, len))
			errx(EXIT_FAILURE, "record %llu at %zu of %zu octets does not verify",
			     (unsigned long long)number, at, len);
		if (record[0] == 23)
			for (i = HEADER + NONCE; i < len - TAG; i++)
				if (record[i] != wanted[plain++ % period])
					errx(EXIT_FAILURE, "record %llu has other content",
					     (unsigned long long)number);
		at += len;
	}
	EVP_CIPHER_CTX_free(ctx);
	return number;
}

static void hex(const char *text, uint8_t *to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (sscanf(text + 2 * i, "%2hhx", to + i) != 1)
			errx(EXIT_FAILURE, "%s: not %zu octets", text, len);
}

int main(int argc, char **argv)
{
	static uint8_t wanted[1 << 20];
	uint8_t key[16], salt[4], *ring;
	size_t period;
	uint64_t records;
	FILE *file;
	int fd;

	if (argc != 6)
		errx(EXIT_FAILURE, "usage: offload_wire DEVICE PORT KEY SALT FILE");
	hex(argv[3], key, sizeof(key));
	hex(argv[4], salt, sizeof(salt));
	file = fopen(argv[5], "rb");
	if (!file)
		err(EXIT_FAILURE, "%s", argv[5]);
	period = fread(wanted, 1, sizeof(wanted), file);
	fclose(file);
	if (!period)
		errx(EXIT_FAILURE, "%s: empty", argv[5]);

	stream = reserve(ROOM);
	seen = reserve(ROOM);
	fd = listen_on(argv[1], atoi(argv[2]), &ring);
	puts("listening");
	fflush(stdout);
	capture(fd, ring, atoi(argv[2]));
	if (memmem(stream, end, wanted, 64))
		errx(EXIT_FAILURE, "plaintext on the wire");
	records = decrypt_stream(key, salt, wanted, period);
	printf("%zu %zu %zu %llu %zu\n", segments, end, again, (unsigned long long)records, longest);
	return EXIT_SUCCESS;
}
