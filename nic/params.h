/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TLS_HS_NIC_PARAMS_H
#define _TLS_HS_NIC_PARAMS_H

#include <linux/types.h>

struct module;

/* nic/kern/params.rs has the same order. */
enum tls_hs_nic_param {
	TLS_HS_NIC_DROP,
	TLS_HS_NIC_DUPLICATE,
	TLS_HS_NIC_REORDER,
	TLS_HS_NIC_CORRUPT,
	TLS_HS_NIC_REFUSE,
	TLS_HS_NIC_FORGET,
	TLS_HS_NIC_DELAY,
	TLS_HS_NIC_CREDIT,
	TLS_HS_NIC_BACKOFF,
	TLS_HS_NIC_RECORDS,
	TLS_HS_NIC_RX_DELAY,
	TLS_HS_NIC_DROP_NTH,
	TLS_HS_NIC_PARAMS,
};

struct module *tls_hs_nic_this_module(void);
u32 tls_hs_nic_param(unsigned int index);
bool tls_hs_nic_count_down(unsigned int index);

#endif /* _TLS_HS_NIC_PARAMS_H */
