// SPDX-License-Identifier: GPL-2.0
//! A TLS server handshake engine that does no I/O, allocates nothing and cannot panic.
//!
//! The caller, called the driver, owns buffers, time and slow work. It shows the engine the bytes
//! that the client sent ([`Input`]), writes out what the engine gives it, and carries out the
//! public-key operations that the engine asks for ([`Step`]), so that it can batch them or move
//! them to another thread. [`Server`] is one handshake, from the first byte of a connection to the
//! traffic keys of both directions.
//!
//! # Driving
//!
//! ```text
//! let mut server = Server::new();
//! loop {
//!     match server.step() {
//!         Receive => consume(server.receive(env, unread, scratch)?), or wait for more bytes
//!         MakeShare { group } => server.share_made(env, private, public)?
//!         Derive { group, private, peer } => server.derived(env, shared)?
//!         Sign { digest } => server.signed(env, signature)?
//!         Transmit => send(server.transmit(env, room)?)
//!         Established => hand the keys of server.established() on
//!         Failed => close
//!     }
//! }
//! ```
//!
//! An error ends the handshake. [`Server::disposition`] says what becomes of the connection then:
//! the ClientHello, of which nothing has been consumed, goes to another TLS library, or the alert
//! that [`Server::alert`] writes goes to the client.
//!
//! # Layers
//!
//! ```text
//! server -> ticket -> msgs, key_schedule, prf, record, transcript -> codec -> error
//! ```
//!
//! # What is deliberately absent
//!
//! Memory allocation, clocks, sockets, certificates' contents, curves, hash functions, AEADs,
//! recursion, panics (tests/object.rs looks at the object code), `unsafe`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod codec;
pub mod credential;
pub mod der;
mod env;
mod error;
mod key_schedule;
mod msgs;
mod params;
pub mod pem;
mod prf;
mod record;
mod secret;
mod server;
pub mod session;
mod ticket;
mod transcript;

pub use env::{Crypto, Environment, Hash, Hmac, Input};
pub use error::{AlertDescription, Disposition, Error, Reason};
pub use params::{Aead, Config, HashAlgorithm, NamedGroup, Suite, Version};
pub use record::{ContentType, Traffic};
pub use secret::{wipe, Secret};
pub use server::{Established, Server, Step, ALERT_MAX, MIN_TRANSMIT};
pub use ticket::TicketKey;

/// Length of the memory that [`Server::receive`] works in: the longest protected record without
/// its header.
pub const SCRATCH_LEN: usize = 16384 + 256;
