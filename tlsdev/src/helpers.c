// SPDX-License-Identifier: GPL-2.0
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/highmem.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/skbuff_ref.h>
#include <linux/tcp.h>
#include <crypto/utils.h>
#include <net/dst.h>
#include <net/gso.h>
#include <net/inet_sock.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "helpers.h"

struct net_device *tlsdev_alloc_netdev(int priv, const char *name,
				       void (*setup)(struct net_device *dev))
{
	return alloc_netdev(priv, name, NET_NAME_ENUM, setup);
}

void tlsdev_ether_setup(struct net_device *dev, const struct net_device_ops *ops,
			const struct ethtool_ops *ethtool_ops)
{
	ether_setup(dev);
	dev->netdev_ops = ops;
	dev->ethtool_ops = ethtool_ops;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->max_mtu = ETH_MAX_MTU;
	eth_hw_addr_random(dev);
}

void tlsdev_set_features(struct net_device *dev, u64 features)
{
	dev->hw_features = features;
	dev->features = features;
	/* kTLS offers no sessions to a VLAN's device. */
	dev->vlan_features = features & ~(NETIF_F_HW_TLS_TX | NETIF_F_HW_TLS_RX);
}

void tlsdev_set_tlsdev_ops(struct net_device *dev, const struct tlsdev_ops *ops)
{
	dev->tlsdev_ops = ops;
}

void *tlsdev_netdev_priv(const struct net_device *dev)
{
	return netdev_priv(dev);
}

bool tlsdev_netif_running(const struct net_device *dev)
{
	return netif_running(dev);
}

void tlsdev_netif_start(struct net_device *dev)
{
	netif_start_queue(dev);
}

void tlsdev_netif_stop(struct net_device *dev)
{
	netif_stop_queue(dev);
}

void tlsdev_count_tx(struct net_device *dev, unsigned int len)
{
	dev_sw_netstats_tx_add(dev, 1, len);
}

void tlsdev_count_rx(struct net_device *dev, unsigned int len)
{
	dev_sw_netstats_rx_add(dev, len);
}

void tlsdev_ethtool_puts(u8 **data, const char *name)
{
	ethtool_puts(data, name);
}

unsigned int tlsdev_skb_len(const struct sk_buff *skb)
{
	return skb->len;
}

unsigned int tlsdev_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

unsigned char *tlsdev_skb_data(const struct sk_buff *skb)
{
	return skb->data;
}

void tlsdev_skb_free(struct sk_buff *skb)
{
	dev_kfree_skb_any(skb);
}

/* All of it in one piece, and nobody else's. */
struct sk_buff *tlsdev_skb_copy(const struct sk_buff *skb)
{
	return skb_copy(skb, GFP_ATOMIC | __GFP_NOWARN);
}

struct sk_buff *tlsdev_skb_clone(struct sk_buff *skb)
{
	return skb_clone(skb, GFP_ATOMIC | __GFP_NOWARN);
}

bool tlsdev_skb_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

/* A list of packets, each in one piece, whose checksums are left to the device. */
struct sk_buff *tlsdev_skb_segment(struct sk_buff *skb)
{
	struct sk_buff *segments = skb_gso_segment(skb, NETIF_F_HW_CSUM);

	return IS_ERR(segments) ? NULL : segments;
}

struct sk_buff *tlsdev_skb_next(const struct sk_buff *skb)
{
	return skb->next;
}

void tlsdev_skb_unlink(struct sk_buff *skb)
{
	skb_mark_not_on_list(skb);
}

bool tlsdev_skb_decrypted(const struct sk_buff *skb)
{
	return skb_is_decrypted(skb);
}

void tlsdev_skb_set_decrypted(struct sk_buff *skb, bool decrypted)
{
	skb->decrypted = decrypted;
}

bool tlsdev_skb_offloaded(const struct sk_buff *skb)
{
	return tls_is_skb_tx_device_offloaded(skb);
}

/* NULL if it is none that can have a session. */
struct sock *tlsdev_skb_sock(const struct sk_buff *skb)
{
	struct sock *sk = skb->sk;

	return sk && sk_fullsock(sk) ? sk : NULL;
}

unsigned int tlsdev_skb_tcp_headers(const struct sk_buff *skb)
{
	return skb_tcp_all_headers(skb);
}

u32 tlsdev_skb_tcp_seq(const struct sk_buff *skb)
{
	return ntohl(tcp_hdr(skb)->seq);
}

void tlsdev_skb_timestamp(struct sk_buff *skb)
{
	skb_tx_timestamp(skb);
}

void tlsdev_skb_orphan(struct sk_buff *skb)
{
	skb_orphan(skb);
}

/* What was sent by one device becomes what is received by the other. */
void tlsdev_skb_cross(struct sk_buff *skb, struct net_device *to)
{
	skb_orphan(skb);
	skb_scrub_packet(skb, true);
	skb->priority = 0;
	skb->protocol = eth_type_trans(skb, to);
	skb_reset_network_header(skb);
}

