// SPDX-License-Identifier: GPL-2.0
//! The map of records beside a list in 64-bit sequence numbers, in a stream that wraps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offload_model::NaiveMap;
use offload_ndo::{InsertError, Map, Record};

fuzz_target!(|data: &[u8]| {
    let [a, b, c, d, capacity, ops @ ..] = data else {
        return;
    };
    let start = u32::from_be_bytes([*a, *b, *c, *d]);
    let base = (1 << 40) + u64::from(start);
    let capacity = usize::from(*capacity);
    let mut naive = NaiveMap::new(base);
    let mut map = Map::new(vec![Record::default(); capacity], start);
    for (number, op) in ops.chunks_exact(4).take(2000).enumerate() {
        let [kind, x, y, z] = *op else { return };
        let value = u64::from(u16::from_be_bytes([x, y]));
        let from = naive.acknowledged();
        // Anywhere in flight, or a little before or behind it.
        let flight = naive.end().saturating_sub(from);
        let at = from + flight * value / 0xf000 + u64::from(z) - 8;
        match kind % 4 {
            0 | 1 => {
                let len = (value % 16413 + 1) as u16;
                let at = naive.end() + u64::from(z).saturating_sub(200) * 900;
                let record = Record {
                    start: at as u32,
                    len,
                    kind,
                    number: number as u64,
                };
                if naive.len() == capacity && at + u64::from(len) > from {
                    assert_eq!(map.insert(record), Err(InsertError::Full));
                } else {
                    assert_eq!(map.insert(record), Ok(()));
                    naive.insert(at, record);
                }
            }
            2 => {
                let gone = if at > from { naive.acknowledge(at) } else { 0 };
                assert_eq!(map.acknowledge(at as u32), gone);
            }
            _ => {
                for at in (at..).step_by(usize::from(kind)).take(4) {
                    assert_eq!(map.lookup(at as u32), naive.lookup(at));
                }
            }
        }
        assert_eq!(map.len(), naive.len());
        assert_eq!(map.end(), naive.end() as u32);
    }
    let records: Vec<Record> = map.iter().collect();
    for record in records {
        // The number that is not behind the end and has these lower bits.
        let back = (naive.end() as u32).wrapping_sub(record.start);
        let near = naive.end() - u64::from(back);
        assert_eq!(map.lookup(record.start), naive.lookup(near));
    }
});
