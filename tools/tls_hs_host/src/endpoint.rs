// SPDX-License-Identifier: GPL-2.0
//! What all connections of a server have in common, and the engine's view of it.

use std::sync::Arc;

use tls_hs::{Config, Environment};

use crate::{HostCrypto, Identity};

/// A server's configuration.
pub struct Endpoint {
    /// Versions, suites, groups.
    pub config: Config,
    /// The identity for every server name.
    pub identity: Arc<Identity>,
}

/// One connection's environment.
pub(crate) struct Host<'a> {
    pub endpoint: &'a Endpoint,
    pub crypto: &'a mut HostCrypto,
}

impl Environment for Host<'_> {
    type Crypto = HostCrypto;

    fn crypto(&mut self) -> &mut HostCrypto {
        self.crypto
    }

    fn config(&self) -> Config {
        self.endpoint.config
    }

    fn select_identity(&mut self, _: Option<&[u8]>) -> bool {
        true
    }

    fn certificate_chain(&self) -> &[u8] {
        &self.endpoint.identity.chain
    }
}