/* In a section of RCU or with bottom halves disabled; the device may be gone. */
struct net_device *tlsdev_ctx_netdev(const struct tls_context *ctx)
{
	return rcu_dereference_check(ctx->netdev, rcu_read_lock_bh_held());
}

struct net_device *tlsdev_sock_netdev(const struct sock *sk)
{
	return tlsdev_ctx_netdev(tls_get_ctx(sk));
}

void **tlsdev_driver_ctx(struct tls_context *ctx, enum tls_offload_ctx_dir dir)
{
	return __tls_driver_ctx(ctx, dir);
}

struct tls_context *tlsdev_sock_ctx(const struct sock *sk)
{
	return tls_get_ctx(sk);
}

/* A locked socket. */
bool tlsdev_routed_to(const struct sock *sk, const struct net_device *dev)
{
	const struct dst_entry *dst;
	bool direct;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	direct = dst && dst_dev_rcu(dst) == dev;
	rcu_read_unlock();
	return direct;
}

bool tlsdev_zerocopy(const struct tls_context *ctx)
{
	return ctx->zerocopy_sendfile;
}

bool tlsdev_rx_offloaded(struct sock *sk)
{
	return tls_is_sk_rx_device_offloaded(sk);
}

u64 tlsdev_bytes_received(const struct sock *sk)
{
	return READ_ONCE(tcp_sk(sk)->bytes_received);
}

void tlsdev_request_resync(struct sock *sk, u32 seq)
{
	tls_offload_rx_resync_request(sk, htonl(seq));
}

u32 tlsdev_snd_una(const struct sock *sk)
{
	return READ_ONCE(tcp_sk(sk)->snd_una);
}

bool tlsdev_resync_pending(struct sock *sk)
{
	return tls_offload_tx_resync_pending(sk);
}

u16 tlsdev_local_port(const struct sock *sk)
{
	return ntohs(inet_sk(sk)->inet_sport);
}

u16 tlsdev_remote_port(const struct sock *sk)
{
	return ntohs(inet_sk(sk)->inet_dport);
}

/* As IPv6 has them; IPv4's are mapped. */
static void address(const struct sock *sk, __be32 v4, const struct in6_addr *v6, u8 to[16])
{
	struct in6_addr mapped;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		memcpy(to, v6, 16);
		return;
	}
#endif
	ipv6_addr_set_v4mapped(v4, &mapped);
	memcpy(to, &mapped, 16);
}

void tlsdev_local_address(const struct sock *sk, u8 to[16])
{
	address(sk, inet_sk(sk)->inet_saddr, &sk->sk_v6_rcv_saddr, to);
}

void tlsdev_remote_address(const struct sock *sk, u8 to[16])
{
	address(sk, inet_sk(sk)->inet_daddr, &sk->sk_v6_daddr, to);
}

struct tls_offload_context_tx *tlsdev_lock_records(struct tls_context *ctx, unsigned long *flags)
{
	struct tls_offload_context_tx *records = tls_offload_ctx_tx(ctx);
	unsigned long saved;

	spin_lock_irqsave(&records->lock, saved);
	*flags = saved;
	return records;
}

void tlsdev_unlock_records(struct tls_offload_context_tx *records, unsigned long flags)
{
	spin_unlock_irqrestore(&records->lock, flags);
}

bool tlsdev_is_start_marker(struct tls_record_info *record)
{
	return tls_record_is_start_marker(record);
}

u32 tlsdev_record_start(struct tls_record_info *record)
{
	return tls_record_start_seq(record);
}

void tlsdev_frag_get(skb_frag_t *frag)
{
	__skb_frag_ref(frag);
}

void tlsdev_frag_put(skb_frag_t *frag)
{
	__skb_frag_unref(frag, false);
}

unsigned int tlsdev_frag_size(const skb_frag_t *frag)
{
	return skb_frag_size(frag);
}

const u8 *tlsdev_frag_map(const skb_frag_t *frag)
{
	return skb_frag_address(frag);
}

void tlsdev_wipe(void *data, size_t len)
{
	memzero_explicit(data, len);
}

/* In constant time. */
bool tlsdev_equal(const u8 *a, const u8 *b, size_t len)
{
	return !crypto_memneq(a, b, len);
}

void tlsdev_spin_lock_init(spinlock_t *lock, const char *name, struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(spinlock_check(lock), name, key, LD_WAIT_CONFIG);
#else
	spin_lock_init(lock);
#endif
}

void tlsdev_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void tlsdev_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

int tlsdev_spin_trylock_bh(spinlock_t *lock)
{
	return spin_trylock_bh(lock);
}

void tlsdev_lockdep_assert_held(spinlock_t *lock)
{
	lockdep_assert_held(lock);
}

void tlsdev_rcu_read_lock(void)
{
	rcu_read_lock();
}

void tlsdev_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

void tlsdev_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

bool tlsdev_schedule_work(struct work_struct *work)
{
	return schedule_work(work);
}

u64 tlsdev_now_ns(void)
{
	return ktime_get_ns();
}

u32 tlsdev_random(void)
{
	return get_random_u32();
}
