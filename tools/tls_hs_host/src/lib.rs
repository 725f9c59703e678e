// SPDX-License-Identifier: GPL-2.0
//! The handshake engine in a user-space program: what the module's glue is in the kernel.
//!
//! It serves the programs beside it in `tools/` and the tests: process tests against other TLS
//! implementations, the conformance shim, fuzz targets and benches. It is no TLS library: there
//! is no client, and performance beyond the engine's own does not matter.
//!
//! ```text
//! stream ---> handshake ---> tls_hs (engine) ---> crypto, endpoint
//!    \------> session ---> protection ---> crypto
//! ```
//!
//! [`Handshake`] and [`Session`] do no I/O: bytes go in and come out. [`Stream`] puts them on
//! anything that reads and writes.
//!
//! [`Session`] protects records from key, IV and sequence number as they would go to kTLS, not
//! with the engine's own record layer, so that every test against a peer also proves that what is
//! handed over is right.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cpu;
mod crypto;
mod endpoint;
mod handshake;
mod hmac;
mod identity;
mod protection;
mod session;
mod stream;
mod tickets;

pub use crypto::HostCrypto;
pub use endpoint::{Endpoint, VirtualHost};
pub use handshake::{Handshake, Outcome};
pub use identity::{Identity, IdentityError};
pub(crate) use protection::Direction;
pub use session::{Received, Session};
pub use stream::Stream;
pub use tickets::TicketKeys;

/// Why a connection ended other than by close_notify.
#[derive(Debug)]
pub enum Failure {
    /// The handshake failed, for the engine's reason.
    Handshake(tls_hs::Reason),
    /// What came after the handshake was refused: the alert sent, and why.
    Refused(u8, &'static str),
    /// The peer sent a fatal alert.
    Alert(u8),
    /// The peer closed the transport without close_notify.
    Truncated,
    /// The transport failed.
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Io(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Handshake(reason) => {
                write!(f, "handshake: {}: {}", reason.name(), reason.description())
            }
            Failure::Refused(alert, why) => write!(f, "{why} (alert {alert} sent)"),
            Failure::Alert(alert) => write!(f, "fatal alert {alert} received"),
            Failure::Truncated => write!(f, "closed without close_notify"),
            Failure::Io(error) => write!(f, "transport: {error}"),
        }
    }
}

impl std::error::Error for Failure {}
