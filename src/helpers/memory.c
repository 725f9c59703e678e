// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/tcp.h>

#include "helpers.h"

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
	/* A walker that was on its way to the object's former owner finds another one. */
	req_to_sk(req)->sk_state = TCP_NEW_SYN_RECV;
	sk_daddr_set(req_to_sk(req), 0);
	sk_rcv_saddr_set(req_to_sk(req), 0);
	req_to_sk(req)->__sk_common.skc_portpair = 0;
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
	/* Pairs with refcount_inc_not_zero() of that walker, who then compares once more. */
	smp_wmb();
	refcount_set(&req->rsk_refcnt, 1);
	return req;
}

void tls_hs_reqsk_put(struct request_sock *req)
{
	/* Of all that reqsk_put() frees it has nothing. */
	if (refcount_dec_and_test(&req->rsk_refcnt))
		kmem_cache_free(req->rsk_ops->slab, req);
}

/* Whom accounted allocations of this task are charged to: returns who it was. */
struct mem_cgroup *tls_hs_charge_to(const struct sock *sk)
{
	return set_active_memcg(mem_cgroup_from_sk(sk));
}

void tls_hs_charge_as_before(struct mem_cgroup *before)
{
	set_active_memcg(before);
}

u64 tls_hs_total_memory(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}
