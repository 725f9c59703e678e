// SPDX-License-Identifier: GPL-2.0
#include <linux/inet_diag.h>
#include <linux/tls.h>
#include <net/netlink.h>

#include "helpers.h"
#include "uapi/tls_hs.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void tls_hs_trace_start(const struct tls_hs_trace *t)
{
	trace_tls_hs_start(t);
}

void tls_hs_trace_hello(const struct tls_hs_trace *t)
{
	trace_tls_hs_hello(t);
}

void tls_hs_trace_done(const struct tls_hs_trace *t)
{
	trace_tls_hs_done(t);
}

void tls_hs_trace_fallback(const struct tls_hs_trace *t)
{
	trace_tls_hs_fallback(t);
}

void tls_hs_trace_failure(const struct tls_hs_trace *t)
{
	trace_tls_hs_fail(t);
}

u64 tls_hs_clock_us(void)
{
	return ktime_get_ns() / NSEC_PER_USEC;
}

size_t tls_hs_diag_size(void)
{
	return nla_total_size(0) +			/* INET_ULP_INFO_TLS */
	       2 * nla_total_size(sizeof(u16)) +	/* TLS_INFO_{TX,RX}CONF */
	       nla_total_size(0) +			/* TLS_HS_DIAG */
	       nla_total_size(sizeof(u8)) +		/* TLS_HS_DIAG_STATE */
	       3 * nla_total_size(sizeof(u32)) +	/* _AGE, _PENDING, _MAX_PENDING */
	       3 * nla_total_size_64bit(sizeof(u64));	/* _COMPLETED, _FELL_BACK, _FAILED */
}

/* What stock says of a socket that has no keys yet, then what we say. */
int tls_hs_put_diag(struct sk_buff *skb, const struct tls_hs_diag *diag)
{
	struct nlattr *stock, *ours;

	stock = nla_nest_start_noflag(skb, INET_ULP_INFO_TLS);
	if (!stock)
		return -EMSGSIZE;
	if (nla_put_u16(skb, TLS_INFO_TXCONF, TLS_CONF_BASE) ||
	    nla_put_u16(skb, TLS_INFO_RXCONF, TLS_CONF_BASE))
		goto cancel_stock;
	nla_nest_end(skb, stock);

	ours = nla_nest_start_noflag(skb, TLS_HS_DIAG);
	if (!ours)
		goto cancel_stock;
	if (nla_put_u8(skb, TLS_HS_DIAG_STATE, diag->state))
		goto cancel_stock;
	if (diag->state == TLS_HS_DIAG_STATE_LISTEN) {
		if (nla_put_u32(skb, TLS_HS_DIAG_PENDING, diag->pending) ||
		    nla_put_u32(skb, TLS_HS_DIAG_MAX_PENDING, diag->max_pending) ||
		    nla_put_u64_64bit(skb, TLS_HS_DIAG_COMPLETED, diag->completed,
				      TLS_HS_DIAG_PAD) ||
		    nla_put_u64_64bit(skb, TLS_HS_DIAG_FELL_BACK, diag->fell_back,
				      TLS_HS_DIAG_PAD) ||
		    nla_put_u64_64bit(skb, TLS_HS_DIAG_FAILED, diag->failed, TLS_HS_DIAG_PAD))
			goto cancel_stock;
	} else if (nla_put_u32(skb, TLS_HS_DIAG_AGE, diag->age)) {
		goto cancel_stock;
	}
	nla_nest_end(skb, ours);
	return 0;

cancel_stock:
	nla_nest_cancel(skb, stock);
	return -EMSGSIZE;
}
