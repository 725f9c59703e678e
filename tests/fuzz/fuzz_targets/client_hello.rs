// SPDX-License-Identifier: GPL-2.0
//! The body of a ClientHello, behind a byte that chooses the listener. It comes in one record, and
//! in records of 20 bytes, which must not make a difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs_fuzz::{record, run};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    if body.len() > 16380 {
        return;
    }
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let message = [&[1], length, body].concat();
    let whole = record(&message);
    let pieces: Vec<u8> = message.chunks(20).flat_map(record).collect();
    let [whole, pieces] = [whole, pieces].map(|stream| run(choice, &stream, || stream.len()));
    assert_eq!(whole, pieces);
});
