// SPDX-License-Identifier: GPL-2.0

//! Key types, and what a listening socket finds in its keyring.
//!
//! | type | payload | how many in a keyring |
//! |---|---|---|
//! | `tls_cert` | certificate chain, PEM or DER | one |
//! | `tls_priv` | private key, PEM or DER | one |
//! | `tls_alpn` | application protocols, separated by commas | none or one |
//! | `tls_ocsp` | OCSPResponse of the leaf, DER | none or one |
//! | `tls_ticket` | ticket keys, 48 bytes each | none or one |

mod credential;
mod links;
mod policy;
mod store;

pub(crate) use credential::{Certificate, PrivateKey};
pub(crate) use policy::{Protocols, Staple, Tickets};
pub(crate) use store::{Identity, Store};

use crate::kern::key;
use kernel::prelude::*;

/// The key types are known while this lives.
pub(crate) struct Registration {
    _cert: key::Registration<Certificate>,
    _private: key::Registration<PrivateKey>,
    _protocols: key::Registration<Protocols>,
    _staple: key::Registration<Staple>,
    _tickets: key::Registration<Tickets>,
    _links: links::Registration,
}

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            _cert: key::register()?,
            _private: key::register()?,
            _protocols: key::register()?,
            _staple: key::register()?,
            _tickets: key::register()?,
            _links: links::Registration::new()?,
        })
    }
}
