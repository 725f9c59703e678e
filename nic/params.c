// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/module.h>

#include "params.h"

/* In the order of enum tls_hs_nic_param. */
static unsigned int params[TLS_HS_NIC_PARAMS] = {
	[TLS_HS_NIC_CREDIT] = 1 << 20,
	[TLS_HS_NIC_BACKOFF] = 1 << 20,
	[TLS_HS_NIC_RECORDS] = 512,
};

#define PARAM(name, index, what)					\
	module_param_named(name, params[index], uint, 0644);		\
	MODULE_PARM_DESC(name, what)

#define WIRE(name, index, what)	PARAM(name, index, what ", of 10000 packets")

WIRE(drop, TLS_HS_NIC_DROP, "Packets lost on the wire");
PARAM(drop_nth, TLS_HS_NIC_DROP_NTH, "Counts down with every segment; the last is lost on the wire");
WIRE(duplicate, TLS_HS_NIC_DUPLICATE, "Packets that arrive twice");
WIRE(reorder, TLS_HS_NIC_REORDER, "Packets that arrive after the next one");
WIRE(corrupt, TLS_HS_NIC_CORRUPT, "Packets with a byte of payload changed under a good checksum");

PARAM(refuse, TLS_HS_NIC_REFUSE, "Sessions the device refuses: 1 transmit, 2 receive, 3 both");
PARAM(forget, TLS_HS_NIC_FORGET, "The device loses its state whenever this changes");
PARAM(delay, TLS_HS_NIC_DELAY, "Bytes a session sends before the device encrypts");
PARAM(credit, TLS_HS_NIC_CREDIT, "Bytes the device reads again before a session is demoted");
PARAM(backoff, TLS_HS_NIC_BACKOFF, "Bytes software encrypts after a demotion");
PARAM(records, TLS_HS_NIC_RECORDS, "Records of a session that are known at a time");
PARAM(rx_delay, TLS_HS_NIC_RX_DELAY, "Bytes a session receives before the device decrypts");

struct module *tls_hs_nic_this_module(void)
{
	return THIS_MODULE;
}

u32 tls_hs_nic_param(unsigned int index)
{
	return index < ARRAY_SIZE(params) ? READ_ONCE(params[index]) : 0;
}

/* True for who makes a zero of it. */
bool tls_hs_nic_count_down(unsigned int index)
{
	unsigned int value = tls_hs_nic_param(index);

	while (value) {
		unsigned int now = cmpxchg(&params[index], value, value - 1);

		if (now == value)
			return value == 1;
		value = now;
	}
	return false;
}
