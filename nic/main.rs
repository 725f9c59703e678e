// SPDX-License-Identifier: GPL-2.0

//! A network device without hardware that offloads kTLS: two Ethernet devices back to back, of
//! which each encrypts what it sends and decrypts what it receives, as a device of silicon would.
//!
//! It is the reference for drivers on `tlsdev`, and the test bed of the offload.

#![deny(unsafe_code)]

use kernel::prelude::*;
use kernel::sync::Arc;

mod engine;
mod hardware;
mod kern;
mod link;
mod packet;
mod stat;

use kern::netdev::Registration;
use link::{Link, Nic, Side, Tap};

module! {
    type: Module,
    name: "tls_hs_nic",
    authors: ["tls_hs developers"],
    description: "Pair of network devices that offload kTLS in software",
    license: "GPL",
}

/// Dropped in this order: no packet reaches a device that goes away.
struct Module {
    _wire: Wire,
    _left: Registration<Nic>,
    _right: Registration<Nic>,
    _tap: Registration<Tap>,
}

/// The link, cut when it is dropped.
struct Wire(Arc<Link>);

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        kern::gcm::self_test()?;
        let link = Link::new()?;
        let wire = Wire(link.clone());
        let end = |name, side| {
            let nic = Nic::new(link.clone(), side)?;
            Registration::new(name, FEATURES, nic, link.slot(side))
        };
        let left = end(c"hsnic%d", Side::Left)?;
        // Before a device goes away again because another can't come.
        let cut = |_: &Error| link.cut();
        let right = end(c"hsnic%d", Side::Right).inspect_err(cut)?;
        let tap = Arc::new(Tap, GFP_KERNEL)
            .map_err(Error::from)
            .inspect_err(cut)?;
        let tap = Registration::new(c"hswire%d", 0, tap, link.tap()).inspect_err(cut)?;
        Ok(Self {
            _wire: wire,
            _left: left,
            _right: right,
            _tap: tap,
        })
    }
}

const fn bit(bit: u32) -> u64 {
    1 << bit
}

/// What the devices can do: scattered packets, checksums that nobody needs to compute because the
/// wire is memory, packets that are many segments, and kTLS.
const FEATURES: u64 = {
    use tlsdev::bindings::*;
    bit(NETIF_F_SG_BIT)
        | bit(NETIF_F_HW_CSUM_BIT)
        | bit(NETIF_F_RXCSUM_BIT)
        | bit(NETIF_F_TSO_BIT)
        | bit(NETIF_F_TSO6_BIT)
        | bit(NETIF_F_HW_TLS_TX_BIT)
        | bit(NETIF_F_HW_TLS_RX_BIT)
};
