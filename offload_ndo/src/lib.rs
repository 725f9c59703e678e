// SPDX-License-Identifier: GPL-2.0
//! TLS offload to network devices: which record a TCP sequence number belongs to, and what a
//! driver does with a packet.
//!
//! A device that encrypts or decrypts TLS records inside TCP segments keeps the state of one
//! place in the stream. As long as packets come in order that is enough. [`Tx`] and [`Rx`] decide
//! what happens with every packet, and how the device gets back when one was not in order: by the
//! records that are not fully acknowledged ([`Map`]) when it transmits, by a search for record
//! headers that software confirms when it receives. [`Framer`] is the place itself: both the
//! machines here and the device walk the bytes of a packet with it.
//!
//! # Layers
//!
//! ```text
//! tx -> map ─┬─> record -> seq
//! rx -> framer ┘
//! ```
//!
//! # Contexts
//!
//! Nothing here sleeps, allocates or locks: every function may be called in any context. A caller
//! holds a lock of its own around one direction of one connection. Work is at most linear in the
//! length of the packet.
//!
//! # What is deliberately absent
//!
//! Keys and cryptography, which are the device's; packets and sockets, which are the driver's;
//! memory, clocks, panics (tests/object.rs looks at the object code), `unsafe`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod framer;
mod map;
mod record;
mod rx;
pub mod seq;
mod tx;

pub use framer::{Framer, Part, Piece};
pub use map::{InsertError, Lookup, Map};
pub use record::{Aad, Header, Protocol, Record, HEADER_LEN, MAX_RECORD_LEN, TAG_LEN};
pub use rx::{Rx, RxCounters, RxState, RxVerdict};
pub use tx::{DropReason, Policy, Rebuild, Resync, Tx, TxCounters, TxState, TxVerdict};
