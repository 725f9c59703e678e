// SPDX-License-Identifier: GPL-2.0
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"

void tls_hs_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void tls_hs_bh_lock_sock(struct sock *sk)
{
	bh_lock_sock(sk);
}

void tls_hs_bh_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
}

/* The caller has the lock's spinlock, or owns the socket. */
bool tls_hs_sock_owned(const struct sock *sk)
{
	return sock_owned_by_user_nocheck(sk);
}

/* tcp_close() then sends a reset and keeps nothing. The socket is locked. */
void tls_hs_reset_on_close(struct sock *sk)
{
	sock_set_flag(sk, SOCK_LINGER);
	WRITE_ONCE(sk->sk_lingertime, 0);
}

void tls_hs_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void tls_hs_sock_put(struct sock *sk)
{
	sock_put(sk);
}

/*
 * Lets the peer send @bytes that stay in the receive queue. Returns the receive
 * buffer as it was, 0 if it was large enough. The socket is locked.
 */
int tls_hs_make_room(struct sock *sk, int bytes)
{
	struct tcp_sock *tp = tcp_sk(sk);
	int rcvbuf = sk->sk_rcvbuf;

	if (tcp_full_space(sk) >= bytes)
		return 0;
	WRITE_ONCE(sk->sk_rcvbuf, tcp_space_from_win(sk, bytes));
	WRITE_ONCE(tp->window_clamp, max_t(u32, tp->window_clamp, bytes));
	tp->rcv_ssthresh = max_t(u32, tp->rcv_ssthresh, bytes);
	return rcvbuf;
}

void tls_hs_restore_room(struct sock *sk, int rcvbuf)
{
	struct tcp_sock *tp = tcp_sk(sk);

	WRITE_ONCE(sk->sk_rcvbuf, rcvbuf);
	WRITE_ONCE(tp->window_clamp, tcp_full_space(sk));
	tp->rcv_ssthresh = min(tp->rcv_ssthresh, tp->window_clamp);
}

/* Whether TCP may change the size of the receive buffer; returns whether it could not before. */
bool tls_hs_lock_room(struct sock *sk, bool lock)
{
	bool before = sk->sk_userlocks & SOCK_RCVBUF_LOCK;

	if (lock)
		sk->sk_userlocks |= SOCK_RCVBUF_LOCK;
	else
		sk->sk_userlocks &= ~SOCK_RCVBUF_LOCK;
	return before;
}

/* TCP_CORK, but what is taken off sends nothing. Returns whether it was set. */
bool tls_hs_cork(struct sock *sk, bool cork)
{
	struct tcp_sock *tp = tcp_sk(sk);
	bool before = tp->nonagle & TCP_NAGLE_CORK;

	if (cork)
		tp->nonagle |= TCP_NAGLE_CORK;
	else
		tp->nonagle &= ~TCP_NAGLE_CORK;
	return before;
}

/* SO_SNDTIMEO, UINT_MAX for none and for weeks. */
u32 tls_hs_send_timeout_ms(const struct sock *sk)
{
	long timeout = READ_ONCE(sk->sk_sndtimeo);

	return timeout >= msecs_to_jiffies(INT_MAX) ? UINT_MAX : jiffies_to_msecs(timeout);
}

/* The answer of a call that a signal interrupts, 0 if none does. */
int tls_hs_interrupted(const struct sock *sk)
{
	return signal_pending(current) ? sock_intr_errno(READ_ONCE(sk->sk_rcvtimeo)) : 0;
}

bool tls_hs_sock_done(const struct sock *sk)
{
	return sock_flag(sk, SOCK_DONE);
}

bool tls_hs_nothing_queued(const struct sock *sk)
{
	return tcp_rtx_and_write_queues_empty(sk);
}

struct net *tls_hs_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

bool tls_hs_is_syn(const struct sk_buff *skb)
{
	return tcp_hdr(skb)->syn;
}

/*
 * The syncookie path then neither queues the child nor complains: it is what MPTCP
 * does with the subflows that it joins by itself. The request must be nobody else's:
 * who answers one that says it is MPTCP's looks behind its end.
 */
void tls_hs_keep_off_queue(struct request_sock *req)
{
	tcp_rsk(req)->is_mptcp = true;
	tcp_rsk(req)->drop_req = true;
}

void tls_hs_count_migration(const struct sock *sk)
{
	NET_INC_STATS(sock_net(sk), LINUX_MIB_TCPMIGRATEREQSUCCESS);
}

/*
 * What TCP does with a request that has become a socket, but for the reference of the
 * caller: inet_csk_reqsk_queue_drop() of one that is not in the hash table any more.
 */
void tls_hs_request_done(struct request_sock *req)
{
	if (timer_delete_sync(&req->rsk_timer))
		refcount_dec(&req->rsk_refcnt);
	reqsk_queue_removed(&inet_csk(req->rsk_listener)->icsk_accept_queue, req);
}

void tls_hs_listendrop(const struct sock *sk)
{
	tcp_listendrop(sk);
}

/*
 * inet_accept(), for connections on which something has been sent: the memory cgroup
 * of the caller is charged for that, too. __inet_accept() thinks that there can't be
 * any, and charges for receive queue and reserve alone; but TCP gives all of it back
 * when the peer acknowledges it, and a peer may be late with that.
 */
