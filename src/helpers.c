// SPDX-License-Identifier: GPL-2.0
#include <linux/bottom_half.h>
#include <linux/jiffies.h>
#include <linux/key.h>
#include <linux/kmod.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/seq_file_net.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/uaccess.h>
#include <crypto/sha2.h>
#include <crypto/utils.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "helpers.h"

static unsigned int handshake_timeout_ms = 10000;
module_param(handshake_timeout_ms, uint, 0644);
MODULE_PARM_DESC(handshake_timeout_ms,
		 "Milliseconds from the end of the TCP handshake to that of the TLS handshake");

static unsigned int max_pending = 65536;
module_param(max_pending, uint, 0644);
MODULE_PARM_DESC(max_pending, "Handshakes that one listening socket may have going on");

MODULE_SOFTDEP("pre: tls gcm ctr chacha20poly1305");

struct module *tls_hs_this_module(void)
{
	return THIS_MODULE;
}

u32 tls_hs_timeout_ms(void)
{
	return READ_ONCE(handshake_timeout_ms);
}

u32 tls_hs_max_pending(void)
{
	return READ_ONCE(max_pending);
}

void tls_hs_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(spinlock_check(lock), name, key, LD_WAIT_CONFIG);
#else
	spin_lock_init(lock);
#endif
}

void tls_hs_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void tls_hs_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

int tls_hs_spin_trylock_bh(spinlock_t *lock)
{
	return spin_trylock_bh(lock);
}

void tls_hs_lockdep_assert_held(spinlock_t *lock)
{
	lockdep_assert_held(lock);
}

void tls_hs_callback_lock(struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
}

void tls_hs_callback_unlock(struct sock *sk)
{
	write_unlock_bh(&sk->sk_callback_lock);
}

void tls_hs_bh_disable(void)
{
	local_bh_disable();
}

void tls_hs_bh_enable(void)
{
	local_bh_enable();
}

unsigned int tls_hs_cpu(void)
{
	return smp_processor_id();
}

unsigned int tls_hs_cpu_ids(void)
{
	return nr_cpu_ids;
}

void tls_hs_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

bool tls_hs_sock_get_live(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
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

bool tls_hs_sock_done(const struct sock *sk)
{
	return sock_flag(sk, SOCK_DONE);
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
 * tcp_check_req() and the syncookie path then neither queue the child nor
 * complain: it is what MPTCP does with the subflows that it joins by itself.
 */
void tls_hs_keep_off_queue(struct request_sock *req)
{
	tcp_rsk(req)->is_mptcp = true;
	tcp_rsk(req)->drop_req = true;
}

void tls_hs_listendrop(const struct sock *sk)
{
	tcp_listendrop(sk);
}

void tls_hs_acceptq_added(struct sock *sk)
{
	sk_acceptq_added(sk);
}

void tls_hs_acceptq_removed(struct sock *sk)
{
	sk_acceptq_removed(sk);
}

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

void tls_hs_init_rwsem(struct rw_semaphore *sem)
{
	init_rwsem(sem);
}

bool tls_hs_key_update_pending(const struct sock *sk)
{
	const struct tls_sw_context_rx *rx = tls_sw_ctx_rx(tls_get_ctx(sk));

	return rx && READ_ONCE(rx->key_update_pending);
}

/* Whether something sent now can reach the peer, and will not be cut off by a reset. */
bool tls_hs_can_send(const struct sock *sk)
{
	if (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime)
		return false;
	return (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT);
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
	icsk->icsk_ulp_ops = ops;
}

void tls_hs_set_af_ops(struct sock *sk, const struct inet_connection_sock_af_ops *ops)
{
	/* Whoever sees the pointer in SoftIRQ sees what it points to. */
	smp_store_release(&inet_csk(sk)->icsk_af_ops, ops);
}

const struct inet_connection_sock_af_ops *tls_hs_af_ops(const struct sock *sk)
{
	return READ_ONCE(inet_csk(sk)->icsk_af_ops);
}

void tls_hs_set_data_ready(struct sock *sk, void (*data_ready)(struct sock *sk))
{
	WRITE_ONCE(sk->sk_data_ready, data_ready);
}

void tls_hs_call_data_ready(struct sock *sk)
{
	READ_ONCE(sk->sk_data_ready)(sk);
}

struct kmem_cache *tls_hs_cache_create(const char *name, unsigned int size, unsigned int align)
{
	return kmem_cache_create(name, size, align, 0, NULL);
}

void *tls_hs_cache_alloc_atomic(struct kmem_cache *cache)
{
	return kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN);
}

void tls_hs_free_rcu(struct tls_hs_rcu_object *object)
{
	kfree_rcu(object, rcu);
}

/*
 * A request_sock for the accept queue that never was in the hash table. No
 * __GFP_ZERO: the slab is SLAB_TYPESAFE_BY_RCU, and a lockless walker of the
 * hash table may still look at the node of a recycled object.
 */
struct request_sock *tls_hs_reqsk_like(const struct request_sock *like)
{
	struct request_sock *req;

	req = kmem_cache_alloc(like->rsk_ops->slab, GFP_ATOMIC | __GFP_NOWARN);
	if (!req)
		return NULL;
	req->rsk_listener = NULL;
	req->rsk_ops = like->rsk_ops;
	req_to_sk(req)->sk_prot = NULL;
	sk_node_init(&req_to_sk(req)->sk_node);
	req->saved_syn = NULL;
	req->syncookie = 0;
	req->num_timeout = 0;
	req->num_retrans = 0;
	req->sk = NULL;
	req->dl_next = NULL;
	inet_rsk(req)->ireq_opt = NULL;
#if IS_ENABLED(CONFIG_IPV6)
	inet_rsk(req)->pktopts = NULL;
#endif
	tcp_rsk(req)->tfo_listener = false;
	tcp_rsk(req)->is_mptcp = 0;
	tcp_rsk(req)->drop_req = false;
	refcount_set(&req->rsk_refcnt, 1);
	return req;
}

void tls_hs_reqsk_free(struct request_sock *req)
{
	kmem_cache_free(req->rsk_ops->slab, req);
}

void tls_hs_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

void tls_hs_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

struct workqueue_struct *tls_hs_alloc_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_UNBOUND, 0, name);
}

