// SPDX-License-Identifier: GPL-2.0

//! kTLS offload for network drivers in Rust.
//!
//! A driver says in [`Nic`] what its device can do, makes an [`Offload`] of it, attaches that to
//! its network device, and passes what it sends through [`Offload::transmit`]. This crate is the
//! kernel's `tlsdev_ops` on one side; on the other it decides with the state machines of
//! `offload_ndo` which packets go to the device.
//!
//! ```text
//!   kTLS: tls_dev_add, tls_dev_del, tls_dev_resync          ndo_start_xmit
//!            │                                                   │
//!         kern::dev ──> TxSide, RxSide <──── Offload::transmit ──┤
//!            │             │     │                               │
//!            │             │     └─ offload_ndo::Tx              v
//!            v             v                              the driver's post()
//!      Nic::ktls_dev_add, ktls_dev_del, resync
//! ```
//!
//! What is written in Documentation/offload.md is for those who write a driver.
//!
//! # Contexts
//!
//! `ktls_dev_add` and `ktls_dev_del` are called where it may sleep; `resync` and the closure given
//! to `transmit` with bottom halves disabled and a lock of the session held, of which there is one
//! for each direction.
//!
//! # Plaintext
//!
//! The stack gives the device packets whose payload is plaintext. [`Offload::transmit`] gives such
//! a packet to the device with the device's state in place, or to the stack's own encryption, or
//! drops it; it never gives it back as it was.

#![no_std]
#![deny(unsafe_code)]

mod kern;
mod rx;
mod session;
mod stat;
mod tx;

pub use kern::bindings;
pub use kern::dev::Offload;
pub use kern::frag::Prefix;
pub use kern::lock::{Bh, BhLock};
pub use kern::request::Request;
pub use kern::skb::{PrivateSkb, Segments, Skb};
pub use session::{Direction, Endpoint, Position, Session};
pub use stat::{Counters, NAMES};

use kernel::prelude::*;

/// Where a device goes on.
pub enum Resync<'a> {
    /// The next packet belongs to the record that begins at `at`. `prefix` is what the record has
    /// in front of the packet: the device puts it through its cryptography, and sends nothing.
    Transmit {
        /// The record.
        at: Position,
        /// Its bytes in front of the packet; none if the packet begins the record.
        prefix: &'a Prefix,
    },
    /// A record begins at `at`: what [`Request::ask`] asked for.
    Receive {
        /// The record.
        at: Position,
    },
}

/// What a driver wants of the adapter.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// When the transmit side is worth the device, and when no longer.
    pub policy: offload_ndo::Policy,
    /// How many records of a session are known at a time, of those not acknowledged.
    pub records: usize,
    /// Bytes that a session receives before the device is asked to decrypt; 0: at once.
    pub rx_delay: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: offload_ndo::Policy::default(),
            records: 512,
            rx_delay: 0,
        }
    }
}

/// A network device that offloads kTLS, as its driver writes it.
pub trait Nic: Send + Sync + 'static {
    /// What the driver keeps of one direction of one connection.
    type Context: Send + Unpin;

    /// Read whenever a session begins.
    fn config(&self) -> Config {
        Config::default()
    }

    /// The device shall encrypt, or decrypt, the records of a session from `start` on. Without a
    /// start, which can be so when it shall decrypt, it has to look for one (see
    /// [`Session::request`]). An error leaves the session to software. May sleep.
    fn ktls_dev_add(&self, session: &Session, start: Option<Position>) -> Result<Self::Context>;

    /// The device has nothing to do with the session any more: it ends, goes to another device, or
    /// has become too expensive. When this returns, the device uses no key and no memory of the
    /// session. May sleep.
    fn ktls_dev_del(&self, direction: Direction, context: Self::Context);

    /// Gives a device its place in the stream. Bottom halves are disabled. An error when
    /// transmitting means that software encrypts, when receiving that the answer was of no use.
    fn resync(&self, context: &mut Self::Context, to: Resync<'_>) -> Result;
}
