// SPDX-License-Identifier: GPL-2.0
#include <linux/kmod.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <net/compat.h>
#include <net/snmp.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "helpers.h"

int tls_hs_request_tls(void)
{
	return request_module("tls");
}

int tls_hs_set_ulp_tls(struct sock *sk)
{
	return sk->sk_prot->setsockopt(sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR("tls"), sizeof("tls"));
}

int tls_hs_set_ktls(struct sock *sk, int optname, void *info, unsigned int len)
{
	return READ_ONCE(sk->sk_prot)->setsockopt(sk, SOL_TLS, optname, KERNEL_SOCKPTR(info), len);
}

/* Version and cipher of one direction, which are a part of the keys that kTLS keeps. */
struct tls_crypto_info tls_hs_cipher(const struct sock *sk, bool tx)
{
	const struct tls_context *ctx = tls_get_ctx(sk);

	/* New keys have the same. */
	return data_race(tx ? ctx->crypto_send.info : ctx->crypto_recv.info);
}

int tls_hs_copy_from_sockptr(void *dst, sockptr_t src, size_t offset, size_t len)
{
	return copy_from_sockptr_offset(dst, src, offset, len);
}

/* For sendmsg: the type of the record. */
void tls_hs_put_record_type(struct msghdr *msg, struct tls_hs_control *control, u8 type)
{
	struct cmsghdr *cmsg = (struct cmsghdr *)control->buf;

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(sizeof(type));
	*(u8 *)CMSG_DATA(cmsg) = type;
	msg->msg_control = control->buf;
	msg->msg_controllen = sizeof(control->buf);
}

/* In sendmsg: the type of record that the caller asks for, 0 if it does not. */
u8 tls_hs_asked_record_type(const struct msghdr *msg)
{
	struct msghdr *m = (struct msghdr *)msg;
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, m) {
		if (!CMSG_OK(m, cmsg))
			break;
		if (cmsg->cmsg_level == SOL_TLS && cmsg->cmsg_type == TLS_SET_RECORD_TYPE &&
		    cmsg->cmsg_len >= CMSG_LEN(sizeof(u8)))
			return *(u8 *)CMSG_DATA(cmsg);
	}
	return 0;
}

/* For recvmsg: room for the type of the record. */
void tls_hs_want_record_type(struct msghdr *msg, struct tls_hs_control *control)
{
	msg->msg_control = control->buf;
	msg->msg_controllen = sizeof(control->buf);
	msg->msg_control_is_user = false;
}

/* In recvmsg: whether the caller has room for the type of the record. */
bool tls_hs_has_type_room(const struct msghdr *msg)
{
	size_t least = CMSG_LEN(sizeof(u8));

#ifdef CONFIG_COMPAT
	if (msg->msg_flags & MSG_CMSG_COMPAT)
		least = sizeof(struct compat_cmsghdr) + sizeof(u8);
#endif
	return msg->msg_control && msg->msg_controllen >= least;
}

/* After recvmsg: the type of the record, 0 if there was none. */
u8 tls_hs_record_type(const struct msghdr *msg, const struct tls_hs_control *control)
{
	const struct cmsghdr *cmsg = (const struct cmsghdr *)control->buf;

	if (msg->msg_controllen == sizeof(control->buf) || cmsg->cmsg_level != SOL_TLS ||
	    cmsg->cmsg_type != TLS_GET_RECORD_TYPE)
		return 0;
	return *(const u8 *)CMSG_DATA(cmsg);
}

int tls_hs_put_option(char __user *value, int __user *len, const void *from, unsigned int size)
{
	int room;

	if (get_user(room, len))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	size = min_t(unsigned int, size, room);
	if (put_user(size, len) || copy_to_user(value, from, size))
		return -EFAULT;
	return 0;
}

static struct tls_sw_context_rx *rx_ctx(const struct sock *sk)
{
	return tls_sw_ctx_rx(tls_get_ctx(sk));
}

bool tls_hs_key_update_pending(const struct sock *sk)
{
	const struct tls_sw_context_rx *rx = rx_ctx(sk);

	return rx && READ_ONCE(rx->key_update_pending);
}

/* Whether kTLS has met a header that it refuses: it parses nothing more. */
bool tls_hs_rx_stopped(const struct sock *sk)
{
	const struct tls_sw_context_rx *rx = rx_ctx(sk);

	/* It is set once, and said again by the socket's error. */
	return rx && data_race(rx->strp.stopped != 0);
}

/* Whether kTLS has decrypted records that nobody has read. */
bool tls_hs_rx_listed(const struct sock *sk)
{
	return !skb_queue_empty_lockless(&rx_ctx(sk)->rx_list);
}

static int keep(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	return 0;
}

static bool rx_ready(const struct sock *sk)
{
	return READ_ONCE(rx_ctx(sk)->strp.msg_ready) || tls_hs_rx_listed(sk) ||
	       tls_hs_rx_stopped(sk) || READ_ONCE(sk->sk_err) || sock_flag(sk, SOCK_DONE) ||
	       READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN;
}

/*
 * The type of the record that is next, which is decrypted and listed then, or 0 at
 * the end; -EAGAIN if there is none. Data without content is gone past and freed:
 * MSG_PEEK would keep each such record, and a page with it.
 */
