// SPDX-License-Identifier: GPL-2.0
//! How much memory a connection takes while its handshake waits for the client.

use crate::client::{Client, Library};
use crate::pki::Pki;
use crate::{Case, Server};

/// Connections that are held at the same time.
const CONNECTIONS: usize = 256;

/// Bytes allocated by all of this program, as the C library counts them.
fn allocated() -> usize {
    // SAFETY: no arguments, plain numbers out.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Bytes for each connection that has sent its first flight and waits for the client's.
pub fn per_connection(server: &dyn Server, pki: &Pki, case: &Case) -> usize {
    let mut client = Client::new(pki, case, Library::Ring);
    let mut output = Vec::with_capacity(1 << 16);
    let mut connections = Vec::with_capacity(CONNECTIONS);
    // What is set up once is not counted.
    let hello = client.start();
    server.connect(case).step(&hello, &mut output);
    let before = allocated();
    for _ in 0..CONNECTIONS {
        let mut connection = server.connect(case);
        output.clear();
        connection.step(&hello, &mut output);
        assert!(!output.is_empty());
        connections.push(connection);
    }
    (allocated() - before) / CONNECTIONS
}
