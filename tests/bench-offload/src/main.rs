// SPDX-License-Identifier: GPL-2.0
//! The map of records beside the kernel's list, in one process, a sample of each in turn.

use std::hint::black_box;
use std::time::Instant;

use offload_ndo::{Lookup, Map, Policy, Protocol, Record, Rx, Tx};

#[repr(C)]
struct RawList {
    _private: [u8; 0],
}

extern "C" {
    fn list_new(first_number: u64) -> *mut RawList;
    fn list_insert(list: *mut RawList, start: u32, len: i32);
    fn list_acknowledge(list: *mut RawList, seq: u32);
    fn list_lookup(list: *mut RawList, seq: u32, start: *mut u32, number: *mut u64) -> bool;
    fn list_forget_hint(list: *mut RawList);
    fn list_free(list: *mut RawList);
}

/// The list of src/list.c.
struct List(*mut RawList);

impl List {
    fn new() -> Self {
        List(unsafe { list_new(0) })
    }
    fn insert(&mut self, record: Record) {
        unsafe { list_insert(self.0, record.start, i32::from(record.len)) }
    }
    fn acknowledge(&mut self, seq: u32) {
        unsafe { list_acknowledge(self.0, seq) }
    }
    fn forget_hint(&mut self) {
        unsafe { list_forget_hint(self.0) }
    }
    fn lookup(&mut self, seq: u32) -> (u32, u64) {
        let (mut start, mut number) = (0, 0);
        let found = unsafe { list_lookup(self.0, seq, &mut start, &mut number) };
        assert!(found);
        (start, number)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        unsafe { list_free(self.0) }
    }
}

/// Calls as expensive as those of the list.
mod map {
    use super::*;

