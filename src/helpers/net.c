// SPDX-License-Identifier: GPL-2.0
#include <linux/percpu.h>
#include <linux/rtnetlink.h>
#include <linux/seq_file_net.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "helpers.h"

u64 __percpu *tls_hs_alloc_counters(unsigned int count)
{
	return __alloc_percpu(count * sizeof(u64), __alignof__(u64));
}

void tls_hs_count(u64 __percpu *counters, unsigned int index)
{
	this_cpu_inc(counters[index]);
}

void tls_hs_uncount(u64 __percpu *counters, unsigned int index)
{
	this_cpu_dec(counters[index]);
}

u64 tls_hs_sum(const u64 __percpu *counters, unsigned int index)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[index]);
	return sum;
}

/* Process context. */
void tls_hs_visit_nets(struct tls_hs_net_visitor *visitor)
{
	struct net *net;

	down_read(&net_rwsem);
	for_each_net(net)
		visitor->visit(visitor, net);
	up_read(&net_rwsem);
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
