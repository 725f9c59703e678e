// SPDX-License-Identifier: GPL-2.0
//! The crate against offload_model.

mod framer;
mod map;
mod receive;
mod transmit;

use offload_model::Stream;
use offload_ndo::Protocol;
use proptest::prelude::*;

/// Any protocol.
fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        Just(Protocol::Tls12Gcm),
        Just(Protocol::Tls12ChaCha20Poly1305),
        Just(Protocol::Tls13),
    ]
}

/// Where a stream begins: anywhere, or where it wraps soon.
fn origin() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0u32..60_000).prop_map(|n| n.wrapping_neg())]
}

/// Lengths of content: tiny, usual and the longest.
fn content_len() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 1usize..40, 4 => 1usize..3000, 1 => Just(16384usize), 1 => Just(0usize)]
}

/// A stream of records with these lengths of content. `fill` makes the content's bytes.
fn stream_of(
    protocol: Protocol,
    origin: u32,
    before: usize,
    number: u64,
    lens: &[usize],
    fill: impl Fn(usize, usize) -> u8,
) -> Stream {
    let mut stream = Stream::new(protocol, origin, &vec![0xaa; before]);
    for (index, len) in lens.iter().enumerate() {
        let least = usize::from(protocol == Protocol::Tls13);
        let content: Vec<u8> = (0..(*len).max(least)).map(|at| fill(index, at)).collect();
        let kind = match protocol {
            Protocol::Tls13 => 23,
            _ => [23, 23, 23, 22, 21][index % 5],
        };
        stream.push(number.wrapping_add(index as u64), kind, &content);
    }
    stream
}

/// Any stream with up to `records` records, of bytes without a pattern.
fn stream(records: usize) -> impl Strategy<Value = Stream> {
    let lens = proptest::collection::vec(content_len(), 1..records);
    let number = prop_oneof![0u64..3, any::<u64>()];
    (protocol(), origin(), 0usize..50, number, lens).prop_map(
        |(protocol, origin, before, number, lens)| {
            stream_of(protocol, origin, before, number, &lens, |index, at| {
                (index.wrapping_mul(31) ^ at.wrapping_mul(7) ^ (at >> 8)) as u8
            })
        },
    )
}