int tls_hs_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg)
{
	struct sock *sk = sock->sk, *newsk;
	int sent;

	arg->err = -EINVAL;
	newsk = READ_ONCE(sk->sk_prot)->accept(sk, arg);
	if (!newsk)
		return arg->err;

	lock_sock(newsk);
	sent = newsk->sk_wmem_queued;
	sk_forward_alloc_add(newsk, sent);
	__inet_accept(sock, newsock, newsk);
	sk_forward_alloc_add(newsk, -sent);
	release_sock(newsk);
	return 0;
}

void tls_hs_support_zerocopy(struct socket *sock)
{
	set_bit(SOCK_SUPPORT_ZC, &sock->flags);
}

void tls_hs_acceptq_added(struct sock *sk)
{
	sk_acceptq_added(sk);
}

void tls_hs_acceptq_removed(struct sock *sk)
{
	sk_acceptq_removed(sk);
}

void tls_hs_waitqueue_init(struct socket *sock)
{
	init_waitqueue_head(&sock->wq.wait);
}

/* As sock_graft() does, but for a socket without an inode: no sk_set_socket(). */
void tls_hs_sock_attach(struct sock *sk, struct socket *sock)
{
	rcu_assign_pointer(sk->sk_wq, &sock->wq);
	WRITE_ONCE(sk->sk_socket, sock);
}

void tls_hs_sock_detach(struct sock *sk)
{
	WRITE_ONCE(sk->sk_socket, NULL);
	RCU_INIT_POINTER(sk->sk_wq, NULL);
}

void tls_hs_clear_nospace(struct socket *sock)
{
	clear_bit(SOCK_NOSPACE, &sock->flags);
}

void tls_hs_set_ulp(struct sock *sk, const struct tcp_ulp_ops *ops, void *data)
{
	struct inet_connection_sock *icsk = inet_csk(sk);

	rcu_assign_pointer(icsk->icsk_ulp_data, data);
	WRITE_ONCE(icsk->icsk_ulp_ops, ops);
}

/*
 * The data of a socket whose ULP is @ops, NULL if it is not; under RCU or the socket's
 * lock. It belongs to the ULP that is read after it: who replaces one ULP by another
 * takes the first off in between.
 */
const void *tls_hs_ulp_data(const struct sock *sk, const struct tcp_ulp_ops *ops)
{
	const void *data;

	/* The ULP is read after its data. */
	data = smp_load_acquire(&inet_csk(sk)->icsk_ulp_data);
	return READ_ONCE(inet_csk(sk)->icsk_ulp_ops) == ops ? data : NULL;
}

void tls_hs_forget_ulp_data(struct sock *sk)
{
	RCU_INIT_POINTER(inet_csk(sk)->icsk_ulp_data, NULL);
}

void tls_hs_set_af_ops(struct sock *sk, const struct inet_connection_sock_af_ops *ops)
{
	/* Whoever sees the pointer in SoftIRQ sees what it points to. */
	smp_store_release(&inet_csk(sk)->icsk_af_ops, ops);
}

void tls_hs_set_data_ready(struct sock *sk, void (*data_ready)(struct sock *sk))
{
	WRITE_ONCE(sk->sk_data_ready, data_ready);
}

void tls_hs_call_data_ready(struct sock *sk)
{
	READ_ONCE(sk->sk_data_ready)(sk);
}

int tls_hs_sock_err(const struct sock *sk)
{
	return READ_ONCE(sk->sk_err);
}

void tls_hs_forget_sock_err(struct sock *sk, int err)
{
	cmpxchg(&sk->sk_err, err, 0);
}

/* Puts an error back that somebody has taken off the socket. */
void tls_hs_keep_sock_err(struct sock *sk, int err)
{
	cmpxchg(&sk->sk_err, 0, err);
}

/* What poll says when there is something to read. */
__poll_t tls_hs_poll_in(void)
{
	return EPOLLIN | EPOLLRDNORM;
}

/* What poll says at the end of file. */
__poll_t tls_hs_poll_end(void)
{
	return EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
}

bool tls_hs_nonblock(const struct socket *sock)
{
	return sock->file && sock->file->f_flags & O_NONBLOCK;
}

void tls_hs_watch(struct socket *sock, struct wait_queue_entry *entry, wait_queue_func_t func)
{
	init_waitqueue_func_entry(entry, func);
	add_wait_queue(&sock->wq.wait, entry);
}

void tls_hs_unwatch(struct socket *sock, struct wait_queue_entry *entry)
{
	remove_wait_queue(&sock->wq.wait, entry);
}

/* In a wake function: whether readers are meant. */
bool tls_hs_wakes_reader(void *key)
{
	__poll_t flags = key_to_poll(key);

	return !flags || flags & (EPOLLIN | EPOLLERR | EPOLLHUP);
}

void tls_hs_warn(const struct sock *sk, const char *what, u32 more)
{
	pr_warn("tls_hs: port %u: %s (%u times since the last such line)\n",
		READ_ONCE(inet_sk(sk)->inet_num), what, more);
}
