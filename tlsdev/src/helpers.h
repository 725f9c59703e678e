/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bodies for what the kernel offers as a macro or an inline function only.
 * Nothing here takes a decision: every helper is the call that its name says.
 */
#ifndef _TLSDEV_HELPERS_H
#define _TLSDEV_HELPERS_H

#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/sock.h>
#include <net/tls.h>

/* Network devices. */
struct net_device *tlsdev_alloc_netdev(int priv, const char *name,
				       void (*setup)(struct net_device *dev));
void tlsdev_ether_setup(struct net_device *dev, const struct net_device_ops *ops,
			const struct ethtool_ops *ethtool_ops);
void tlsdev_set_features(struct net_device *dev, u64 features);
void tlsdev_set_tlsdev_ops(struct net_device *dev, const struct tlsdev_ops *ops);
void *tlsdev_netdev_priv(const struct net_device *dev);
bool tlsdev_netif_running(const struct net_device *dev);
void tlsdev_netif_start(struct net_device *dev);
void tlsdev_netif_stop(struct net_device *dev);
void tlsdev_count_tx(struct net_device *dev, unsigned int len);
void tlsdev_count_rx(struct net_device *dev, unsigned int len);
void tlsdev_ethtool_puts(u8 **data, const char *name);

/* Packets. */
unsigned int tlsdev_skb_len(const struct sk_buff *skb);
unsigned int tlsdev_skb_headlen(const struct sk_buff *skb);
unsigned char *tlsdev_skb_data(const struct sk_buff *skb);
void tlsdev_skb_free(struct sk_buff *skb);
struct sk_buff *tlsdev_skb_copy(const struct sk_buff *skb);
struct sk_buff *tlsdev_skb_clone(struct sk_buff *skb);
bool tlsdev_skb_is_gso(const struct sk_buff *skb);
struct sk_buff *tlsdev_skb_segment(struct sk_buff *skb);
struct sk_buff *tlsdev_skb_next(const struct sk_buff *skb);
void tlsdev_skb_unlink(struct sk_buff *skb);
bool tlsdev_skb_decrypted(const struct sk_buff *skb);
void tlsdev_skb_set_decrypted(struct sk_buff *skb, bool decrypted);
bool tlsdev_skb_offloaded(const struct sk_buff *skb);
struct sock *tlsdev_skb_sock(const struct sk_buff *skb);
unsigned int tlsdev_skb_tcp_headers(const struct sk_buff *skb);
u32 tlsdev_skb_tcp_seq(const struct sk_buff *skb);
void tlsdev_skb_timestamp(struct sk_buff *skb);
void tlsdev_skb_orphan(struct sk_buff *skb);
void tlsdev_skb_cross(struct sk_buff *skb, struct net_device *to);

/* Sockets with an offloaded session. */
struct net_device *tlsdev_ctx_netdev(const struct tls_context *ctx);
struct net_device *tlsdev_sock_netdev(const struct sock *sk);
void **tlsdev_driver_ctx(struct tls_context *ctx, enum tls_offload_ctx_dir dir);
struct tls_context *tlsdev_sock_ctx(const struct sock *sk);
bool tlsdev_routed_to(const struct sock *sk, const struct net_device *dev);
bool tlsdev_zerocopy(const struct tls_context *ctx);
bool tlsdev_rx_offloaded(struct sock *sk);
u64 tlsdev_bytes_received(const struct sock *sk);
void tlsdev_request_resync(struct sock *sk, u32 seq);
u32 tlsdev_snd_una(const struct sock *sk);
bool tlsdev_resync_pending(struct sock *sk);
u16 tlsdev_local_port(const struct sock *sk);
u16 tlsdev_remote_port(const struct sock *sk);
void tlsdev_local_address(const struct sock *sk, u8 to[16]);
void tlsdev_remote_address(const struct sock *sk, u8 to[16]);

/* Records that kTLS keeps until they are acknowledged. */
struct tls_offload_context_tx *tlsdev_lock_records(struct tls_context *ctx, unsigned long *flags);
void tlsdev_unlock_records(struct tls_offload_context_tx *records, unsigned long flags);
bool tlsdev_is_start_marker(struct tls_record_info *record);
u32 tlsdev_record_start(struct tls_record_info *record);
void tlsdev_frag_get(skb_frag_t *frag);
void tlsdev_frag_put(skb_frag_t *frag);
unsigned int tlsdev_frag_size(const skb_frag_t *frag);
const u8 *tlsdev_frag_map(const skb_frag_t *frag);

/* Cryptography. */
void tlsdev_wipe(void *data, size_t len);
bool tlsdev_equal(const u8 *a, const u8 *b, size_t len);

/* Locks, work, time, memory. */
void tlsdev_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key);
void tlsdev_spin_lock_bh(spinlock_t *lock);
void tlsdev_spin_unlock_bh(spinlock_t *lock);
int tlsdev_spin_trylock_bh(spinlock_t *lock);
void tlsdev_lockdep_assert_held(spinlock_t *lock);
void tlsdev_rcu_read_lock(void);
void tlsdev_rcu_read_unlock(void);
void tlsdev_init_work(struct work_struct *work, work_func_t func);
bool tlsdev_schedule_work(struct work_struct *work);
u64 tlsdev_now_ns(void);
u32 tlsdev_random(void);

#endif /* _TLSDEV_HELPERS_H */
