// SPDX-License-Identifier: GPL-2.0
//! Ticket keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tls_hs::{Crypto, Secret, TicketKey};

use crate::HostCrypto;

/// Keys of tickets: one that seals, and older ones whose tickets are still accepted.
#[derive(Default)]
pub struct TicketKeys {
    /// The newest first.
    keys: Vec<TicketKey>,
    ahead: Duration,
}

impl TicketKeys {
    /// Begins with one random key.
    pub fn new(crypto: &mut HostCrypto) -> Self {
        let mut keys = TicketKeys::default();
        keys.rotate(crypto, 1);
        keys
    }

    /// Seals with a new random key from here on and keeps at most `keep` keys, the new one
    /// included.
    pub fn rotate(&mut self, crypto: &mut HostCrypto, keep: usize) {
        let mut key = TicketKey {
            name: [0; 16],
            secret: Secret::zero(),
        };
        crypto.random(&mut key.name);
        crypto.random(key.secret.bytes_mut());
        self.keys.insert(0, key);
        self.keys.truncate(keep.max(1));
    }

    /// Lets time pass for tests.
    pub fn advance(&mut self, time: Duration) {
        self.ahead += time;
    }

    /// Copies the key with this name, or without a name the one that seals.
    pub(crate) fn get(&self, name: Option<&[u8; 16]>, out: &mut TicketKey) -> bool {
        let found = match name {
            None => self.keys.first(),
            Some(name) => self.keys.iter().find(|key| key.name == *name),
        };
        if let Some(key) = found {
            out.name = key.name;
            *out.secret.bytes_mut() = *key.secret.bytes();
        }
        found.is_some()
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        (now.unwrap_or_default() + self.ahead).as_secs()
    }
}
