// SPDX-License-Identifier: GPL-2.0
//! The transmit side: what goes on the wire is right, whatever is lost and sent again.

use offload_model::{Sender, Stream};
use offload_ndo::{DropReason, Policy, Protocol, Record, Tx, TxState, TxVerdict};
use proptest::prelude::*;

use crate::{stream, stream_of};

/// A policy under which nothing is ever too expensive.
const GENEROUS: Policy = Policy {
    delay: 0,
    credit: u32::MAX,
    backoff: 0,
};

/// One thing that happens. Parts are of what is sent and not acknowledged, in thousandths.
#[derive(Clone, Debug)]
enum Op {
    Send(usize),
    Lose(usize),
    Again { part: usize, len: usize },
    Acknowledge { part: usize },
    Fail,
    Forget,
    Refuse,
}

fn packet_len() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..20, 1usize..1500, Just(1448usize), 1usize..65000]
}

fn op(hard: bool) -> impl Strategy<Value = Op> {
    let rare = u32::from(hard);
    prop_oneof![
        10 => packet_len().prop_map(Op::Send),
        4 => (0usize..1000, packet_len()).prop_map(|(part, len)| Op::Again { part, len }),
        3 => (0usize..1001).prop_map(|part| Op::Acknowledge { part }),
        rare => packet_len().prop_map(Op::Lose),
        rare => Just(Op::Fail),
        rare => Just(Op::Forget),
        rare => Just(Op::Refuse),
    ]
}

fn apply(sender: &mut Sender, op: &Op) -> Option<TxVerdict> {
    let flight = sender.sent - sender.acknowledged;
    match *op {
        Op::Send(len) => return sender.send(len),
        Op::Lose(len) => sender.lose(len),
        Op::Again { part, len } => {
            let from = sender.acknowledged + flight * part / 1000;
            let mut end = (from + len).min(sender.sent);
            let start = sender.stream.index(sender.stream.start);
            if from < start {
                end = end.min(start);
            }
            if from < end {
                return Some(sender.packet(from, end));
            }
        }
        Op::Acknowledge { part } => sender.acknowledge(sender.acknowledged + flight * part / 1000),
        Op::Fail => sender.fail(),
        Op::Forget => sender.tx.forget(),
        Op::Refuse => sender.refuse(),
    }
    None
}

