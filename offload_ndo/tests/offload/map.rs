// SPDX-License-Identifier: GPL-2.0
//! The map against a list.

use offload_model::NaiveMap;
use offload_ndo::{InsertError, Lookup, Map, Record};
use proptest::prelude::*;

/// One thing that happens to both.
#[derive(Clone, Debug)]
enum Op {
    Insert {
        gap: u64,
        len: u16,
    },
    Acknowledge {
        part: u64,
    },
    Lookup {
        part: u64,
    },
    /// Lookups in the order of the stream.
    Walk {
        part: u64,
        step: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let gap = prop_oneof![9 => Just(0u64), 1 => 1u64..5000];
    let len = prop_oneof![6 => 22u16..60, 2 => 1u16..16413, 2 => Just(16413u16), 1 => Just(1u16)];
    prop_oneof![
        4 => (gap, len).prop_map(|(gap, len)| Op::Insert { gap, len }),
        1 => (0u64..1400).prop_map(|part| Op::Acknowledge { part }),
        3 => (0u64..1200).prop_map(|part| Op::Lookup { part }),
        2 => (0u64..1200, 1u64..80).prop_map(|(part, step)| Op::Walk { part, step }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn same_as_a_list(
        start in prop_oneof![any::<u32>(), (0u32..200_000).prop_map(u32::wrapping_neg)],
        capacity in prop_oneof![0usize..8, Just(200usize)],
        ops in proptest::collection::vec(op(), 1..200),
    ) {
        // Indices are 64-bit sequence numbers, far from 0.
        let base = (1 << 40) + u64::from(start);
        let mut naive = NaiveMap::new(base);
        let mut map = Map::new(vec![Record::default(); capacity], start);
        let mut number = u64::MAX - 3;
        for op in ops {
            let from = naive.acknowledged();
            let at = |part: u64| from + naive.end().saturating_sub(from) * part / 1000;
            match op {
                Op::Insert { gap, len } => {
                    let at = naive.end() + gap;
                    let record = Record { start: at as u32, len, kind: 23, number };
                    if naive.len() == capacity && at + u64::from(len) > from {
                        prop_assert_eq!(map.insert(record), Err(InsertError::Full));
                    } else {
                        prop_assert_eq!(map.insert(record), Ok(()));
                        naive.insert(at, record);
                        number = number.wrapping_add(1);
                    }
                }
                Op::Acknowledge { part } => {
                    let to = at(part);
                    prop_assert_eq!(map.acknowledge(to as u32), naive.acknowledge(to));
                    // An older one comes late.
                    prop_assert_eq!(map.acknowledge(from as u32), 0);
                }
                Op::Lookup { part } => {
                    let byte = at(part);
                    prop_assert_eq!(map.lookup(byte as u32), naive.lookup(byte));
                }
                Op::Walk { part, step } => {
                    for byte in (at(part)..).step_by(step as usize).take(10) {
                        prop_assert_eq!(map.lookup(byte as u32), naive.lookup(byte));
                    }
                }
            }
            prop_assert_eq!(map.len(), naive.len());
            prop_assert_eq!(map.end(), naive.end() as u32);
            prop_assert_eq!(map.unacknowledged(), naive.acknowledged() as u32);
        }
        // The borders of every record, and what is around.
        let records: Vec<Record> = map.iter().collect();
        for record in records {
            for seq in [record.start, record.end()] {
                for seq in [seq.wrapping_sub(1), seq] {
                    let byte = base.wrapping_add_signed(i64::from(seq.wrapping_sub(start) as i32));
                    prop_assert_eq!(map.lookup(seq), naive.lookup(byte));
                }
            }
        }
        for seq in [start.wrapping_sub(1), start, map.end().wrapping_sub(1), map.end()] {
            let byte = base.wrapping_add_signed(i64::from(seq.wrapping_sub(start) as i32));
            prop_assert_eq!(map.lookup(seq), naive.lookup(byte));
        }
    }
}

#[test]
fn refuses_what_has_no_order() {
    let mut map = Map::new(vec![Record::default(); 4], 100);
    let record = |start, len| Record {
        start,
        len,
        kind: 23,
        number: 7,
    };
    assert_eq!(map.insert(record(100, 0)), Err(InsertError::Empty));
    assert_eq!(map.insert(record(99, 10)), Err(InsertError::Overlap));
    assert_eq!(map.insert(record(100, 10)), Ok(()));
    assert_eq!(map.insert(record(109, 10)), Err(InsertError::Overlap));
    assert_eq!(
        map.insert(record(100 + (1 << 31) - 10, 10)),
        Err(InsertError::TooFar)
    );
    assert_eq!(map.insert(record(100 + (1 << 31) - 20, 19)), Ok(()));
    assert_eq!(map.insert(record(200, 10)), Err(InsertError::Overlap));
    assert!(!map.pass_over(100 + (1 << 31)));
    assert_eq!(map.len(), 2);
}

/// So much is acknowledged without a record in the map that sequence numbers come round.
#[test]
fn nothing_is_inserted_for_long() {
    let mut map = Map::new(vec![Record::default(); 4], 0);
    for turn in 1..12u32 {
        let seq = turn.wrapping_mul(1 << 30);
        assert_eq!(map.acknowledge(seq), 0);
        assert_eq!(map.lookup(seq.wrapping_sub(1)), Lookup::Acknowledged);
        assert_eq!(map.lookup(seq), Lookup::NotSent);
        assert_eq!(map.end(), seq);
    }
    let record = Record {
        start: map.end(),
        len: 100,
        kind: 23,
        number: 1,
    };
    assert_eq!(map.insert(record), Ok(()));
    assert_eq!(
        map.lookup(record.start),
        Lookup::Found { record, offset: 0 }
    );
    // A record that the acknowledgement is in the middle of may still come.
    map.acknowledge(record.end() + 50);
    let record = Record {
        start: record.end(),
        ..record
    };
    assert_eq!(map.insert(record), Ok(()));
    assert_eq!(
        map.lookup(record.start + 50),
        Lookup::Found { record, offset: 50 }
    );
}

/// Acknowledgements release all records of a full window at once, and the ring goes round.
#[test]
fn goes_round_for_ever() {
    let mut map = Map::new(vec![Record::default(); 7], u32::MAX - 50);
    let mut seq = u32::MAX - 50;
    for number in 0..10_000u64 {
        let record = Record {
            start: seq,
            len: 30,
            kind: 23,
            number,
        };
        map.insert(record).unwrap();
        seq = record.end();
        assert_eq!(
            map.lookup(seq.wrapping_sub(1)),
            Lookup::Found { record, offset: 29 }
        );
        if number % 7 == 6 {
            assert_eq!(map.acknowledge(seq.wrapping_sub(1)), 6);
            assert_eq!(map.acknowledge(seq), 1);
            assert!(map.is_empty());
            assert_eq!(map.lookup(seq.wrapping_sub(1)), Lookup::Acknowledged);
            assert_eq!(map.lookup(seq), Lookup::NotSent);
        }
    }
}
