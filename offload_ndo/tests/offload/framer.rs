// SPDX-License-Identifier: GPL-2.0
//! Framing: pieces, nonces and additional data are the same however the stream is cut.

use offload_model::Device;
use offload_ndo::{Framer, Header, Part, Protocol};
use proptest::prelude::*;

use crate::stream;

/// Cuts `bytes` after each of `lens` in turn.
fn cut<'a>(bytes: &'a [u8], lens: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut lens = lens.iter().cycle();
    std::iter::from_fn(move || {
        let len = (*lens.next()?).clamp(1, rest.len().max(1));
        let (head, tail) = rest.split_at(len.min(rest.len()));
        rest = tail;
        (!head.is_empty()).then_some(head)
    })
}

proptest! {
    #[test]
    fn pieces_cover_each_byte_once(
        stream in stream(20),
        lens in proptest::collection::vec(1usize..4000, 1..8),
    ) {
        let start = stream.index(stream.start);
        let number = stream.records[0].number;
        let mut framer = Framer::new(stream.protocol, number);
        let mut index = start;
        for packet in cut(&stream.plain[start..], &lens) {
            let mut rest = packet;
            while let Some(piece) = framer.next(rest) {
                let record = stream.record_at(index).unwrap();
                let at = (index - stream.index(record.start)) as u32;
                let nonce = 5 + stream.protocol.nonce_len();
                let tag = u32::from(record.len) - 16;
                let (part, from, to) = match at {
                    0..5 => (Part::Header, 0, 5),
                    _ if at < nonce => (Part::Nonce, 5, nonce),
                    _ if at < tag => (Part::Content, nonce, tag),
                    _ => (Part::Tag, tag, tag + 16),
                };
                prop_assert_eq!(piece.number, record.number);
                prop_assert_eq!((piece.part, piece.offset), (part, at - from));
                prop_assert!(piece.len > 0 && at + piece.len <= to);
                prop_assert_eq!(piece.part_done, at + piece.len == to);
                prop_assert_eq!(piece.record_done, at + piece.len == u32::from(record.len));
                if !piece.record_done {
                    prop_assert_eq!(framer.offset(), at + piece.len);
                    prop_assert_eq!(framer.number(), record.number);
                }
                index += piece.len as usize;
                rest = &rest[piece.len as usize..];
            }
            prop_assert!(rest.is_empty());
        }
        prop_assert_eq!(index, stream.plain.len());
        prop_assert_eq!(framer.offset(), 0);
    }

    #[test]
    fn a_device_gives_the_wire_however_packets_are_cut(
        stream in stream(20),
        lens in proptest::collection::vec(1usize..4000, 1..8),
    ) {
        let start = stream.index(stream.start);
        let number = stream.records[0].number;
        let mut device = Device::new(stream.protocol, number, true);
        let mut wire = Vec::new();
        for packet in cut(&stream.plain[start..], &lens) {
            let mut packet = packet.to_vec();
            device.process(&mut packet);
            wire.extend_from_slice(&packet);
        }
        prop_assert_eq!(&wire[..], &stream.wire[start..]);
    }

    #[test]
    fn any_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut framer = Framer::new(Protocol::Tls12Gcm, u64::MAX);
        let mut all = bytes.as_slice();
        while let Some(piece) = framer.next(all) {
            all = &all[piece.len as usize..];
        }
        prop_assert_eq!(all.is_empty() || framer.lost(), true);
        prop_assert!(!framer.lost() || framer.next(&[0; 5]).is_none());
    }
}

#[test]
fn headers_that_no_record_can_have() {
    for (protocol, min, max) in [
        (Protocol::Tls12Gcm, 24, 16384 + 24),
        (Protocol::Tls12ChaCha20Poly1305, 16, 16384 + 16),
        (Protocol::Tls13, 17, 16384 + 17),
    ] {
        let parse = |version: [u8; 2], length: u16| {
            let [high, low] = length.to_be_bytes();
            Header::parse([23, version[0], version[1], high, low], protocol)
        };
        for length in [min, max] {
            let header = parse([3, 3], length).unwrap();
            assert_eq!((header.kind, header.length), (23, length));
            assert!(header.record_len() <= offload_ndo::MAX_RECORD_LEN);
        }
        assert_eq!(parse([3, 3], min - 1), None);
        assert_eq!(parse([3, 3], max + 1), None);
        assert_eq!(parse([3, 3], 0xffff), None);
        assert_eq!(parse([3, 1], min), None);
        assert_eq!(parse([2, 3], min), None);
    }
}

/// RFC 8446 section 5.3, RFC 5288 section 3, RFC 5246 section 6.2.3.3.
#[test]
fn nonces_and_additional_data() {
    let iv = [
        0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb,
    ];
    let number = 0x0102_0304_0506_0708;
    let explicit = [9; 8];
    let xored = [
        0xf0, 0xf1, 0xf2, 0xf3, 0xf5, 0xf7, 0xf5, 0xf3, 0xfd, 0xff, 0xfd, 0xf3,
    ];
    let mut salted = [9; 12];
    salted[..4].copy_from_slice(&iv[..4]);
    let header = Header {
        kind: 23,
        length: 300,
    };
    for (protocol, nonce, aad) in [
        (
            Protocol::Tls12Gcm,
            salted,
            vec![1, 2, 3, 4, 5, 6, 7, 8, 23, 3, 3, 1, 20],
        ),
        (
            Protocol::Tls12ChaCha20Poly1305,
            xored,
            vec![1, 2, 3, 4, 5, 6, 7, 8, 23, 3, 3, 1, 28],
        ),
        (Protocol::Tls13, xored, vec![23, 3, 3, 1, 44]),
    ] {
        assert_eq!(protocol.nonce(&iv, number, &explicit), nonce);
        assert_eq!(protocol.aad(number, header).as_ref(), aad);
    }
}
