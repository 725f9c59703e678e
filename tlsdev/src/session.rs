// SPDX-License-Identifier: GPL-2.0

//! What a driver learns of a connection.

use crate::kern::request::Request;
use crate::kern::secret::Secret;
use crate::stat::Count;
use crate::{Nic, Offload};
use kernel::prelude::*;
use kernel::sync::Arc;
use offload_ndo::Protocol;

/// Transmit or receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The device encrypts.
    Transmit,
    /// The device decrypts.
    Receive,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// TCP's sequence number of the record header's first byte.
    pub seq: u32,
    /// The record's number under the connection's keys.
    pub number: u64,
}

/// Address, as IPv6 has it, and port of an end of a connection.
pub type Endpoint = ([u8; 16], u16);

/// One direction of a connection that the device is asked to take.
pub struct Session {
    pub(crate) direction: Direction,
    pub(crate) protocol: Protocol,
    pub(crate) key: Secret<32>,
    pub(crate) key_len: usize,
    pub(crate) iv: Secret<12>,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) request: Option<Arc<Request>>,
}

impl Session {
    /// Which direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// How records are protected. The cipher is AES-GCM.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The key: 16 or 32 bytes. To be given to the device, and not kept elsewhere.
    pub fn key(&self) -> &[u8] {
        self.key.0.get(..self.key_len).unwrap_or_default()
    }

    /// The static IV; in TLS 1.2 only the salt in its first 4 bytes.
    pub fn iv(&self) -> &[u8; 12] {
        &self.iv.0
    }

    /// This end.
    pub fn local(&self) -> Endpoint {
        self.local
    }

    /// The other end.
    pub fn remote(&self) -> Endpoint {
        self.remote
    }

    /// What the receive side asks for a resync with; `None` for the transmit side, which has no
    /// need to.
    pub fn request(&self) -> Option<Arc<Request>> {
        self.request.clone()
    }
}

impl<N: Nic> Offload<N> {
    /// Asks the driver for a context. Process context.
    pub(crate) fn add(&self, session: &Session, at: Option<Position>) -> Result<N::Context> {
        let context = self.nic.ktls_dev_add(session, at);
        self.counters.count(match (session.direction, &context) {
            (Direction::Transmit, Ok(_)) => Count::TxCtx,
            (Direction::Transmit, Err(_)) => Count::TxRefused,
            (Direction::Receive, Ok(_)) => Count::RxCtx,
            (Direction::Receive, Err(_)) => Count::RxRefused,
        });
        context
    }

    /// Takes a context away from the driver. Process context.
    pub(crate) fn del(&self, direction: Direction, context: N::Context) {
        self.counters.count(match direction {
            Direction::Transmit => Count::TxDel,
            Direction::Receive => Count::RxDel,
        });
        self.nic.ktls_dev_del(direction, context);
    }
}
