/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the glue needs of the kernel beyond the kernel crate's own bindings.
 * bindgen_parameters lists what is taken from here, helpers/ gives bodies to
 * what exists as a macro or an inline function only.
 */
#include <linux/bug.h>
#include <linux/key.h>
#include <linux/key-type.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/siphash.h>
#include <linux/skbuff.h>
#include <linux/sockptr.h>
#include <linux/splice.h>
#include <linux/sysctl.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>
#include <crypto/chacha.h>
#include <crypto/poly1305.h>
#include <crypto/sha2.h>
#include <net/inet_common.h>
#include <net/inet_connection_sock.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/request_sock.h>
#include <net/sock.h>
#include <net/sock_reuseport.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <net/transp_v6.h>

#include "uapi/tls_hs.h"
#include "helpers.h"
