// SPDX-License-Identifier: GPL-2.0
//! Which record a sequence number belongs to, for the records that are not fully acknowledged.
//!
//! A ring in memory of the caller. Records come in at the tail in the order of the stream, leave
//! at the head when their last byte is acknowledged, and are found by a guess and a search around
//! it: at once where records are of one length, in O(log n) steps in any case. What was found last
//! is a hint: it and the next one are looked at first.
//!
//! ```text
//!   start      unacknowledged                               end
//!     │              │                                       │
//! ────┴─────┬────────┼──────────┬─────────┐      ┌───────────┴─────────
//!  released │  first record     │         │ gap  │  last     not sent
//! ──────────┴───────────────────┴─────────┘      └─────────────────────
//! ```
//!
//! # Invariants
//!
//! * Records do not overlap, and each starts at or behind the end of the one before.
//! * The end of the first record is behind `unacknowledged`: a record that is acknowledged but
//!   for its last byte is still there, because a retransmission of that byte needs all of it.
//! * All sequence numbers of the records are within 2^31 of the first, so that they have an order.
//! * The hint is the place in the ring of one of the records, if there is any.
//! * Bytes of the stream between two records, or between the last and `end`, are a gap: they have
//!   been sent, but no record is known there.

use core::ops::DerefMut;

use crate::seq::{before, distance, within};
use crate::Record;

/// So many records are looked at all at once.
const FEW: usize = 16;
/// Acknowledgements of more records than this are searched for.
const RELEASE_ONE_BY_ONE: usize = 8;

/// Where a sequence number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// In a record, which need not be unacknowledged as a whole.
    Found {
        /// The record.
        record: Record,
        /// Where in the record.
        offset: u32,
    },
    /// Before the first byte that was offloaded.
    BeforeOffload,
    /// In a record that is gone because all of it has been acknowledged.
    Acknowledged,
    /// Behind the last record.
    NotSent,
    /// In a part of the stream of which no record was inserted.
    Gap,
}

/// Why a record was not inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// All memory is in use.
    Full,
    /// The record begins before the end of the map.
    Overlap,
    /// The record has no bytes.
    Empty,
    /// The record is too far from the first for their sequence numbers to have an order.
    TooFar,
}

/// The records in flight.
pub struct Map<S> {
    ring: S,
    head: usize,
    len: usize,
    hint: usize,
    start: u32,
    unacknowledged: u32,
    end: u32,
    /// Whether anything from `start` on has been acknowledged.
    begun: bool,
}

impl<S: DerefMut<Target = [Record]>> Map<S> {
    /// No records, in a stream that is offloaded from `start` on. As many records fit as `ring`
    /// has; their contents do not matter.
    pub fn new(ring: S, start: u32) -> Self {
        Map {
            ring,
            head: 0,
            len: 0,
            hint: 0,
            start,
            unacknowledged: start,
            end: start,
            begun: false,
        }
    }

    /// Number of records.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no record.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many records fit.
    pub fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// Where the offload began.
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// The first byte that was not acknowledged.
    pub const fn unacknowledged(&self) -> u32 {
        self.unacknowledged
    }

    /// Behind the last record: where the next one is expected.
    pub const fn end(&self) -> u32 {
        self.end
    }

