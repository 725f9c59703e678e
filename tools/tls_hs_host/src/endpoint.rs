// SPDX-License-Identifier: GPL-2.0
//! What all connections of a server have in common, and the engine's view of it.

use std::sync::Arc;

use tls_hs::{Config, Environment, TicketKey};

use crate::{HostCrypto, Identity, TicketKeys};

/// A server's configuration.
pub struct Endpoint {
    /// Versions, suites, groups, limits.
    pub config: Config,
    /// Who to be for which server name.
    pub hosts: Vec<VirtualHost>,
    /// Application protocols, each behind its length in a byte, the preferred one first; none if
    /// empty.
    pub protocols: Vec<u8>,
    /// Ticket keys; without them there is no resumption.
    pub tickets: Option<Arc<TicketKeys>>,
}

/// An identity, and the names it is for.
pub struct VirtualHost {
    /// A name, `*.` and a name, or `*` for every client, also without a server name.
    pub pattern: String,
    /// The identity.
    pub identity: Arc<Identity>,
}

impl Endpoint {
    /// One identity for all names, without ALPN and tickets.
    pub fn new(config: Config, identity: Arc<Identity>) -> Self {
        Endpoint {
            config,
            hosts: vec![VirtualHost {
                pattern: "*".into(),
                identity,
            }],
            protocols: Vec::new(),
            tickets: None,
        }
    }

    /// The protocols in the order of preference.
    pub fn set_protocols<'a>(&mut self, protocols: impl IntoIterator<Item = &'a [u8]>) {
        self.protocols = protocols
            .into_iter()
            .flat_map(|protocol| [&[protocol.len() as u8], protocol].concat())
            .collect();
    }

    /// The protocol at a position of the list.
    pub(crate) fn protocol(&self, index: u8) -> Option<&[u8]> {
        let mut rest = &self.protocols[..];
        for _ in 0..index {
            rest = rest.get(1 + usize::from(*rest.first()?)..)?;
        }
        rest.get(1..1 + usize::from(*rest.first()?))
    }

    /// The most specific host for a name: itself, then its parent's wildcard, then everybody's.
    fn host(&self, name: Option<&[u8]>) -> Option<usize> {
        let name = name.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        let position = |pattern: &str| {
            self.hosts
                .iter()
                .position(|host| host.pattern.eq_ignore_ascii_case(pattern))
        };
        name.and_then(|name| {
            let parent = name
                .split_once('.')
                .map(|(_, parent)| format!("*.{parent}"));
            position(&name).or_else(|| position(&parent?))
        })
        .or_else(|| position("*"))
    }
}

/// One connection's environment.
pub(crate) struct Host<'a> {
    pub endpoint: &'a Endpoint,
    pub crypto: &'a mut HostCrypto,
    /// Index of the identity selected.
    pub selected: &'a mut usize,
}

impl Host<'_> {
    pub(crate) fn identity(&self) -> &Identity {
        &self.endpoint.hosts[*self.selected].identity
    }
}

impl Environment for Host<'_> {
    type Crypto = HostCrypto;

    fn crypto(&mut self) -> &mut HostCrypto {
        self.crypto
    }

    fn config(&self) -> Config {
        self.endpoint.config
    }

    fn select_identity(&mut self, server_name: Option<&[u8]>) -> bool {
        let host = self.endpoint.host(server_name);
        *self.selected = host.unwrap_or(0);
        host.is_some()
    }

    fn certificate_chain(&self) -> &[u8] {
        &self.identity().chain
    }

    fn alpn_protocols(&self) -> &[u8] {
        &self.endpoint.protocols
    }

    fn ocsp_response(&self) -> &[u8] {
        &self.identity().ocsp_response
    }

    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        let tickets = &self.endpoint.tickets;
        tickets
            .as_ref()
            .is_some_and(|tickets| tickets.get(name, key))
    }

    fn ticket_scope(&self) -> [u8; 32] {
        self.identity().digest
    }

    fn now(&self) -> u64 {
        self.endpoint.tickets.as_ref().map_or(0, |keys| keys.now())
    }
}
