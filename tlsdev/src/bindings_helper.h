/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a network driver with kTLS offload needs of the kernel beyond the kernel
 * crate's own bindings. bindgen_parameters lists what is taken from here, helpers.c
 * gives bodies to what exists as a macro or an inline function only.
 */
#include <linux/ethtool.h>
#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <crypto/aes-gcm.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "helpers.h"
