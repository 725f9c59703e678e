/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bodies for what the kernel offers as a macro or an inline function only.
 * Nothing here takes a decision: every helper is the call that its name says.
 */
#ifndef _TLS_HS_HELPERS_H
#define _TLS_HS_HELPERS_H

#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/socket.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/request_sock.h>
#include <net/sock.h>

/* What is freed by RCU begins like this. */
struct tls_hs_rcu_object {
	struct rcu_head rcu;
};

/* AES-GCM of lib/crypto, under the names that it has had. */
#if __has_include(<crypto/aes-gcm.h>)
#include <crypto/aes-gcm.h>
struct tls_hs_gcm {
	struct aes_gcm_key key;
};
#else
#include <crypto/gcm.h>
struct tls_hs_gcm {
	struct aesgcm_ctx key;
};
#endif

struct cred;
struct hmac_sha256_ctx;
struct hmac_sha256_key;
struct hmac_sha384_ctx;
struct hmac_sha384_key;
struct inet_connection_sock_af_ops;
struct key;
struct key_type;
struct kmem_cache;
struct kthread_work;
struct kthread_worker;
struct module;
struct net;
struct proc_dir_entry;
struct seq_file;
struct sha256_ctx;
struct sha384_ctx;
struct tcp_ulp_ops;

struct module *tls_hs_this_module(void);
int tls_hs_emit_line(char *page, int at, const char *name, s64 value);
#ifndef __BINDGEN__
/* In Rust: src/kern/disarm.rs. */
int tls_hs_set_disarmed(bool on);
bool tls_hs_is_disarmed(void);
int tls_hs_show_in_use(char *page);
#endif

u32 tls_hs_initial_mode(void);

void tls_hs_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key);
void tls_hs_spin_lock_bh(spinlock_t *lock);
void tls_hs_spin_unlock_bh(spinlock_t *lock);
int tls_hs_spin_trylock_bh(spinlock_t *lock);
void tls_hs_lockdep_assert_held(spinlock_t *lock);
void tls_hs_callback_lock(struct sock *sk);
void tls_hs_callback_unlock(struct sock *sk);
void tls_hs_bh_disable(void);
void tls_hs_bh_enable(void);
unsigned int tls_hs_cpu(void);
unsigned int tls_hs_cpu_ids(void);
bool tls_hs_cpu_possible(unsigned int cpu);

void tls_hs_lock_sock(struct sock *sk);
void tls_hs_bh_lock_sock(struct sock *sk);
void tls_hs_bh_unlock_sock(struct sock *sk);
bool tls_hs_sock_owned(const struct sock *sk);
void tls_hs_reset_on_close(struct sock *sk);
void tls_hs_sock_hold(struct sock *sk);
void tls_hs_sock_put(struct sock *sk);
int tls_hs_make_room(struct sock *sk, int bytes);
void tls_hs_restore_room(struct sock *sk, int rcvbuf);
bool tls_hs_lock_room(struct sock *sk, bool lock);
bool tls_hs_cork(struct sock *sk, bool cork);
void tls_hs_warn(const struct sock *sk, const char *what, u32 more);
u32 tls_hs_send_timeout_ms(const struct sock *sk);
int tls_hs_interrupted(const struct sock *sk);
bool tls_hs_sock_done(const struct sock *sk);
bool tls_hs_nothing_queued(const struct sock *sk);
struct net *tls_hs_sock_net(const struct sock *sk);
bool tls_hs_is_syn(const struct sk_buff *skb);
void tls_hs_keep_off_queue(struct request_sock *req);
void tls_hs_request_done(struct request_sock *req);
void tls_hs_count_migration(const struct sock *sk);
void tls_hs_listendrop(const struct sock *sk);
void tls_hs_support_zerocopy(struct socket *sock);
int tls_hs_accept(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);
void tls_hs_acceptq_added(struct sock *sk);
void tls_hs_acceptq_removed(struct sock *sk);
int tls_hs_request_tls(void);
int tls_hs_set_ulp_tls(struct sock *sk);
int tls_hs_set_ktls(struct sock *sk, int optname, void *info, unsigned int len);
struct tls_crypto_info tls_hs_cipher(const struct sock *sk, bool tx);
int tls_hs_copy_from_sockptr(void *dst, sockptr_t src, size_t offset, size_t len);
struct tls_hs_control {
	char buf[CMSG_SPACE(sizeof(unsigned char))] __aligned(sizeof(long));
};

