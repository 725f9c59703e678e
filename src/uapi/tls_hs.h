/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * tls_hs: TLS server handshakes in the kernel.
 *
 * The one source of every constant that crosses the border between user space
 * and the module. Usable from C, C++ and bindgen.
 *
 *	setsockopt(sd, SOL_TCP, TCP_ULP, "tls", sizeof("tls"));
 *	setsockopt(sd, SOL_TLS, TLS_HS, &ci, sizeof(ci));
 *	listen(sd, backlog);
 *	nsd = accept(sd, (struct sockaddr *)&sa, &len);
 *
 * accept() stores PF_TLS as the address family of a connection whose handshake
 * the kernel completed: read() and write() carry plaintext. With any other
 * family the kernel could not serve the client and nothing of what it sent has
 * been read: any TLS library can do the handshake.
 */
#ifndef _UAPI_TLS_HS_H
#define _UAPI_TLS_HS_H

#include <linux/types.h>

/* Family in the address that accept() returns, and only there. */
#define PF_TLS				47
#define AF_TLS				PF_TLS

/* Socket option, level SOL_TLS, on a TCP socket that is not connected. */
#define TLS_HS				100

/* tls_hs_crypto_info.versions */
#define TLS_HS_VERSION_1_2		(1U << 0)
#define TLS_HS_VERSION_1_3		(1U << 1)

/* tls_hs_crypto_info.tls_12_cipher_suites */
#define TLS_HS_ECDHE_ECDSA_AES_128_GCM_SHA256		(1U << 0)
#define TLS_HS_ECDHE_ECDSA_AES_256_GCM_SHA384		(1U << 1)
#define TLS_HS_ECDHE_ECDSA_CHACHA20_POLY1305_SHA256	(1U << 2)

/* tls_hs_crypto_info.tls_13_ciphersuites */
#define TLS_HS_AES_128_GCM_SHA256	(1U << 0)
#define TLS_HS_AES_256_GCM_SHA384	(1U << 1)
#define TLS_HS_CHACHA20_POLY1305_SHA256	(1U << 2)

/* tls_hs_crypto_info.ecurves */
#define TLS_HS_SECP256R1		(1U << 0)
#define TLS_HS_X25519			(1U << 1)

/* tls_hs_crypto_info.flags: a server name without a keyring is not the default's */
#define TLS_HS_STRICT_SNI		(1U << 0)

/**
 * struct tls_hs_crypto_info - what a listening socket serves
 * @versions: TLS_HS_VERSION_* mask
 * @tls_12_cipher_suites: mask of suites for TLS 1.2
 * @tls_13_ciphersuites: mask of suites for TLS 1.3
 * @ecurves: mask of key exchange groups
 * @tls_keyring: serial of a keyring that holds one "tls_cert" and one
 *	"tls_priv" key (one virtual host, the default for every server name), or
 *	keyrings of that kind, each named after the server name it serves, or
 *	both. "tls_alpn", "tls_ocsp" and "tls_ticket" keys may go with them;
 *	protocols and ticket keys beside the keyrings count for all of them
 * @flags: TLS_HS_STRICT_SNI or 0
 * @tickets: session tickets to send after a handshake of TLS 1.3, at most 8;
 *	0 stands for 2. None are sent without a "tls_ticket" key
 * @ticket_lifetime: seconds for which a ticket is accepted, more than 604800
 *	count as that; 0 stands for 86400
 *
 * A mask of 0 stands for everything the module supports. The structure grows
 * at its end: a shorter one than the module knows is filled up with zeros, a
 * longer one is taken if the bytes the module does not know are zero, and
 * refused with E2BIG otherwise.
 */
struct tls_hs_crypto_info {
	__u32	versions;
	__u32	tls_12_cipher_suites;
	__u32	tls_13_ciphersuites;
	__u32	ecurves;
	__s32	tls_keyring;
	__u32	flags;
	__u32	tickets;
	__u32	ticket_lifetime;
};

/* Size of the first published struct tls_hs_crypto_info. */
#define TLS_HS_CRYPTO_INFO_SIZE_VER0	24