/// When nothing is lost any more, each packet that software encrypts either asks, or is before a
/// place that the stack told.
fn recovers(sender: &mut Sender) {
    sender.acknowledge(sender.sent);
    let mut asked = 0;
    while sender.sent < sender.stream.plain.len() {
        let last = sender.send(1000);
        sender.acknowledge(sender.sent);
        match sender.tx.state() {
            TxState::Device => {}
            TxState::Recovering(at) => assert!(sender.stream.index(at) >= sender.sent),
            TxState::Waiting if sender.has_more() => {
                asked += 1;
                assert!(matches!(
                    last,
                    Some(TxVerdict::Software { request: Some(_) })
                ));
            }
            TxState::Waiting => {}
            state => assert_eq!(last, Some(TxVerdict::Plain), "{state:?}"),
        }
    }
    assert!(asked <= 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Losses on the network alone never make software encrypt anything.
    #[test]
    fn the_device_does_it_all(
        stream in stream(30),
        ops in proptest::collection::vec(op(false), 1..120),
    ) {
        let mut sender = Sender::new(stream, 64, GENEROUS);
        for op in &ops {
            let verdict = apply(&mut sender, op);
            let software = matches!(verdict, Some(TxVerdict::Software { .. }));
            prop_assert!(!software, "{op:?}");
        }
    }

    /// Everything may go wrong, memory is short, and the device is asked for late and given up
    /// early: what goes on the wire is right.
    #[test]
    fn what_goes_wrong_does_not_show(
        stream in stream(30),
        ops in proptest::collection::vec(op(true), 1..120),
        capacity in prop_oneof![0usize..4, Just(64usize)],
        delay in prop_oneof![Just(0u32), 1u32..5000],
        credit in prop_oneof![0u32..2000, Just(u32::MAX)],
        backoff in 0u32..3000,
    ) {
        let mut sender = Sender::new(stream, capacity, Policy { delay, credit, backoff });
        for op in &ops {
            apply(&mut sender, op);
        }
    }

    /// After anything went wrong the device gets the connection back.
    #[test]
    fn the_device_comes_back(
        stream in stream(30),
        ops in proptest::collection::vec(op(true), 1..60),
    ) {
        let mut sender = Sender::new(stream, 64, GENEROUS);
        for op in &ops {
            apply(&mut sender, op);
        }
        recovers(&mut sender);
    }
}

/// Three records of 100 bytes each from sequence number 1000 on, after 10 bytes of a handshake.
fn three() -> Stream {
    stream_of(Protocol::Tls12Gcm, 990, 10, 5, &[71, 71, 71], |r, at| {
        (r + at) as u8
    })
}

/// Index of the byte of `three()` with this sequence number, counted from 1000 at the first record.
fn at(seq: usize) -> usize {
    seq - 990
}

/// The paper's figures 3 and 4: a record spans three packets, the first of which was acknowledged
/// and the second lost. The record must still be known as a whole, since the device needs what is
/// before the lost packet; then transmission goes on where it was.
#[test]
fn retransmit_in_middle_of_partially_acked_record() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    assert_eq!(sender.packet(0, 10), TxVerdict::Plain);
    sender.sent = 10;
    for (len, number, offset) in [(30, 5, 0), (40, 5, 30), (60, 5, 70)] {
        assert_eq!(sender.send(len), Some(TxVerdict::Fast { number, offset }));
    }
    // The first packet is acknowledged, the record is not.
    sender.acknowledge(at(1030));
    assert_eq!(sender.tx.map().len(), 2);
    let TxVerdict::Rebuild(rebuild) = sender.packet(at(1030), at(1070)) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.start, rebuild.record.number), (1000, 5));
    assert_eq!(rebuild.prefix, 30);
    // A part of a packet that was sent: TCP cuts anew when it sends again.
    let TxVerdict::Rebuild(rebuild) = sender.packet(at(1069), at(1110)) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.number, rebuild.prefix), (5, 69));
    // New data: the device stands at 1110, the stream at 1130.
    let Some(TxVerdict::Rebuild(rebuild)) = sender.send(20) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.start, rebuild.record.number), (1100, 6));
    assert_eq!(rebuild.prefix, 30);
    let fast = TxVerdict::Fast {
        number: 6,
        offset: 50,
    };
    assert_eq!(sender.send(20), Some(fast));
    // All of the record but its last byte, then that byte.
    sender.acknowledge(at(1099));
    let TxVerdict::Rebuild(rebuild) = sender.packet(at(1099), at(1100)) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.number, rebuild.prefix), (5, 99));
    sender.acknowledge(at(1100));
    assert!(sender.tx.map().iter().all(|record| record.start == 1100));
    assert_eq!(
        sender.packet(at(1099), at(1100)),
        TxVerdict::Drop(DropReason::Acknowledged)
    );
    assert_eq!(sender.tx.counters().software, 0);
}

/// A header over two packets, each of which is sent again.
#[test]
fn retransmit_in_middle_of_header() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.sent = 10;
    assert_eq!(
        sender.send(103),
        Some(TxVerdict::Fast {
            number: 5,
            offset: 0
        })
    );
    // The header is not known yet: its record is.
    let TxVerdict::Rebuild(rebuild) = sender.packet(at(1102), at(1103)) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.start, rebuild.record.number), (1100, 6));
    assert_eq!(rebuild.prefix, 2);
    assert_eq!(
        sender.send(50),
        Some(TxVerdict::Fast {
            number: 6,
            offset: 3
        })
    );
    let TxVerdict::Rebuild(rebuild) = sender.packet(at(1103), at(1153)) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.number, rebuild.prefix), (6, 3));
    assert_eq!(
        sender.send(50),
        Some(TxVerdict::Fast {
            number: 6,
            offset: 53
        })
    );
}

#[test]
fn what_is_from_before_the_offload() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    assert_eq!(sender.packet(3, 3), TxVerdict::Plain);
    assert_eq!(sender.packet(3, 10), TxVerdict::Plain);
    assert_eq!(sender.packet(3, 11), TxVerdict::Drop(DropReason::Straddles));
    sender.sent = 10;
    assert_eq!(
        sender.send(50),
        Some(TxVerdict::Fast {
            number: 5,
            offset: 0
        })
    );
    // Retransmissions of the handshake's last bytes do not touch the device.
    assert_eq!(sender.packet(0, 10), TxVerdict::Plain);
    assert_eq!(
        sender.send(50),
        Some(TxVerdict::Fast {
            number: 5,
            offset: 50
        })
    );
    sender.acknowledge(at(1001));
    assert_eq!(
        sender.packet(0, 10),
        TxVerdict::Drop(DropReason::Acknowledged)
    );
}

