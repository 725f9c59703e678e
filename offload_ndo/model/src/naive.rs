// SPDX-License-Identifier: GPL-2.0
//! The map as a list that is searched from the front, in 64-bit sequence numbers.

use offload_ndo::{Lookup, Record};

/// Records with the index of their first byte in a stream that never wraps.
#[derive(Clone, Debug, Default)]
pub struct NaiveMap {
    records: Vec<(u64, Record)>,
    start: u64,
    acknowledged: u64,
    end: u64,
}

impl NaiveMap {
    /// No records, in a stream that is offloaded from here on.
    pub fn new(start: u64) -> Self {
        NaiveMap {
            records: Vec::new(),
            start,
            acknowledged: start,
            end: start,
        }
    }

    /// Behind the last record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The first byte that was not acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds a record behind the last one, if any of it is not acknowledged.
    pub fn insert(&mut self, at: u64, record: Record) {
        assert!(at >= self.end && record.start == at as u32 && record.len > 0);
        self.end = at + u64::from(record.len);
        if self.end > self.acknowledged {
            self.records.push((at, record));
        }
    }

    /// Removes what is acknowledged and returns how many records that are.
    pub fn acknowledge(&mut self, to: u64) -> usize {
        let before = self.records.len();
        self.acknowledged = self.acknowledged.max(to);
        if self.acknowledged.saturating_sub(self.end) > 0xffff {
            self.end = self.acknowledged;
        }
        self.records
            .retain(|(at, record)| at + u64::from(record.len) > to);
        before - self.records.len()
    }

    /// Where a byte is.
    pub fn lookup(&self, byte: u64) -> Lookup {
        for (at, record) in &self.records {
            if (*at..*at + u64::from(record.len)).contains(&byte) {
                return Lookup::Found {
                    record: *record,
                    offset: (byte - at) as u32,
                };
            }
        }
        if byte >= self.end.max(self.acknowledged) {
            Lookup::NotSent
        } else if byte >= self.acknowledged {
            Lookup::Gap
        } else if self.acknowledged == self.start {
            Lookup::BeforeOffload
        } else {
            Lookup::Acknowledged
        }
    }
}
