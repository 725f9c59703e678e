// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "helpers.h"

void tls_hs_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

/* Apart from the above, since lockdep takes works of one place for one lock. */
void tls_hs_init_softirq_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

void tls_hs_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

/* Apart for the same reason. */
void tls_hs_init_session_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

struct workqueue_struct *tls_hs_alloc_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_UNBOUND, 0, name);
}

struct workqueue_struct *tls_hs_alloc_bh_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_BH | WQ_PERCPU, 0, name);
}

void tls_hs_init_thread_work(struct kthread_work *work, void (*func)(struct kthread_work *work))
{
	kthread_init_work(work, func);
}

struct kthread_worker *tls_hs_thread_create(unsigned int cpu)
{
	return kthread_run_worker_on_cpu(cpu, 0, "tls_hs/%u");
}

bool tls_hs_queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue_work(wq, work);
}

void tls_hs_queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			       unsigned int ms)
{
	queue_delayed_work(wq, work, msecs_to_jiffies(ms));
}

void tls_hs_mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
			     unsigned int ms)
{
	mod_delayed_work(wq, work, msecs_to_jiffies(ms));
}

void tls_hs_cond_resched(void)
{
	cond_resched();
}

void tls_hs_nap(void)
{
	usleep_range(50, 200);
}

u32 tls_hs_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

u64 tls_hs_now_us(void)
{
	return ktime_to_us(ktime_get());
}