/// A packet is lost in front of the driver, so that the device sees what is behind it first.
#[test]
fn a_gap_asks_once_and_recovers_at_the_next_record() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.sent = 10;
    sender.send(50);
    sender.lose(60);
    // In the second record, whose header was in the packet that is gone.
    let Some(TxVerdict::Software {
        request: Some(request),
    }) = sender.send(30)
    else {
        panic!("no request");
    };
    assert_eq!((request.got, request.expected), (1110, 1050));
    assert_eq!(sender.tx.state(), TxState::Waiting);
    sender.push();
    assert_eq!(sender.tx.state(), TxState::Recovering(1200));
    // The rest of the second record, and the first again.
    assert_eq!(
        sender.send(1000),
        Some(TxVerdict::Software { request: None })
    );
    assert_eq!(
        sender.packet(at(1000), at(1010)),
        TxVerdict::Software { request: None }
    );
    assert_eq!(sender.sent, at(1200));
    assert_eq!(
        sender.send(40),
        Some(TxVerdict::Fast {
            number: 7,
            offset: 0
        })
    );
    assert_eq!(sender.tx.state(), TxState::Device);
    // The first record is known, the second is not.
    assert!(matches!(
        sender.packet(at(1050), at(1060)),
        TxVerdict::Rebuild(_)
    ));
    assert_eq!(
        sender.packet(at(1120), at(1130)),
        TxVerdict::Software { request: None }
    );
    assert!(matches!(sender.send(40), Some(TxVerdict::Rebuild(_))));
    assert_eq!(sender.tx.counters().requests, 1);
    assert_eq!(sender.tx.counters().recovered, 1);
}

