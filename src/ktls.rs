// SPDX-License-Identifier: GPL-2.0

//! Hand-over of an established connection to kTLS, in `accept()`.

use crate::kern::ktls::{Connected, Direction};
use crate::kern::stat::Stats;
use crate::record::RECORD_MAX;
use crate::stat::Counter;
use kernel::prelude::*;
use tls_hs::Established;

/// Puts kTLS with the handshake's traffic keys on a socket. What the client has sent behind its
/// Finished is still in the receive queue and becomes the first records that kTLS decrypts. Process
/// context.
///
/// # Errors
///
/// Whatever kTLS says; the connection is of no use then.
pub(crate) fn establish(
    session: &Established<'_>,
    socket: &Connected,
    stats: &Stats<'_>,
) -> Result {
    let result = install(session, socket);
    stats.count(match result {
        Ok(()) => Counter::Accepted,
        Err(_) => Counter::KtlsFailed,
    });
    result
}

fn install(session: &Established<'_>, socket: &Connected) -> Result {
    socket.set_ulp()?;
    socket.set_keys(Direction::Tx, session.version, session.server)?;
    if u32::from(session.fragment_max) < RECORD_MAX {
        socket.set_fragment_max(session.fragment_max)?;
    }
    socket.set_keys(Direction::Rx, session.version, session.client)
}
