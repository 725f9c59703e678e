// SPDX-License-Identifier: GPL-2.0
//! What the driver may call in which state: in every state of every kind of handshake, every call
//! but the one that the step asks for fails, and nothing works after it.

use rustls::crypto::ring;

use crate::client::{rustls_config, Client, Rustls};
use crate::host::{Connection, Host};
use tls_hs::{Error, Reason, Step, Version};

/// Carries out `turns` steps of a handshake; `None` if it is complete before.
fn stopped_after(
    config: &rustls::ClientConfig,
    version: Version,
    turns: usize,
) -> Option<Connection> {
    let mut client = Rustls::new(config.clone());
    let mut host = Host {
        ticket_keys: vec![([1; 16], [2; 32])],
        ..Host::default()
    };
    host.config.versions = version.bit();
    host.config.ecurves = tls_hs::NamedGroup::Secp256r1.bit();
    let mut connection = Connection::new(host);
    for _ in 0..turns {
        let sent = client.give();
        connection.unread.extend_from_slice(&sent);
        if !connection.turn().unwrap() {
            return None;
        }
        client.take(&std::mem::take(&mut connection.out)).unwrap();
    }
    let sent = client.give();
    connection.unread.extend_from_slice(&sent);
    Some(connection)
}

/// Makes one call; false if it is the one that the step asks for.
fn call(connection: &mut Connection, which: usize) -> Option<Result<(), Error>> {
    let Connection {
        server,
        host,
        unread,
        scratch,
        ..
    } = connection;
    let asked = match server.step() {
        Step::Receive => 0,
        Step::MakeShare { .. } => 1,
        Step::Derive { .. } => 2,
        Step::Sign { .. } => 3,
        Step::Transmit => 4,
        Step::Established | Step::Failed => 5,
    };
    (which != asked).then(|| match which {
        0 => server.receive(host, &unread[..], scratch).map(|_| ()),
        1 => server.share_made(host, &[1; 32], &[4; 65]),
        2 => server.derived(host, Some(&[1; 32])),
        3 => server.signed(host, &[0x30, 6, 2, 1, 1, 2, 1, 1]),
        _ => server.transmit(host, &mut [0; 4096]).map(|_| ()),
    })
}

#[test]
fn calls_out_of_order_fail_in_every_state() {
    for version in [Version::Tls12, Version::Tls13] {
        // x25519 is offered first and not allowed: TLS 1.3 begins with a HelloRetryRequest.
        let config = rustls_config(ring::default_provider());
        let resumable = config.clone();
        let mut states = 0;
        for resumed in [false, true] {
            for turns in 0.. {
                if stopped_after(&config, version, turns).is_none() {
                    break;
                }
                states += 1;
                for which in 0..5 {
                    // Each connection of the first round is to be a full handshake.
                    let config = match resumed {
                        true => resumable.clone(),
                        false => rustls_config(ring::default_provider()),
                    };
                    let Some(mut connection) = stopped_after(&config, version, turns) else {
                        continue;
                    };
                    let Some(result) = call(&mut connection, which) else {
                        continue;
                    };
                    assert_eq!(
                        result,
                        Err(Error(Reason::OutOfOrder)),
                        "{version:?} {turns} {which}"
                    );
                    assert!(matches!(connection.server.step(), Step::Failed));
                    assert!(connection.server.established().is_none());
                    assert_eq!(
                        call(&mut connection, which),
                        Some(Err(Error(Reason::OutOfOrder)))
                    );
                }
            }
        }
        assert!(states > 12, "{states} states");
    }
}