/// The first packet at the place that the stack told is lost: the device asks anew.
#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.sent = 10;
    sender.tx.forget();
    assert!(matches!(
        sender.send(100),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    sender.lose(50);
    let Some(TxVerdict::Software {
        request: Some(request),
    }) = sender.send(30)
    else {
        panic!("no request");
    };
    assert_eq!((request.got, request.expected), (1150, 1100));
    assert_eq!(sender.send(20), Some(TxVerdict::Software { request: None }));
    assert_eq!(
        sender.send(20),
        Some(TxVerdict::Fast {
            number: 7,
            offset: 0
        })
    );
}

/// The device is not asked for until the connection is worth it, and given back when it does
/// nothing but rebuild.
#[test]
fn policy() {
    let policy = Policy {
        delay: 120,
        credit: 100,
        backoff: 60,
    };
    let lens = [71; 10];
    let stream = stream_of(Protocol::Tls12Gcm, 1000, 0, 0, &lens, |r, at| {
        (r + at) as u8
    });
    let mut sender = Sender::new(stream, 20, policy);
    assert_eq!(
        sender.send(100),
        Some(TxVerdict::Software { request: None })
    );
    assert_eq!(sender.tx.state(), TxState::Software(20));
    assert!(matches!(
        sender.send(50),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    sender.send(50);
    assert_eq!(
        sender.send(90),
        Some(TxVerdict::Fast {
            number: 2,
            offset: 0
        })
    );
    // Credit 100: the first goes, the second does not.
    assert!(matches!(sender.packet(280, 285), TxVerdict::Rebuild(_)));
    assert_eq!(
        sender.packet(280, 285),
        TxVerdict::Software { request: None }
    );
    assert_eq!(sender.tx.counters().demoted, 1);
    assert_eq!(sender.tx.state(), TxState::Software(55));
    assert!(matches!(
        sender.send(60),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    sender.send(50);
    assert_eq!(
        sender.send(50),
        Some(TxVerdict::Fast {
            number: 4,
            offset: 0
        })
    );
    assert_eq!(sender.tx.counters().prefix_bytes, 80);
}

/// More records than memory: software does what does not fit, the device goes on afterwards.
#[test]
fn memory_is_bounded() {
    let lens = [71; 10];
    let stream = stream_of(Protocol::Tls12Gcm, 1000, 0, 0, &lens, |r, at| {
        (r + at) as u8
    });
    let mut sender = Sender::new(stream, 2, GENEROUS);
    assert!(matches!(sender.send(200), Some(TxVerdict::Fast { .. })));
    assert!(matches!(
        sender.send(100),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    assert!(matches!(
        sender.send(100),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    assert_eq!(sender.tx.map().len(), 2);
    assert!(matches!(
        sender.packet(150, 160),
        TxVerdict::Software { .. }
    ));
    sender.acknowledge(400);
    assert_eq!(
        sender.send(100),
        Some(TxVerdict::Fast {
            number: 4,
            offset: 0
        })
    );
}

/// What software tells of records ahead of the packets makes up for packets that are lost.
#[test]
fn announced_records_need_no_request() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.sent = 10;
    assert_eq!(sender.tx.unknown(), 1000);
    for _ in 0..3 {
        sender.tx.announce(100, 23).unwrap();
    }
    assert_eq!(sender.tx.unknown(), 1300);
    // Then nothing of the payload is looked at.
    let fast = TxVerdict::Fast {
        number: 5,
        offset: 0,
    };
    assert_eq!(sender.tx.segment(1000, 0), TxVerdict::Plain);
    assert_eq!(sender.tx.segment(1000, 20), fast);
    assert_eq!(
        sender.tx.segment(1020, 5),
        TxVerdict::Fast {
            number: 5,
            offset: 20
        }
    );
    assert!(matches!(sender.tx.segment(1000, 25), TxVerdict::Rebuild(_)));
    sender.sent = at(1000);
    assert!(matches!(sender.send(50), Some(TxVerdict::Rebuild(_))));
    sender.lose(60);
    let Some(TxVerdict::Rebuild(rebuild)) = sender.send(30) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.number, rebuild.prefix), (6, 10));
    assert!(matches!(
        sender.packet(at(1050), at(1110)),
        TxVerdict::Rebuild(_)
    ));
    // Behind what was announced.
    let TxVerdict::Software { request: Some(_) } = sender.tx.segment(1290, 11) else {
        panic!("that is not known");
    };
}

/// Records went out and were acknowledged without the driver, as over another device.
#[test]
fn announced_records_that_did_not_come_by() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.tx.acknowledge(1150);
    sender.tx.announce(100, 23).unwrap();
    sender.tx.announce(100, 23).unwrap();
    assert_eq!(sender.tx.map().len(), 1);
    let TxVerdict::Rebuild(rebuild) = sender.tx.segment(1150, 10) else {
        panic!("the record is not known");
    };
    assert_eq!((rebuild.record.start, rebuild.record.number), (1100, 6));
    assert_eq!(rebuild.prefix, 50);
    // Without that, nothing is known.
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.tx.acknowledge(1150);
    assert!(matches!(
        sender.packet(at(1150), at(1160)),
        TxVerdict::Software { request: Some(_) }
    ));
}

/// Software encrypted so much that sequence numbers came round, and nobody told of its records.
#[test]
fn nothing_comes_by_for_long() {
    let memory = vec![Record::default(); 4];
    let mut tx = Tx::new(Protocol::Tls12Gcm, memory, 0, 0, GENEROUS);
    for turn in 1..=7u32 {
        tx.acknowledge(turn.wrapping_mul(1 << 30));
    }
    let seq = tx.map().unacknowledged();
    let verdict = tx.packet(seq, &[0; 50]);
    assert!(matches!(verdict, TxVerdict::Software { request: Some(_) }));
    tx.resync(seq.wrapping_add(50), 9);
    let verdict = tx.packet(seq.wrapping_add(50), &[23, 3, 3, 0, 30, 0]);
    assert_eq!(
        verdict,
        TxVerdict::Fast {
            number: 9,
            offset: 0
        }
    );
}

/// The stack's word on a record's number is the last.
#[test]
fn the_stack_counts() {
    let mut sender = Sender::new(three(), 8, GENEROUS);
    sender.tx.resync(1000, 77);
    assert_eq!(sender.tx.segment(900, 10), TxVerdict::Plain);
    let stream = sender.stream.clone();
    let verdict = sender.tx.packet(1000, &stream.plain[10..50]);
    assert_eq!(
        verdict,
        TxVerdict::Fast {
            number: 77,
            offset: 0
        }
    );
}

/// A device that has no room for the connection is asked for again, but not at once.
#[test]
fn a_device_that_refuses() {
    let policy = Policy {
        delay: 0,
        credit: 1000,
        backoff: 60,
    };
    let mut sender = Sender::new(three(), 8, policy);
    sender.sent = 10;
    sender.tx.refuse();
    assert_eq!(sender.send(50), Some(TxVerdict::Software { request: None }));
    assert!(matches!(
        sender.send(40),
        Some(TxVerdict::Software { request: Some(_) })
    ));
    assert_eq!(
        sender.send(110),
        Some(TxVerdict::Software { request: None })
    );
    assert_eq!(
        sender.send(100),
        Some(TxVerdict::Fast {
            number: 6,
            offset: 0
        })
    );
    assert_eq!(sender.tx.counters().refused, 1);
}