    #[inline(never)]
    pub fn lookup(map: &mut Map<Vec<Record>>, seq: u32) -> (u32, u64) {
        match map.lookup(seq) {
            Lookup::Found { record, .. } => (record.start, record.number),
            _ => panic!("not found"),
        }
    }
    #[inline(never)]
    pub fn insert(map: &mut Map<Vec<Record>>, record: Record) {
        map.insert(record).unwrap();
    }
    #[inline(never)]
    pub fn acknowledge(map: &mut Map<Vec<Record>>, seq: u32) {
        map.acknowledge(seq);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

/// Records that follow one another from a sequence number on that wraps soon.
fn records(count: usize, mixed: bool, random: &mut Random) -> Vec<Record> {
    let mut start = 50_000u32.wrapping_neg();
    (0..count as u64)
        .map(|number| {
            let len = match mixed {
                false => 16413,
                true => 30 + random.below(16383) as u16,
            };
            let record = Record {
                start,
                len,
                kind: 23,
                number,
            };
            start = record.end();
            record
        })
        .collect()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Nanoseconds for each of `count` operations.
fn time(count: usize, run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Sequence numbers to look up, in the order in which a driver does.
fn queries(pattern: &str, records: &[Record], random: &mut Random, count: usize) -> Vec<u32> {
    let inside = |r: &Record, random: &mut Random| {
        r.start
            .wrapping_add(random.below(usize::from(r.len)) as u32)
    };
    let last = records[records.len() - 1];
    (0..count)
        .map(|i| match pattern {
            // Retransmissions of anything in flight.
            "random" => inside(&records[random.below(records.len())], random),
            // A retransmission, then new data, for which the device must go back.
            "and_tail" if i % 2 == 0 => inside(&records[random.below(records.len())], random),
            "and_tail" => inside(&last, random),
            // Everything in order, from the first on, with a hint that is not behind it: the best
            // that can happen to the list.
            "ascending" => inside(&records[i * records.len() / count], random),
            _ => inside(&records[0], random),
        })
        .collect()
}

const SAMPLES: usize = 41;

/// What a packet costs beside its cryptography: packets of 1448 bytes, records of 16 KiB, no more
/// than 4 MB in flight.
fn packets() {
    const LEN: usize = 1448;
    const COUNT: usize = 20_000;
    let protocol = Protocol::Tls12Gcm;
    let header = [23, 3, 3, 0x40, 0x18];
    let payload: Vec<u8> = (0..COUNT * LEN)
        .map(|at| header.get(at % 16413).copied().unwrap_or(0x55))
        .collect();
    let seq = |packet: usize| (packet * LEN) as u32;
    let each = |run: &mut dyn FnMut(usize, &[u8])| {
        time(COUNT, || {
            for (packet, bytes) in payload.chunks_exact(LEN).enumerate() {
                run(packet, black_box(bytes));
            }
        })
    };
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..SAMPLES {
        let memory = || vec![Record::default(); 1024];
        let policy = Policy {
            credit: u32::MAX,
            ..Policy::default()
        };
        let mut tx = Tx::new(protocol, memory(), 0, 0, policy);
        times[0].push(each(&mut |packet, bytes| {
            tx.acknowledge(seq(packet.saturating_sub(2900)));
            black_box(tx.packet(seq(packet), bytes));
        }));
        let mut tx = Tx::new(protocol, memory(), 0, 0, policy);
        tx.packet(0, &payload[..4_000_000]);
        times[1].push(each(&mut |packet, bytes| {
            // Every packet is one that the device does not expect.
            black_box(tx.packet(seq(packet * 7 % 2760), bytes));
        }));
        let mut rx = Rx::new(protocol, 0, 0);
        times[2].push(each(&mut |packet, bytes| {
            black_box(rx.packet(seq(packet), bytes));
        }));
        let mut rx = Rx::new(protocol, 0, 0);
        times[3].push(each(&mut |packet, bytes| {
            rx.forget();
            black_box(rx.packet(seq(packet), bytes));
        }));
    }
    let [fast, rebuild, decrypt, search] = times.each_mut().map(|times| median(times));
    println!(
        "ns for a packet of {LEN} bytes: Tx in order {fast:.1}, Tx out of order {rebuild:.1},"
    );
    println!("    Rx in order {decrypt:.1}, Rx searching {search:.1}");
}

fn main() {
    let mut random = Random(1);
    let mut ratios = Vec::new();
    println!("ns for one operation, medians of {SAMPLES} samples of each in turn");
    println!("| records | lengths | operation | list | map | ratio |");
    println!("|---|---|---|---|---|---|");
    let mut report = |n: usize, lens: &str, what: &str, a: &mut [f64], b: &mut [f64]| {
        let (list, map) = (median(a), median(b));
        println!(
            "| {n} | {lens} | {what} | {list:.1} | {map:.1} | {:.2} |",
            list / map
        );
        ratios.push((what.to_string(), lens.to_string(), n, list / map));
    };
    for n in [10, 1_000, 100_000] {
        for mixed in [false, true] {
            let lens = if mixed { "mixed" } else { "equal" };
            let records = records(n, mixed, &mut random);
            let mut list = List::new();
            let mut map = Map::new(vec![Record::default(); n], records[0].start);
            for record in &records {
                list.insert(*record);
                map.insert(*record).unwrap();
            }
            for pattern in ["random", "and_tail", "ascending", "first"] {
                // The list's walk is long; a sample shall not be.
                let count = match (n, pattern) {
                    (100_000, "random" | "and_tail") => 64,
                    _ => 4096,
                };
                let mut times = [Vec::new(), Vec::new()];
                for _ in 0..SAMPLES {
                    let queries = queries(pattern, &records, &mut random, count);
                    for seq in queries.iter().take(4) {
                        assert_eq!(list.lookup(*seq), map::lookup(&mut map, *seq));
                    }
                    list.forget_hint();
                    times[0].push(time(count, || {
                        for seq in &queries {
                            black_box(list.lookup(*seq));
                        }
                    }));
                    times[1].push(time(count, || {
                        for seq in &queries {
                            black_box(map::lookup(&mut map, *seq));
                        }
                    }));
                }
                let [mut a, mut b] = times;
                report(n, lens, &format!("lookup {pattern}"), &mut a, &mut b);
            }
            let mut times: [Vec<f64>; 4] = Default::default();
            for _ in 0..SAMPLES {
                list = List::new();
                map = Map::new(vec![Record::default(); n], records[0].start);
                times[0].push(time(n, || {
                    for record in &records {
                        list.insert(*black_box(record));
                    }
                }));
                times[1].push(time(n, || {
                    for record in &records {
                        map::insert(&mut map, *black_box(record));
                    }
                }));
                times[2].push(time(n, || {
                    for record in &records {
                        list.acknowledge(black_box(record).end());
                    }
                }));
                times[3].push(time(n, || {
                    for record in &records {
                        map::acknowledge(&mut map, black_box(record).end());
                    }
                }));
            }
            let [mut a, mut b, mut c, mut d] = times;
            report(n, lens, "insert", &mut a, &mut b);
            report(n, lens, "release", &mut c, &mut d);
        }
    }
    packets();
    for (what, lens, n, ratio) in &ratios {
        let what = what.replace(' ', "_");
        match (what.as_str(), lens.as_str()) {
            ("lookup_random", "mixed") => println!("offload_lookup_{n}_vs_list={ratio:.2}"),
            ("insert", "mixed") => println!("offload_insert_{n}_vs_list={ratio:.2}"),
            _ => {}
        }
    }
}