    /// The records in the order of the stream.
    pub fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        (0..self.len).map(|index| self.at(index))
    }

    /// Adds a record at the tail. It may leave a gap behind the last one. A record that is
    /// acknowledged already takes no room.
    pub fn insert(&mut self, record: Record) -> Result<(), InsertError> {
        if record.len == 0 {
            return Err(InsertError::Empty);
        }
        if before(record.start, self.end) {
            return Err(InsertError::Overlap);
        }
        if !before(self.unacknowledged, record.end()) {
            self.end = record.end();
            return Ok(());
        }
        if distance(self.origin(), record.end()) <= 0 {
            return Err(InsertError::TooFar);
        }
        if self.len >= self.ring.len() {
            return Err(InsertError::Full);
        }
        let slot = self.slot(self.len);
        *self.ring.get_mut(slot).ok_or(InsertError::Full)? = record;
        self.len = self.len.wrapping_add(1);
        self.end = record.end();
        Ok(())
    }

    /// Declares everything before `seq` as sent: what no record was inserted for is a gap. Returns
    /// false, and does nothing, if that much is known already.
    pub fn pass_over(&mut self, seq: u32) -> bool {
        if !before(self.end, seq) || distance(self.origin(), seq) <= 0 {
            return false;
        }
        self.end = seq;
        true
    }

    /// Everything before `seq` is acknowledged. Records whose last byte is go; their number is
    /// returned. Acknowledgements that are older than the last have no effect.
    pub fn acknowledge(&mut self, seq: u32) -> usize {
        if !before(self.unacknowledged, seq) {
            return 0;
        }
        self.unacknowledged = seq;
        self.begun = true;
        // No record that begins farther back has bytes that are not acknowledged.
        if distance(self.end, seq) > i32::from(u16::MAX) {
            self.end = seq;
        }
        let mut gone = 0usize;
        while let Some(first) = self.first() {
            if before(seq, first.end()) {
                break;
            }
            let step = match gone < RELEASE_ONE_BY_ONE {
                true => 1,
                false => {
                    // The record that holds `seq`, or the last that starts before it.
                    let index = self.last_from(first.start, seq);
                    match before(seq, self.at(index).end()) {
                        true => index,
                        false => index.wrapping_add(1),
                    }
                }
            };
            if self.index(self.hint) < step {
                self.hint = self.slot(step);
            }
            self.head = self.slot(step);
            self.len = self.len.saturating_sub(step);
            gone = gone.wrapping_add(step);
        }
        gone
    }

    /// Where a sequence number is.
    #[inline(always)] // Its answer is taken apart at once.
    pub fn lookup(&mut self, seq: u32) -> Lookup {
        match self.in_slot(self.hint, seq) {
            Some(found) if self.len > 0 => found,
            _ => self.lookup_away(seq),
        }
    }

    /// Where a sequence number is that is not in the record of the hint.
    #[inline(never)]
    fn lookup_away(&mut self, seq: u32) -> Lookup {
        if self.len > 0 {
            let last = self.slot(self.len.wrapping_sub(1));
            if self.hint != last {
                let next = self.next_slot(self.hint);
                if let Some(found) = self.in_slot(next, seq) {
                    self.hint = next;
                    return found;
                }
            }
            // What is sent again most is what is waited for.
            if let Some(found) = self.in_slot(self.head, seq) {
                self.hint = self.head;
                return found;
            }
            // New data, which does not lead away from what is being sent again.
            if let Some(found) = self.in_slot(last, seq) {
                return found;
            }
            if let Some(found) = self.search(seq) {
                return found;
            }
        }
        self.lookup_outside(seq)
    }

    /// A sequence number that is in the record in this slot.
    #[inline(always)]
    fn in_slot(&self, slot: usize, seq: u32) -> Option<Lookup> {
        let record = *self.ring.get(slot)?;
        let offset = seq.wrapping_sub(record.start);
        (offset < u32::from(record.len)).then_some(Lookup::Found { record, offset })
    }

    /// A sequence number that is in none of the records that are looked at first.
    fn search(&mut self, seq: u32) -> Option<Lookup> {
        let origin = self.origin();
        if !within(seq, origin, self.end) {
            return None;
        }
        let slot = self.slot(self.last_from(origin, seq));
        let found = self.in_slot(slot, seq)?;
        self.hint = slot;
        Some(found)
    }

    /// Where a sequence number is that is in no record.
    fn lookup_outside(&self, seq: u32) -> Lookup {
        if before(seq, self.unacknowledged) {
            if self.begun {
                Lookup::Acknowledged
            } else {
                Lookup::BeforeOffload
            }
        } else if before(seq, self.end) {
            Lookup::Gap
        } else {
            Lookup::NotSent
        }
    }

    /// What the order of sequence numbers is counted from.
    fn origin(&self) -> u32 {
        self.first().map_or(self.unacknowledged, |r| r.start)
    }

    fn first(&self) -> Option<Record> {
        if self.len == 0 {
            return None;
        }
        self.ring.get(self.head).copied()
    }

    fn slot(&self, index: usize) -> usize {
        let slot = self.head.wrapping_add(index);
        if slot < self.ring.len() {
            slot
        } else {
            slot.wrapping_sub(self.ring.len())
        }
    }

    fn next_slot(&self, slot: usize) -> usize {
        match slot.wrapping_add(1) {
            next if next < self.ring.len() => next,
            _ => 0,
        }
    }

    /// The index of what is in a slot.
    fn index(&self, slot: usize) -> usize {
        match slot >= self.head {
            true => slot.wrapping_sub(self.head),
            false => slot.wrapping_sub(self.head).wrapping_add(self.ring.len()),
        }
    }

    fn at(&self, index: usize) -> Record {
        self.ring.get(self.slot(index)).copied().unwrap_or_default()
    }

    /// Index of the last record that starts at or before `seq`, which is not before `origin`, the start of
    /// the first record.
    #[inline(never)]
    fn last_from(&self, origin: u32, seq: u32) -> usize {
        let target = seq.wrapping_sub(origin);
        let starts_by = |record: &Record| record.start.wrapping_sub(origin) <= target;
        if self.len <= FEW {
            // Without a branch that depends on what is looked for.
            let (old, new) = self.slices();
            let starts = |records: &[Record]| {
                records.iter().fold(0usize, |count, record| {
                    count.wrapping_add(usize::from(starts_by(record)))
                })
            };
            return starts(old).wrapping_add(starts(new)).saturating_sub(1);
        }

        // The answer is `low` or behind it, and before `high`. The guess takes all records for
        // equally long. Around it, the step doubles until the record is between two that were
        // looked at; then the interval is halved.
        let mut low = 0;
        let mut high = self.len;
        let mut step = 1usize;
        let mut probe = self.guess(origin, target);
        let mut halve = false;
        while high.wrapping_sub(low) > 1 {
            let record = self.at(probe);
            let up = starts_by(&record);
            if up {
                low = probe;
                if record.end().wrapping_sub(origin) > target {
                    break;
                }
            } else {
                high = probe;
            }
            let next = match up {
                true => probe.wrapping_add(step),
                false => probe.saturating_sub(step),
            };
            step = step.wrapping_shl(1);
            halve = halve || next <= low || next >= high;
            probe = match halve {
                true => low.wrapping_add(high.wrapping_sub(low) >> 1),
                false => next,
            };
        }
        low
    }

    /// The records in the order of the stream, in two pieces.
    fn slices(&self) -> (&[Record], &[Record]) {
        let (new, old) = self.ring.split_at_checked(self.head).unwrap_or((&[], &[]));
        let more = self.len.saturating_sub(old.len());
        (
            old.get(..self.len).unwrap_or(old),
            new.get(..more).unwrap_or(&[]),
        )
    }

    /// An index below `len`.
    fn guess(&self, origin: u32, target: u32) -> usize {
        let span = self.end.wrapping_sub(origin);
        let scaled = u64::from(target).wrapping_mul(self.len as u64);
        let index = scaled.checked_div(u64::from(span)).unwrap_or(0) as usize;
        index.min(self.len.saturating_sub(1))
    }
}
