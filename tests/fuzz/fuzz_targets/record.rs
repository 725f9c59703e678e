// SPDX-License-Identifier: GPL-2.0
//! Records, each as (type, length, content) so that the fuzzer need not keep lengths right, behind
//! a ClientHello that is always the same, with which the handshake is under way in either version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs_fuzz::run_cut;

const TLS12: &[u8] = include_bytes!("../seeds/hello/openssl-tls12");
const TLS13: &[u8] = include_bytes!("../seeds/hello/openssl-tls13");

fuzz_target!(|data: &[u8]| {
    let [choice, seed, rest @ ..] = data else {
        return;
    };
    let mut stream = if seed & 1 == 0 { TLS12 } else { TLS13 }.to_vec();
    let mut rest = rest;
    while let [kind, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (content, tail) = tail.split_at(tail.len().min(len));
        rest = tail;
        stream.extend_from_slice(&[*kind, 3, 3]);
        stream.extend_from_slice(&(content.len() as u16).to_be_bytes());
        stream.extend_from_slice(content);
    }
    run_cut(*choice, *seed, &stream);
});
