// SPDX-License-Identifier: GPL-2.0
//! A ticket in a ClientHello that is otherwise always the same: in session_ticket, RFC 5077, and in
//! pre_shared_key, RFC 8446 section 4.2.11, with a binder that verifies. Nothing about a ticket may
//! make the handshake fail: what is not accepted is passed over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs::Reason;
use tls_hs_fuzz::{record, run};

const TLS12: &[u8] = include_bytes!("../seeds/hello/openssl-tls12");
const TLS13: &[u8] = include_bytes!("../seeds/hello/openssl-tls13");

const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;

fn vector(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes()[..], content].concat()
}

/// A ClientHello record with one extension replaced, or added at the end.
fn with_extension(hello: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let body = &hello[5 + 4..];
    let session_id_end = 34 + 1 + usize::from(body[34]);
    let suites = &body[session_id_end..];
    let suites_end = session_id_end + 2 + usize::from(u16::from_be_bytes([suites[0], suites[1]]));
    let extensions_start = suites_end + 1 + usize::from(body[suites_end]);
    let mut rest = &body[extensions_start + 2..];
    let mut extensions = Vec::new();
    while let [a, b, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if u16::from_be_bytes([*a, *b]) != kind {
            extensions.extend_from_slice(&rest[..4 + len]);
        }
        rest = &tail[len..];
    }
    extensions.extend_from_slice(&kind.to_be_bytes());
    extensions.extend_from_slice(&vector(data));
    let body = [&body[..extensions_start], &vector(&extensions)].concat();
    let message = [&[1], &(body.len() as u32).to_be_bytes()[1..], &body].concat();
    record(&message)
}

fuzz_target!(|data: &[u8]| {
    let [choice, binder_len, ticket @ ..] = data else {
        return;
    };
    if ticket.is_empty() || ticket.len() > 8000 {
        return;
    }
    let choice = choice & 0b1100_0000;
    let hello = with_extension(TLS12, SESSION_TICKET, ticket);
    let tls12 = run(choice, &hello, || hello.len());
    assert_eq!(tls12.end, Ok(None), "a ticket of TLS 1.2");

    let identity = [&vector(ticket)[..], &[0; 4]].concat();
    let binder_len = if binder_len & 1 == 0 { 32 } else { 48 };
    let binders = [&[binder_len][..], &vec![0; usize::from(binder_len)]].concat();
    let offer = [vector(&identity), vector(&binders)].concat();
    let hello = with_extension(TLS13, PRE_SHARED_KEY, &offer);
    let tls13 = run(choice, &hello, || hello.len());
    // A binder of the other hash's length is the client's fault.
    assert!(
        matches!(tls13.end, Ok(None) | Err(Reason::BadBinder)),
        "a ticket of TLS 1.3: {:?}",
        tls13.end
    );
});
