// SPDX-License-Identifier: GPL-2.0
#include <linux/bottom_half.h>
#include <linux/cpumask.h>
#include <linux/mutex.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <net/sock.h>

#include "helpers.h"

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

bool tls_hs_cpu_possible(unsigned int cpu)
{
	return cpu_possible(cpu);
}

void tls_hs_init_mutex(struct mutex *lock)
{
	mutex_init(lock);
}

/* For a send on the socket: how a signal ends the wait depends on its timeout. */
int tls_hs_mutex_lock(struct mutex *lock, const struct sock *sk)
{
	return mutex_lock_interruptible(lock) ? sock_intr_errno(READ_ONCE(sk->sk_sndtimeo)) : 0;
}

bool tls_hs_mutex_trylock(struct mutex *lock)
{
	return mutex_trylock(lock);
}
