// SPDX-License-Identifier: GPL-2.0
//! The receive side: what the device decrypts is right, and it finds its place again.

use offload_model::{Receiver, Segment, Stream};
use offload_ndo::{Protocol, Rx, RxState, RxVerdict};
use proptest::prelude::*;

use crate::{stream, stream_of};

/// What the network does with the next packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Deliver,
    /// It comes again much later.
    Lose,
    /// It comes after that many others.
    Delay(usize),
    Duplicate,
    /// Part of it comes again later, in one packet with what is behind it.
    Overlap,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Deliver),
        1 => Just(Fate::Lose),
        1 => (1usize..6).prop_map(Fate::Delay),
        1 => Just(Fate::Duplicate),
        1 => Just(Fate::Overlap),
    ]
}

fn packet_lens() -> impl Strategy<Value = Vec<usize>> {
    let len = prop_oneof![1usize..20, 1usize..1500, Just(1448usize), 1usize..40000];
    proptest::collection::vec(len, 1..10)
}

/// The stream in packets, without what is from before the offload.
fn segments(stream: &Stream, lens: &[usize]) -> Vec<Segment> {
    let mut from = stream.index(stream.start);
    let mut segments = Vec::new();
    for len in lens.iter().cycle() {
        if from == stream.wire.len() {
            break;
        }
        let end = (from + len).min(stream.wire.len());
        segments.push(Segment { from, end });
        from = end;
    }
    segments
}

/// The packets in the order in which they arrive.
fn network(segments: &[Segment], fates: &[Fate]) -> Vec<Segment> {
    let mut due: Vec<(usize, Segment)> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let Segment { from, end } = *segment;
        let at = index * 8;
        match fates[index % fates.len()] {
            Fate::Deliver => due.push((at, *segment)),
            Fate::Lose => due.push((at + 400, *segment)),
            Fate::Delay(by) => due.push((at + 8 * by + 4, *segment)),
            Fate::Duplicate => due.extend([(at, *segment), (at + 1, *segment)]),
            Fate::Overlap => {
                let middle = (from + end) / 2;
                due.push((
                    at,
                    Segment {
                        from,
                        end: middle.max(from + 1),
                    },
                ));
                due.push((at + 1, Segment { from: middle, end }));
            }
        }
    }
    due.sort_by_key(|(at, _)| *at);
    due.into_iter().map(|(_, segment)| segment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_order_all_is_decrypted(stream in stream(30), lens in packet_lens()) {
        let mut receiver = Receiver::new(stream);
        for segment in segments(&receiver.stream, &lens) {
            let verdict = receiver.packet(segment);
            prop_assert!(matches!(verdict, RxVerdict::Decrypt(_)), "{verdict:?}");
        }
    }

    /// The receiver checks every byte.
    #[test]
    fn what_is_decrypted_is_right(
        stream in stream(60),
        lens in packet_lens(),
        fates in proptest::collection::vec(fate(), 1..60),
        lag in 0usize..10,
    ) {
        let mut receiver = Receiver::new(stream);
        receiver.lag = lag;
        for segment in network(&segments(&receiver.stream, &lens), &fates) {
            receiver.packet(segment);
        }
    }

    /// After losses the device has its place back when enough records came in order: the header
    /// that it asks about, and the next one.
    #[test]
    fn the_device_comes_back(
        stream in stream(60),
        lens in packet_lens(),
        fates in proptest::collection::vec(fate(), 1..60),
        protocol in crate::protocol(),
    ) {
        let mut receiver = Receiver::new(with_tail(&stream, protocol));
        let tail = receiver.stream.records.len() - TAIL;
        let tail = receiver.stream.index(receiver.stream.records[tail].start);
        let all = segments(&receiver.stream, &lens);
        let (bad, good) = all.split_at(all.partition_point(|s| s.from < tail));
        for segment in network(bad, &fates) {
            receiver.packet(segment);
        }
        for segment in good {
            receiver.packet(*segment);
        }
        prop_assert_eq!(receiver.rx.state(), RxState::Device);
        // It stands at the end: the last packet was decrypted or absorbed.
        let counters = *receiver.rx.counters();
        let end = receiver.stream.seq(receiver.stream.wire.len());
        let verdict = receiver.rx.packet(end, &[23, 3, 3]);
        prop_assert!(matches!(verdict, RxVerdict::Decrypt(_)), "{verdict:?} {counters:?}");
    }

    /// Bytes that no sender would send, and packets that are not of the connection at all.
    #[test]
    fn any_packets_are_no_harm(
        protocol in crate::protocol(),
        packets in proptest::collection::vec((0u32..300, noise()), 1..60),
        answers in any::<u64>(),
    ) {
        let mut rx = Rx::new(protocol, 0u32.wrapping_sub(100), 7);
        for (index, (seq, bytes)) in packets.iter().enumerate() {
            let seq = match bytes.first() {
                Some(0) => seq << 24,
                _ => seq.wrapping_sub(120),
            };
            let (from, framer) = match rx.packet(seq, bytes) {
                RxVerdict::Pass => continue,
                RxVerdict::Decrypt(framer) => (0, framer),
                RxVerdict::Absorb { from, framer } => (from, framer),
            };
            let mut framer = framer;
            prop_assert!(framer.skip(&bytes[from..]), "the device would be lost");
            match (answers >> (index % 64)) & 3 {
                0 => rx.auth_failed(),
                1 => rx.refuse(),
                _ => if let Some(request) = rx.request() {
                    rx.confirm(request, 3);
                },
            }
        }
    }
}