int tls_hs_next_record(struct sock *sk, const struct proto_ops *stock, bool wait)
{
	struct tls_sw_context_rx *rx = rx_ctx(sk);
	long timeo = sock_rcvtimeo(sk, !wait);
	struct sk_buff *skb;
	int type;

	lock_sock(sk);
	for (;;) {
		DEFINE_WAIT_FUNC(entry, woken_wake_function);
		read_descriptor_t desc = { .count = 1 };

		type = stock->read_sock(sk, &desc, keep);
		skb = skb_peek(&rx->rx_list);
		/* What keep() makes of data, and stock says to all other records. */
		if (skb && (!type || type == -EINVAL))
			type = ((struct sk_skb_cb *)skb->cb)->tls.control;
		if (type != -EAGAIN || !timeo)
			break;
		if (rx->strp.stopped) {
			type = -EBADMSG;
			break;
		}
		if (signal_pending(current)) {
			type = sock_intr_errno(timeo);
			break;
		}
		if (rx->reader_present) {
			release_sock(sk);
			tls_hs_nap();
			lock_sock(sk);
			continue;
		}
		add_wait_queue(sk_sleep(sk), &entry);
		sk_set_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		sk_wait_event(sk, &timeo, rx_ready(sk), &entry);
		sk_clear_bit(SOCKWQ_ASYNC_WAITDATA, sk);
		remove_wait_queue(sk_sleep(sk), &entry);
	}
	release_sock(sk);
	return type;
}

/*
 * How much MSG_PEEK may look at. It keeps what it walks past: of many small records no
 * more than are there already.
 */
size_t tls_hs_peek_max(struct sock *sk)
{
	struct sk_buff_head *list = &rx_ctx(sk)->rx_list;
	size_t max = SIZE_MAX;
	struct sk_buff *skb;

	lock_sock(sk);
	if (skb_queue_len(list) > 256) {
		max = 1;
		skb_queue_walk(list, skb)
			max += strp_msg(skb)->full_len;
	}
	release_sock(sk);
	return max;
}

/* Grows with each record that is read, with the present key. */
u64 tls_hs_records_read(const struct sock *sk)
{
	/* Another thread that reads makes it an estimate. */
	return data_race(get_unaligned_be64(tls_get_ctx(sk)->rx.rec_seq)) -
	       skb_queue_len_lockless(&rx_ctx(sk)->rx_list);
}

/*
 * The first bytes of the record that kTLS is at, if it has taken them off the
 * receive queue; an error if they are there still. The socket is locked.
 */
int tls_hs_taken_bits(const struct sock *sk, void *to, int len)
{
	const struct tls_strparser *strp = &rx_ctx(sk)->strp;

	return strp->copy_mode ? skb_copy_bits(strp->anchor, 0, to, len) : -ENODATA;
}

/* Records of the network namespace that did not authenticate. */
unsigned long tls_hs_decrypt_failures(const struct sock *sk)
{
	const struct linux_tls_mib __percpu *mib = sock_net(sk)->mib.tls_statistics;
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(mib, cpu)->mibs[LINUX_MIB_TLSDECRYPTERROR]);
	return sum;
}

/* Whether something sent now can reach the peer, and will not be cut off by a reset. */
bool tls_hs_can_send(const struct sock *sk)
{
	if (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime)
		return false;
	return (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT);
}

/* The answer to a write when nothing may be sent any more. */
int tls_hs_broken_pipe(unsigned int flags)
{
	if (!(flags & MSG_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
	return -EPIPE;
}

/* Makes room for @bytes behind what is in the send buffer, whatever its limits. */
void tls_hs_open_send_buffer(struct sock *sk, int bytes)
{
	lock_sock(sk);
	WRITE_ONCE(tcp_sk(sk)->notsent_lowat, U32_MAX);
	WRITE_ONCE(sk->sk_sndbuf, max(sk->sk_sndbuf, sk->sk_wmem_queued + bytes));
	release_sock(sk);
}

static u32 bytes_between(u32 start, u32 end)
{
	return max_t(s32, end - start, 0);
}

/* The socket is not locked. */
void tls_hs_get_windows(struct sock *sk, struct tls_hs_windows *now)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tls_context *ctx = tls_get_ctx(sk);
	const struct tcp_sock *tp = tcp_sk(sk);
	bool slow = lock_sock_fast(sk);

	now->rate = sk->sk_pacing_rate;
	now->congestion = tcp_snd_cwnd(tp);
	now->restart = TCP_INIT_CWND;
	now->idle = 0;
	if (!tp->packets_out && icsk->icsk_rto &&
	    READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_slow_start_after_idle))
		now->idle = (tcp_jiffies32 - tp->lsndtime) / icsk->icsk_rto;
	now->in_flight = tcp_packets_in_flight(tp);
	now->segment = tp->mss_cache;
	now->peer = tp->snd_wnd;
	now->peer_left = bytes_between(tp->write_seq, tcp_wnd_end(tp));
	now->unsent = bytes_between(tp->snd_nxt, tp->write_seq);
	now->overhead = ctx->prot_info.overhead_size;
	now->limit = READ_ONCE(ctx->tx_max_payload_len);
	now->corked = tp->nonagle & TCP_NAGLE_CORK;
	now->no_delay = tp->nonagle & TCP_NAGLE_OFF;
	now->open_record = ctx->pending_open_record_frags;
	unlock_sock_fast(sk, slow);
}

/* Cuts a message down to @len bytes; returns how many are hidden then. */
size_t tls_hs_msg_hide(struct msghdr *msg, size_t len)
{
	size_t all = msg_data_left(msg);

	iov_iter_truncate(&msg->msg_iter, len);
	return all - msg_data_left(msg);
}

void tls_hs_msg_show(struct msghdr *msg, size_t hidden)
{
	iov_iter_reexpand(&msg->msg_iter, msg_data_left(msg) + hidden);
}

/* How many records the present key has protected; whoever asks is the one who sends. */
u64 tls_hs_records_sent(const struct sock *sk)
{
	return get_unaligned_be64(tls_get_ctx(sk)->tx.rec_seq);
}