bool tls_hs_queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue_work(wq, work);
}

bool tls_hs_queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			       unsigned long delay)
{
	return queue_delayed_work(wq, work, delay);
}

u32 tls_hs_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

unsigned long tls_hs_ms_to_jiffies(unsigned int ms)
{
	return msecs_to_jiffies(ms);
}

void tls_hs_sha256_update(struct sha256_ctx *ctx, const u8 *data, size_t len)
{
	sha256_update(ctx, data, len);
}

void tls_hs_sha384_update(struct sha384_ctx *ctx, const u8 *data, size_t len)
{
	sha384_update(ctx, data, len);
}

void tls_hs_hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data, size_t len)
{
	hmac_sha256_update(ctx, data, len);
}

void tls_hs_hmac_sha384_update(struct hmac_sha384_ctx *ctx, const u8 *data, size_t len)
{
	hmac_sha384_update(ctx, data, len);
}

bool tls_hs_has_bmi2_adx(void)
{
#ifdef CONFIG_X86_64
	return boot_cpu_has(X86_FEATURE_BMI2) && boot_cpu_has(X86_FEATURE_ADX);
#else
	return false;
#endif
}

void tls_hs_wipe(void *data, size_t len)
{
	memzero_explicit(data, len);
}

/* In constant time. */
bool tls_hs_equal(const u8 *a, const u8 *b, size_t len)
{
	return !crypto_memneq(a, b, len);
}

#if __has_include(<crypto/aes-gcm.h>)
int tls_hs_gcm_setkey(struct tls_hs_gcm *gcm, const u8 *key, size_t len)
{
	return aes_gcm_preparekey(&gcm->key, key, len, 16);
}

void tls_hs_gcm_seal(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, u8 *tag)
{
	aes_gcm_encrypt(data, data, len, tag, aad, aad_len, nonce, &gcm->key);
}

bool tls_hs_gcm_open(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, const u8 *tag)
{
	return !aes_gcm_decrypt(data, data, len, tag, aad, aad_len, nonce, &gcm->key);
}
#else
int tls_hs_gcm_setkey(struct tls_hs_gcm *gcm, const u8 *key, size_t len)
{
	return aesgcm_expandkey(&gcm->key, key, len, 16);
}

void tls_hs_gcm_seal(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, u8 *tag)
{
	aesgcm_encrypt(&gcm->key, data, data, len, aad, aad_len, nonce, tag);
}

bool tls_hs_gcm_open(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, const u8 *tag)
{
	return aesgcm_decrypt(&gcm->key, data, data, len, aad, aad_len, nonce, tag);
}
#endif

u64 __percpu *tls_hs_alloc_counters(unsigned int count)
{
	return __alloc_percpu(count * sizeof(u64), __alignof__(u64));
}

void tls_hs_count(u64 __percpu *counters, unsigned int index)
{
	this_cpu_inc(counters[index]);
}

u64 tls_hs_sum(const u64 __percpu *counters, unsigned int index)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[index]);
	return sum;
}

void *tls_hs_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

struct net *tls_hs_seq_net(struct seq_file *m)
{
	return seq_file_single_net(m);
}

struct proc_dir_entry *tls_hs_proc_net(struct net *net)
{
	return net->proc_net;
}

void *tls_hs_key_payload(const struct key *key)
{
	return rcu_dereference_raw(key->payload.rcu_data0);
}

/* The key's semaphore is held for writing, or nobody else has the key. */
void *tls_hs_key_swap_payload(struct key *key, void *payload)
{
	void *old = rcu_dereference_protected(key->payload.rcu_data0, true);

	rcu_assign_pointer(key->payload.rcu_data0, payload);
	return old;
}

const char *tls_hs_key_description(const struct key *key)
{
	return key->description;
}

const struct key_type *tls_hs_key_type(const struct key *key)
{
	return key->type;
}