/* Socket option, level SOL_TLS, to be read from an established PF_TLS socket. */
#define TLS_HS_INFO			101

/* tls_hs_info.flags */
#define TLS_HS_INFO_RESUMED		(1U << 0)
#define TLS_HS_INFO_TICKET_AGE		(1U << 1)

/**
 * struct tls_hs_info - what client and kernel agreed on
 * @version: ProtocolVersion: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3
 * @cipher_suite: CipherSuite, as in IANA's registry
 * @group: NamedGroup of the key exchange
 * @flags: TLS_HS_INFO_RESUMED if the client came back with a ticket,
 *	TLS_HS_INFO_TICKET_AGE if it said how old that is
 * @server_name: the name that the client asked for, "" if it sent none
 * @alpn: the application protocol, "" if none was agreed on
 * @ticket_age: milliseconds since the client received its ticket, as it says:
 *	in TLS 1.3 only
 *
 * getsockopt(2) gives as much of it as there is room for, and the length that
 * it gave. The structure grows at its end.
 */
struct tls_hs_info {
	__u16	version;
	__u16	cipher_suite;
	__u16	group;
	__u16	flags;
	char	server_name[256];
	char	alpn[256];
	__u32	ticket_age;
};

/* Size of the first published struct tls_hs_info. */
#define TLS_HS_INFO_SIZE_VER0		520

/*
 * Socket option, level SOL_TLS, of an established PF_TLS socket: content of the
 * records that it sends. A __u32: bytes, from 64 to 16384; or 0: as much as
 * the windows of TCP have room for. The default is net.tls_hs.record_size.
 */
#define TLS_HS_RECORD_SIZE		102

/*
 * What inet_diag says of sockets that listen or are in handshake: in
 * INET_DIAG_ULP_INFO, beside INET_ULP_INFO_TLS, a nested attribute TLS_HS_DIAG
 * with the attributes below.
 */
#define TLS_HS_DIAG			64

/* u8, one of TLS_HS_DIAG_STATE_* */
#define TLS_HS_DIAG_STATE		1
/* Of a handshake: u32, milliseconds since the TCP handshake */
#define TLS_HS_DIAG_AGE			2
/* Of a listening socket: u32, handshakes that go on, and that may go on */
#define TLS_HS_DIAG_PENDING		3
#define TLS_HS_DIAG_MAX_PENDING		4
/* Of a listening socket: u64, results of handshakes */
#define TLS_HS_DIAG_COMPLETED		5
#define TLS_HS_DIAG_FELL_BACK		6
#define TLS_HS_DIAG_FAILED		7
#define TLS_HS_DIAG_PAD			8

/* A listening socket with TLS_HS */
#define TLS_HS_DIAG_STATE_LISTEN	1
/* The handshake goes on */
#define TLS_HS_DIAG_STATE_HANDSHAKE	2
/* It is complete, or not for the kernel, and waits for accept() */
#define TLS_HS_DIAG_STATE_COMPLETE	3
#define TLS_HS_DIAG_STATE_FALLBACK	4
/* About to be closed */
#define TLS_HS_DIAG_STATE_DEAD		5

/* Key types, for add_key(2), and the descriptions by which they are found. */
#define TLS_HS_KEY_TYPE_CERT		"tls_cert"
#define TLS_HS_KEY_TYPE_PRIV		"tls_priv"
#define TLS_HS_KEY_TYPE_ALPN		"tls_alpn"
#define TLS_HS_KEY_TYPE_OCSP		"tls_ocsp"
#define TLS_HS_KEY_TYPE_TICKET		"tls_ticket"
#define TLS_HS_KEY_DESC_CERT		"tlscrt:"
#define TLS_HS_KEY_DESC_PRIV		"tlspk:"
#define TLS_HS_KEY_DESC_ALPN		"tlsalpn:"
#define TLS_HS_KEY_DESC_OCSP		"tlsocsp:"
#define TLS_HS_KEY_DESC_TICKET		"tlsticket:"

#endif /* _UAPI_TLS_HS_H */
