// SPDX-License-Identifier: GPL-2.0

//! TLS server handshakes in the kernel.
//!
//! The glue between the engine (`tls_hs`), its curve (`crypto_p256`) and the kernel:
//!
//! ```text
//!           listener   TLS_HS, what a listening socket serves
//!              │
//!           keyring    certificates and private keys, by server name
//!              │
//!            driver    one handshake: bytes in, steps out     ── tls_hs, crypto
//!              │
//!             ktls     the traffic keys go to kTLS at accept()
//!
//!         stat  sysctl  counters, limits   kern    all unsafe code
//! ```

#![deny(unsafe_code)]

use kernel::prelude::*;

mod crypto;
mod driver;
mod kern;
mod keyring;
mod ktls;
mod latency;
mod listener;
mod operation;
mod record;
mod session;
mod source;
mod stat;
mod sysctl;

module! {
    type: TlsHs,
    name: "tls_hs",
    authors: ["tls_hs developers"],
    description: "TLS server handshakes below accept(2)",
    license: "GPL",
}

/// What the module has registered. Dropped in this order: first no new socket, then the rest.
struct TlsHs {
    _ulp: kern::ulp::Registration,
    _keys: keyring::Registration,
    _driver: driver::Registration,
    _sources: kern::source::Registration,
    _latency: kern::latency::Registration,
    _namespaces: kern::net::Registration,
}

impl kernel::Module for TlsHs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        crypto::self_test()?;
        let namespaces = kern::net::Registration::new()?;
        kern::sysctl::set_machine(sysctl::Sysctl::Mode, kern::initial_mode());
        let sources = kern::source::Registration::new()?;
        let latency = kern::latency::Registration::new()?;
        let driver = driver::Registration::new()?;
        let keys = keyring::Registration::new()?;
        let ulp = kern::ulp::Registration::new()?;
        Ok(Self {
            _ulp: ulp,
            _keys: keys,
            _driver: driver,
            _sources: sources,
            _latency: latency,
            _namespaces: namespaces,
        })
    }
}