void tls_hs_put_record_type(struct msghdr *msg, struct tls_hs_control *control, u8 type);
void tls_hs_want_record_type(struct msghdr *msg, struct tls_hs_control *control);
u8 tls_hs_asked_record_type(const struct msghdr *msg);
bool tls_hs_has_type_room(const struct msghdr *msg);
u8 tls_hs_record_type(const struct msghdr *msg, const struct tls_hs_control *control);
int tls_hs_put_option(char __user *value, int __user *len, const void *from, unsigned int size);
void tls_hs_init_mutex(struct mutex *lock);
int tls_hs_mutex_lock(struct mutex *lock, const struct sock *sk);
bool tls_hs_mutex_trylock(struct mutex *lock);

/* What decides about the size of a record. */
struct tls_hs_windows {
	u64 rate;
	u32 congestion;
	u32 restart;
	u32 idle;
	u32 in_flight;
	u32 segment;
	u32 peer;
	u32 peer_left;
	u32 unsent;
	u16 overhead;
	u16 limit;
	bool corked;
	bool no_delay;
	bool open_record;
};

/* What a tracepoint is given. */
struct tls_hs_trace {
	const struct sock *sk;
	const char *name;
	const char *reason;
	u32 us;
	u16 name_len;
	u16 reason_len;
	u16 version;
	u16 suite;
	u16 group;
	bool resumed;
};

void tls_hs_trace_start(const struct tls_hs_trace *t);
void tls_hs_trace_hello(const struct tls_hs_trace *t);
void tls_hs_trace_done(const struct tls_hs_trace *t);
void tls_hs_trace_fallback(const struct tls_hs_trace *t);
void tls_hs_trace_failure(const struct tls_hs_trace *t);
u64 tls_hs_clock_us(void);

/* What inet_diag is told of a socket. */
struct tls_hs_diag {
	u64 completed;
	u64 fell_back;
	u64 failed;
	u32 pending;
	u32 max_pending;
	u32 age;
	u8 state;
};

size_t tls_hs_diag_size(void);
int tls_hs_put_diag(struct sk_buff *skb, const struct tls_hs_diag *diag);

u64 tls_hs_records_sent(const struct sock *sk);
void tls_hs_get_windows(struct sock *sk, struct tls_hs_windows *now);
size_t tls_hs_msg_hide(struct msghdr *msg, size_t len);
void tls_hs_msg_show(struct msghdr *msg, size_t hidden);
bool tls_hs_key_update_pending(const struct sock *sk);
bool tls_hs_rx_stopped(const struct sock *sk);
bool tls_hs_rx_listed(const struct sock *sk);
int tls_hs_next_record(struct sock *sk, const struct proto_ops *stock, bool wait);
size_t tls_hs_peek_max(struct sock *sk);
u64 tls_hs_records_read(const struct sock *sk);
int tls_hs_taken_bits(const struct sock *sk, void *to, int len);
unsigned long tls_hs_decrypt_failures(const struct sock *sk);
bool tls_hs_can_send(const struct sock *sk);
int tls_hs_broken_pipe(unsigned int flags);
void tls_hs_open_send_buffer(struct sock *sk, int bytes);
int tls_hs_sock_err(const struct sock *sk);
void tls_hs_forget_sock_err(struct sock *sk, int err);
void tls_hs_keep_sock_err(struct sock *sk, int err);
__poll_t tls_hs_poll_in(void);
__poll_t tls_hs_poll_end(void);
bool tls_hs_nonblock(const struct socket *sock);
void tls_hs_watch(struct socket *sock, struct wait_queue_entry *entry, wait_queue_func_t func);
void tls_hs_unwatch(struct socket *sock, struct wait_queue_entry *entry);
bool tls_hs_wakes_reader(void *key);
void tls_hs_waitqueue_init(struct socket *sock);
void tls_hs_sock_attach(struct sock *sk, struct socket *sock);
void tls_hs_sock_detach(struct sock *sk);
void tls_hs_clear_nospace(struct socket *sock);
void tls_hs_set_ulp(struct sock *sk, const struct tcp_ulp_ops *ops, void *data);
const void *tls_hs_ulp_data(const struct sock *sk, const struct tcp_ulp_ops *ops);
void tls_hs_forget_ulp_data(struct sock *sk);
void tls_hs_set_af_ops(struct sock *sk, const struct inet_connection_sock_af_ops *ops);
void tls_hs_set_data_ready(struct sock *sk, void (*data_ready)(struct sock *sk));
void tls_hs_call_data_ready(struct sock *sk);