/// Bytes of which many look like headers.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let header = (19u8..25, 15u16..60).prop_map(|(kind, len)| {
        let [high, low] = len.to_be_bytes();
        vec![kind, 3, 3, high, low]
    });
    let zeros = (0usize..60).prop_map(|len| vec![7; len]);
    let long = Just(vec![23, 3, 3, 0x40, 0x10]);
    let bytes = proptest::collection::vec(any::<u8>(), 0..30);
    let piece = prop_oneof![6 => header, 4 => zeros, 1 => long, 1 => bytes];
    proptest::collection::vec(piece, 1..20).prop_map(|pieces| pieces.concat())
}

const TAIL: usize = 40;

/// The stream and a number of usual records behind it.
fn with_tail(stream: &Stream, protocol: Protocol) -> Stream {
    let mut lens: Vec<usize> = stream
        .records
        .iter()
        .map(|r| usize::from(r.len) - 21 - stream.protocol.nonce_len() as usize)
        .collect();
    lens.extend([1400; TAIL]);
    let number = stream.records[0].number;
    stream_of(protocol, stream.origin, 3, number, &lens, |r, at| {
        (r.wrapping_mul(31) ^ at.wrapping_mul(7) ^ (at >> 8)) as u8
    })
}

/// `count` records with `len` bytes of content each, from index 0 on.
fn plain(count: usize, len: usize) -> Receiver {
    let lens = vec![len; count];
    Receiver::new(stream_of(Protocol::Tls12Gcm, 5000, 0, 9, &lens, |r, at| {
        (r ^ at) as u8
    }))
}

fn segment(from: usize, end: usize) -> Segment {
    Segment { from, end }
}

/// Figure "reorder of non-header segment" of the kernel's tls-offload.rst: the device goes on with
/// the record that begins in the packet behind the one that is missing.
#[test]
fn a_lost_packet_inside_a_record() {
    let mut receiver = plain(3, 2971);
    assert!(matches!(
        receiver.packet(segment(0, 1000)),
        RxVerdict::Decrypt(_)
    ));
    let RxVerdict::Absorb { from, framer } = receiver.packet(segment(2000, 3500)) else {
        panic!("the next record's beginning is known");
    };
    assert_eq!((from, framer.number(), framer.offset()), (1000, 10, 0));
    assert!(matches!(
        receiver.packet(segment(3500, 5000)),
        RxVerdict::Decrypt(_)
    ));
    // The missing packet comes late and alone.
    assert_eq!(receiver.packet(segment(1000, 2000)), RxVerdict::Pass);
    assert!(matches!(
        receiver.packet(segment(5000, 9000)),
        RxVerdict::Decrypt(_)
    ));
    assert_eq!(receiver.rx.counters().gaps, 1);
    assert_eq!(receiver.rx.counters().lost, 0);
}

/// Figure "reorder of segment with a TLS header": the device loses its place when the packet does
/// not come, searches, asks, and resumes where the stack said.
#[test]
fn a_lost_packet_with_a_header() {
    let mut receiver = plain(12, 2971);
    assert!(matches!(
        receiver.packet(segment(0, 1000)),
        RxVerdict::Decrypt(_)
    ));
    let mut at = 4000;
    while receiver.rx.state() == RxState::Device {
        assert_eq!(receiver.packet(segment(at, at + 1000)), RxVerdict::Pass);
        at += 1000;
    }
    // More than the longest record behind the header that was missed.
    assert_eq!(at, 21_000);
    assert_eq!(receiver.rx.counters().lost, 1);
    assert_eq!(receiver.rx.state(), RxState::Searching);
    assert_eq!(receiver.packet(segment(at, at + 1000)), RxVerdict::Pass);
    assert_eq!(receiver.rx.state(), RxState::Tracking);
    assert_eq!(receiver.rx.counters().requests, 1);
    // The stack gets to that record when the missing packet is there.
    assert_eq!(receiver.packet(segment(1000, 4000)), RxVerdict::Pass);
    assert_eq!(receiver.rx.state(), RxState::Device);
    assert_eq!(receiver.rx.counters().confirmed, 1);
    assert_eq!(receiver.packet(segment(22_000, 23_000)), RxVerdict::Pass);
    let RxVerdict::Absorb { from, framer } = receiver.packet(segment(23_000, 25_000)) else {
        panic!("a record begins there");
    };
    assert_eq!((from, framer.number(), framer.offset()), (1000, 17, 0));
    assert!(matches!(
        receiver.packet(segment(25_000, 30_000)),
        RxVerdict::Decrypt(_)
    ));
}

