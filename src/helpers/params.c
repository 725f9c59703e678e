// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>

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