struct kmem_cache *tls_hs_cache_create(const char *name, unsigned int size, unsigned int align);
void *tls_hs_cache_alloc_atomic(struct kmem_cache *cache);
void tls_hs_free_rcu(struct tls_hs_rcu_object *object);
struct request_sock *tls_hs_reqsk_like(const struct request_sock *like);
void tls_hs_reqsk_put(struct request_sock *req);
struct mem_cgroup *tls_hs_charge_to(const struct sock *sk);
void tls_hs_charge_as_before(struct mem_cgroup *before);
u64 tls_hs_total_memory(void);

void tls_hs_init_work(struct work_struct *work, work_func_t func);
void tls_hs_init_softirq_work(struct work_struct *work, work_func_t func);
void tls_hs_init_delayed_work(struct delayed_work *work, work_func_t func);
void tls_hs_init_session_work(struct delayed_work *work, work_func_t func);
struct workqueue_struct *tls_hs_alloc_workqueue(const char *name);
struct workqueue_struct *tls_hs_alloc_bh_workqueue(const char *name);
void tls_hs_init_thread_work(struct kthread_work *work, void (*func)(struct kthread_work *work));
struct kthread_worker *tls_hs_thread_create(unsigned int cpu);
bool tls_hs_queue_work(struct workqueue_struct *wq, struct work_struct *work);
void tls_hs_queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			       unsigned int ms);
void tls_hs_mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			     unsigned int ms);
void tls_hs_cond_resched(void);
void tls_hs_nap(void);
u32 tls_hs_now_ms(void);
u64 tls_hs_now_us(void);

void tls_hs_sha256_update(struct sha256_ctx *ctx, const u8 *data, size_t len);
void tls_hs_sha384_update(struct sha384_ctx *ctx, const u8 *data, size_t len);
void tls_hs_hmac_sha256_init(struct hmac_sha256_ctx *ctx, const struct hmac_sha256_key *key);
void tls_hs_hmac_sha384_init(struct hmac_sha384_ctx *ctx, const struct hmac_sha384_key *key);
void tls_hs_hmac_sha256_update(struct hmac_sha256_ctx *ctx, const u8 *data, size_t len);
void tls_hs_hmac_sha384_update(struct hmac_sha384_ctx *ctx, const u8 *data, size_t len);
bool tls_hs_has_bmi2_adx(void);
void tls_hs_wipe(void *data, size_t len);
bool tls_hs_equal(const u8 *a, const u8 *b, size_t len);
int tls_hs_gcm_setkey(struct tls_hs_gcm *gcm, const u8 *key, size_t len);
void tls_hs_gcm_seal(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, u8 *tag);
bool tls_hs_gcm_open(const struct tls_hs_gcm *gcm, u8 *data, size_t len,
		     const u8 *aad, size_t aad_len, const u8 *nonce, const u8 *tag);

struct tls_hs_net_visitor {
	void (*visit)(struct tls_hs_net_visitor *visitor, const struct net *net);
};

u64 __percpu *tls_hs_alloc_counters(unsigned int count);
void tls_hs_count(u64 __percpu *counters, unsigned int index);
void tls_hs_uncount(u64 __percpu *counters, unsigned int index);
void tls_hs_visit_nets(struct tls_hs_net_visitor *visitor);
u64 tls_hs_sum(const u64 __percpu *counters, unsigned int index);
void *tls_hs_net_generic(const struct net *net, unsigned int id);
struct net *tls_hs_seq_net(struct seq_file *m);
struct proc_dir_entry *tls_hs_proc_net(struct net *net);

void *tls_hs_key_payload(const struct key *key);
void tls_hs_key_get(struct key *key);
bool tls_hs_key_is_positive(const struct key *key);
const struct cred *tls_hs_get_cred(void);
void tls_hs_hold_cred(const struct cred *cred);
void tls_hs_put_cred(const struct cred *cred);
const struct cred *tls_hs_override_creds(const struct cred *cred);
void tls_hs_revert_creds(const struct cred *cred);
void *tls_hs_key_swap_payload(struct key *key, void *payload);
void tls_hs_key_set_expiry(struct key *key, time64_t expiry);
const char *tls_hs_key_description(const struct key *key);
const struct key_type *tls_hs_key_type(const struct key *key);

#endif /* _TLS_HS_HELPERS_H */