/// The packet with the header comes only a little late: the device has not lost its place.
#[test]
fn a_late_packet_with_a_header() {
    let mut receiver = plain(4, 2971);
    assert!(matches!(
        receiver.packet(segment(0, 1000)),
        RxVerdict::Decrypt(_)
    ));
    assert_eq!(receiver.packet(segment(4000, 5000)), RxVerdict::Pass);
    assert!(matches!(
        receiver.packet(segment(1000, 4000)),
        RxVerdict::Decrypt(_)
    ));
    let RxVerdict::Absorb { from, framer } = receiver.packet(segment(5000, 7000)) else {
        panic!("the next record's beginning is known");
    };
    assert_eq!((from, framer.number()), (1000, 11));
    assert_eq!(receiver.rx.counters().lost, 0);
}

/// Records full of what looks like headers that lead to one another: nothing is decrypted on
/// their word.
#[test]
fn payload_that_looks_like_headers() {
    let fake = |_: usize, at: usize| [23, 3, 3, 0, 35][at % 40 % 5] * u8::from(at % 40 < 5);
    let lens = [4000; 20];
    for protocol in [
        Protocol::Tls12ChaCha20Poly1305,
        Protocol::Tls12Gcm,
        Protocol::Tls13,
    ] {
        let mut stream = stream_of(protocol, 77, 0, 1, &lens, fake);
        // On the wire as in the application: as if the attacker knew the key stream.
        stream.wire.clone_from(&stream.plain);
        let mut rx = Rx::new(protocol, 77, 1);
        rx.forget();
        let (mut requests, mut genuine) = (0, 0);
        for from in (100..stream.wire.len()).step_by(1000) {
            let end = (from + 1000).min(stream.wire.len());
            let verdict = rx.packet(stream.seq(from), &stream.wire[from..end]);
            assert_eq!(verdict, RxVerdict::Pass);
            if let Some(request) = rx.request() {
                requests += 1;
                genuine += usize::from(stream.records.iter().any(|r| r.start == request));
            }
        }
        assert!(requests > 0 && rx.counters().refused > 0);
        // A chain of fakes ends with the record that they are in.
        assert!(
            requests < 200,
            "{requests} requests, {genuine} of them right"
        );
    }
}

/// An answer that comes late counts the records that were followed since; one that nobody asked
/// for does not.
#[test]
fn late_and_wrong_answers() {
    let mut receiver = plain(40, 971);
    receiver.answers = false;
    receiver.rx.forget();
    for from in (0..7500).step_by(500) {
        receiver.packet(segment(from, from + 500));
    }
    assert_eq!(receiver.rx.state(), RxState::Tracking);
    let start = |record: usize| receiver.stream.records[record].start;
    let (first, second) = (start(0), start(1));
    assert!(!receiver.rx.confirm(second, 10));
    assert!(!receiver.rx.confirm(first.wrapping_add(1), 9));
    assert_eq!(receiver.rx.state(), RxState::Tracking);
    assert!(receiver.rx.confirm(first, 9));
    assert_eq!(receiver.packet(segment(7500, 8000)), RxVerdict::Pass);
    let RxVerdict::Decrypt(framer) = receiver.packet(segment(8000, 8500)) else {
        panic!("a record begins there");
    };
    assert_eq!((framer.number(), framer.offset()), (17, 0));
    assert_eq!(receiver.rx.counters().stale, 2);
}

