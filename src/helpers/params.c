// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/sysfs.h>

#include "helpers.h"

static int disarm_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val, &on);

	return err ?: tls_hs_set_disarmed(on);
}

static int disarm_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", tls_hs_is_disarmed());
}

static const struct kernel_param_ops disarm_ops = {
	.set = disarm_set,
	.get = disarm_get,
};
module_param_cb(disarm, &disarm_ops, NULL, 0644);
MODULE_PARM_DESC(disarm, "1: \"tls\" is the stock ULP again, no new socket is taken");

static int in_use_get(char *buffer, const struct kernel_param *kp)
{
	return tls_hs_show_in_use(buffer);
}

static const struct kernel_param_ops in_use_ops = {
	.get = in_use_get,
};
module_param_cb(in_use, &in_use_ops, NULL, 0444);
MODULE_PARM_DESC(in_use, "Sockets that keep the module from being unloaded, and keys");

int tls_hs_emit_line(char *page, int at, const char *name, s64 value)
{
	return sysfs_emit_at(page, at, "%s %lld\n", name, value);
}

MODULE_SOFTDEP("pre: tls gcm ctr chacha20poly1305");

struct module *tls_hs_this_module(void)
{
	return THIS_MODULE;
}
