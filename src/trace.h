/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of handshakes, for perf, bpftrace and tracefs. No secrets are in
 * them. The server name is the client's: bytes that a host name cannot have are
 * shown as question marks.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tls_hs

#if !defined(_TLS_HS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TLS_HS_TRACE_H

#include <linux/ctype.h>
#include <linux/tracepoint.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <trace/events/net_probe_common.h>

#include "helpers.h"

/*
 * What is not known yet is 0 or empty. The strings are arrays of fixed size, since
 * Debian 13's bpftrace takes others for empty. Reasons are shorter than theirs.
 */
DECLARE_EVENT_CLASS(tls_hs_handshake,
	TP_PROTO(const struct tls_hs_trace *t),

	TP_ARGS(t),

	TP_STRUCT__entry(
		__field(const void *, skaddr)
		__field(u64, netns_cookie)
		__field(u32, us)
		__field(u16, family)
		__field(u16, sport)
		__field(u16, dport)
		__field(u16, version)
		__field(u16, suite)
		__field(u16, group)
		__field(bool, resumed)
		__array(u8, saddr, 4)
		__array(u8, daddr, 4)
		__array(u8, saddr_v6, 16)
		__array(u8, daddr_v6, 16)
		__array(char, sni, 256)
		__array(char, reason, 40)
	),

	TP_fast_assign(
		const struct sock *sk = t->sk;
		const struct inet_sock *inet = inet_sk(sk);
		unsigned int at;
		__be32 *addr;

		__entry->skaddr = sk;
		__entry->netns_cookie = sock_net(sk)->net_cookie;
		__entry->us = t->us;
		__entry->family = sk->sk_family;
		__entry->sport = ntohs(inet->inet_sport);
		__entry->dport = ntohs(inet->inet_dport);
		addr = (__be32 *)__entry->saddr;
		*addr = inet->inet_saddr;
		addr = (__be32 *)__entry->daddr;
		*addr = inet->inet_daddr;
		TP_STORE_ADDRS(__entry, inet->inet_saddr, inet->inet_daddr,
			       sk->sk_v6_rcv_saddr, sk->sk_v6_daddr);
		__entry->version = t->version;
		__entry->suite = t->suite;
		__entry->group = t->group;
		__entry->resumed = t->resumed;
		memset(__entry->sni, 0, sizeof(__entry->sni));
		for (at = 0; at < t->name_len && at < sizeof(__entry->sni) - 1; at++) {
			unsigned char c = t->name[at];
			bool plain = isascii(c) &&
				     (isalnum(c) || c == '-' || c == '.' || c == '_');

			__entry->sni[at] = plain ? c : '?';
		}
		memset(__entry->reason, 0, sizeof(__entry->reason));
		memcpy(__entry->reason, t->reason,
		       min_t(size_t, t->reason_len, sizeof(__entry->reason) - 1));
	),

	TP_printk("family=%hu sport=%hu dport=%hu saddr=%pI4 daddr=%pI4 saddrv6=%pI6c daddrv6=%pI6c netns=%llu us=%u version=%#hx suite=%#hx group=%#hx resumed=%d sni=%s reason=%s",
		  __entry->family, __entry->sport, __entry->dport, __entry->saddr,
		  __entry->daddr, __entry->saddr_v6, __entry->daddr_v6,
		  __entry->netns_cookie, __entry->us, __entry->version, __entry->suite,
		  __entry->group, __entry->resumed, __entry->sni, __entry->reason)
);

#define DEFINE_TLS_HS_EVENT(name)			\
DEFINE_EVENT(tls_hs_handshake, name,			\
	TP_PROTO(const struct tls_hs_trace *t),		\
	TP_ARGS(t))

/* A connection whose TLS handshake begins. */
DEFINE_TLS_HS_EVENT(tls_hs_start);

/* Its ClientHello was taken, and what could be said at once is said. */
DEFINE_TLS_HS_EVENT(tls_hs_hello);

/* The handshake is complete. */
DEFINE_TLS_HS_EVENT(tls_hs_done);

/* The connection is user space's, nothing read; the reason is a counter's name. */
DEFINE_TLS_HS_EVENT(tls_hs_fallback);

/* The handshake has ended in neither way. */
DEFINE_TLS_HS_EVENT(tls_hs_fail);

#endif /* _TLS_HS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