/// Software is asked again later and later, and answers to the last two requests count.
#[test]
fn asks_again() {
    let mut receiver = plain(600, 71);
    receiver.answers = false;
    receiver.rx.forget();
    let mut asked = Vec::new();
    for record in 0..600 {
        let from = record * 100;
        receiver.rx.packet(
            receiver.stream.seq(from),
            &receiver.stream.wire[from..from + 100],
        );
        if let Some(request) = receiver.rx.request() {
            asked.push((request.wrapping_sub(5000) / 100, record));
        }
    }
    assert_eq!(asked, [(0, 0), (8, 8), (64, 64), (512, 512)]);
    assert!(!receiver.rx.confirm(5000 + 800, 17));
    assert!(receiver.rx.confirm(5000 + 6400, 73));
    let verdict = receiver.rx.packet(5000 + 60_000, &[23, 3, 3, 0, 40]);
    let RxVerdict::Decrypt(framer) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(framer.number(), 609);
}

/// The stack tells of a record that is still to come, unasked: CORE_NEXT_HINT.
#[test]
fn a_hint() {
    let mut receiver = plain(10, 971);
    receiver.answers = false;
    receiver.rx.forget();
    receiver.packet(segment(0, 1500));
    let (passed, next) = (receiver.stream.records[1], receiver.stream.records[2]);
    assert!(!receiver.rx.confirm(passed.start, passed.number));
    assert!(receiver.rx.confirm(next.start, next.number));
    let RxVerdict::Absorb { from, framer } = receiver.packet(segment(1500, 2500)) else {
        panic!("a record begins there");
    };
    assert_eq!((from, framer.number()), (500, next.number));
    // In order, there is nothing to hint at.
    let later = receiver.stream.records[5];
    assert!(!receiver.rx.confirm(later.start, later.number));
    assert!(matches!(
        receiver.packet(segment(2500, 9000)),
        RxVerdict::Decrypt(_)
    ));
}

/// A forged packet can make the device lose its place, for a while.
#[test]
fn forged_packets() {
    let mut receiver = plain(400, 971);
    receiver.packet(segment(0, 1000));
    // In order, with content that does not verify: the genuine packet is from before then.
    receiver.packet_with(1000, &[0x17, 3, 3, 0, 40]);
    for from in [1000, 2000] {
        receiver.packet(segment(from, from + 1000));
    }
    // Far away, and a header that never leads anywhere.
    for from in [100_000, 200_000, 390_000] {
        receiver.packet_with(from, &[23, 3, 3, 0x40, 0]);
        receiver.packet_with(from + 5, &[9; 1000]);
    }
    let before = receiver.decrypted;
    for from in (3000..400_000).step_by(1000) {
        receiver.packet(segment(from, from + 1000));
    }
    assert_eq!(receiver.rx.state(), RxState::Device);
    assert!(
        receiver.decrypted - before > 50,
        "{:?}",
        receiver.rx.counters()
    );
}

/// A header over the border of two packets is found if they follow one another.
#[test]
fn a_search_over_borders() {
    let header = [23, 3, 3, 0, 40, 7];
    for cut in 1..5 {
        for (gap, found) in [(0, true), (1, false), (100_000, false)] {
            let mut rx = Rx::new(Protocol::Tls12Gcm, 0, 0);
            rx.forget();
            rx.packet(u32::MAX - 1, &header[..cut]);
            assert_eq!(rx.request(), None);
            let second = (u32::MAX - 1).wrapping_add(cut as u32 + gap);
            rx.packet(second, &header[cut..]);
            assert_eq!(rx.request(), found.then_some(u32::MAX - 1), "{cut} {gap}");
        }
    }
    // In pieces of one byte, behind what only begins like one.
    let mut rx = Rx::new(Protocol::Tls12Gcm, 0, 0);
    rx.forget();
    let bytes = [23, 3, 23, 3, 3, 0xff, 0xff, 23, 3, 3, 0, 40, 7];
    for (seq, byte) in bytes.iter().enumerate() {
        rx.packet(seq as u32, &[*byte]);
    }
    assert_eq!(rx.request(), Some(7));
}

/// Nobody answers at all: the records are given up in the end, and the search begins anew.
#[test]
fn no_answer_for_ever() {
    let mut receiver = plain(40_000, 1);
    receiver.answers = false;
    receiver.rx.forget();
    let end = receiver.stream.wire.len();
    for from in (0..end).step_by(3000) {
        let to = (from + 3000).min(end);
        receiver
            .rx
            .packet(receiver.stream.seq(from), &receiver.stream.wire[from..to]);
    }
    assert_eq!(receiver.rx.state(), RxState::Tracking);
    assert_eq!(receiver.rx.counters().candidates, 2);
    assert_eq!(receiver.rx.counters().refused, 1);
    let record = (receiver.rx.request().unwrap().wrapping_sub(5000)) / 30;
    // Asked about the 8th, 64th, 512th and 4096th record behind the one where it began anew.
    assert_eq!(record, 32_768 + 4096);
}
