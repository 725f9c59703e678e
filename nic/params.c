// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/module.h>

#include "params.h"

/* In the order of enum tls_hs_nic_param. */
static unsigned int params[TLS_HS_NIC_PARAMS];

#define WIRE(name, index, what)						\
	module_param_named(name, params[index], uint, 0644);		\
	MODULE_PARM_DESC(name, what ", of 10000 packets")

WIRE(drop, TLS_HS_NIC_DROP, "Packets lost on the wire");
WIRE(duplicate, TLS_HS_NIC_DUPLICATE, "Packets that arrive twice");
WIRE(reorder, TLS_HS_NIC_REORDER, "Packets that arrive after the next one");
WIRE(corrupt, TLS_HS_NIC_CORRUPT, "Packets with a byte of payload changed under a good checksum");

struct module *tls_hs_nic_this_module(void)
{
	return THIS_MODULE;
}

u32 tls_hs_nic_param(unsigned int index)
{
	return index < ARRAY_SIZE(params) ? READ_ONCE(params[index]) : 0;
}
