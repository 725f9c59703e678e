// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "helpers.h"

/* In the order of net.tls_hs.mode. */
static const char * const modes[] = { "softirq", "threads", "hybrid" };
static unsigned int mode = 2;

static int mode_set(const char *value, const struct kernel_param *kp)
{
	int index = sysfs_match_string(modes, value);

	if (index < 0)
		return index;
	mode = index;
	return 0;
}

static int mode_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", modes[mode]);
}

static const struct kernel_param_ops mode_ops = {
	.set = mode_set,
	.get = mode_get,
};
module_param_cb(mode, &mode_ops, NULL, 0444);
MODULE_PARM_DESC(mode, "What net.tls_hs.mode is at first: softirq, threads or hybrid");

u32 tls_hs_initial_mode(void)
{
	return mode;
}
