// SPDX-License-Identifier: GPL-2.0
//! What becomes of a packet that is transmitted.
//!
//! The stack gives the driver records whose content is not encrypted yet, cut into packets at any
//! byte. A packet that continues where the one before ended goes to the device as it is. Any other
//! packet of a known record goes there together with what the record has in front of it, from
//! which the device rebuilds the state of its cryptography. What belongs to no known record is
//! encrypted by software, and the stack is asked to say where a record begins.
//!
//! ```text
//!            in order: Fast                 a known record: Rebuild
//!              ┌───┐                             ┌───┐
//!              │   v                             │   v
//!            ┌─┴─────────────────────────────────┴─────┐
//!   ┌───────>│                 Device                  │<──────────────┐
//!   │        └───┬─────────────────────────────────┬───┘               │
//!   │            │ credit used up                  │ no record known,  │ packet at
//!   │            v                                 │ or it failed      │ that place
//!   │  new   ┌──────────┐  enough bytes: request   v                   │
//!   └──  ───>│ Software ├─────────────────────> ┌─────────┐            │
//!    no delay└──────────┘                       │ Waiting │            │
//!                                               └─┬───────┘            │
//!              packet behind that place: request  │ ^                  │
//!                                                 │ │                  │
//!                                        resync() v │                  │
//!                                              ┌────┴───────┐          │
//!                                              │ Recovering ├──────────┘
//!                                              └────────────┘
//! ```
//!
//! In all states but Device, software encrypts. No verdict sends content that is neither encrypted
//! by the device nor by software: what cannot be encrypted is dropped, and TCP sends it again.

mod counters;
mod frontier;

use core::ops::DerefMut;

use crate::seq::before;
use crate::{InsertError, Lookup, Map, Protocol, Record};

pub use counters::TxCounters;
use frontier::Frontier;

/// When a connection is worth the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bytes that software encrypts before the device is asked for. With 0 the device has the
    /// connection from the beginning.
    pub delay: u32,
    /// How many bytes of prefixes may be rebuilt. Every byte that goes to the device in order
    /// earns one back, up to this many.
    pub credit: u32,
    /// Bytes that software encrypts when the credit was used up, before the device is asked for
    /// again.
    pub backoff: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            delay: 0,
            credit: 1 << 20,
            backoff: 1 << 20,
        }
    }
}

/// The stack shall say where the next record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resync {
    /// Sequence number of the packet that could not go to the device.
    pub got: u32,
    /// Sequence number at which the device stands.
    pub expected: u32,
}

/// A packet in the middle of a record that the device does not have the state of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The record that the packet begins in. Its length is 0 if not all of its header was seen.
    pub record: Record,
    /// How many bytes of the record are in front of the packet. They go through the device's
    /// cryptography and not on the wire.
    pub prefix: u32,
}

/// Why a packet must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The record that it begins in is fully acknowledged and no longer known.
    Acknowledged,
    /// It begins before the first byte that was offloaded, but does not end there.
    Straddles,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxVerdict {
    /// It goes out as it is: all of it is from before the offload began, or it has no payload.
    Plain,
    /// The device goes on with what it has. With offset 0 it begins a record.
    Fast {
        /// Number of the record that the packet begins in.
        number: u64,
        /// Where in the record.
        offset: u32,
    },
    /// The device begins at the record's first byte.
    Rebuild(Rebuild),
    /// Software encrypts it, and the device's state stays as it is.
    Software {
        /// To be passed on to the stack, once, before the packet.
        request: Option<Resync>,
    },
    /// It must not be sent.
    Drop(DropReason),
}

/// Who encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxState {
    /// Software, for that many more bytes.
    Software(u32),
    /// Software, and the stack was asked to say where the next record begins.
    Waiting,
    /// Software for what is before this sequence number, at which a record begins; then the
    /// device.
    Recovering(u32),
    /// The device.
    Device,
}

/// One connection's transmit side.
pub struct Tx<S> {
    map: Map<S>,
    frontier: Frontier,
    state: TxState,
    /// In state Device: the sequence number at which the device stands.
    expected: u32,
    credit: u32,
    policy: Policy,
    counters: TxCounters,
}

impl<S: DerefMut<Target = [Record]>> Tx<S> {
    /// A connection whose record `number` begins at `start`, the first byte that is offloaded.
    /// `memory` limits how many records are known at a time; none is lost by that, but the
    /// connection is degraded to software for as long as there is no room.
    pub fn new(protocol: Protocol, memory: S, start: u32, number: u64, policy: Policy) -> Self {
        Tx {
            map: Map::new(memory, start),
            frontier: Frontier::new(protocol, start, number),
            state: match policy.delay {
                0 => TxState::Device,
                delay => TxState::Software(delay),
            },
            expected: start,
            credit: policy.credit,
            policy,
            counters: TxCounters::default(),
        }
    }

    /// Who encrypts.
    pub const fn state(&self) -> TxState {
        self.state
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &TxCounters {
        &self.counters
    }

    /// The records in flight.
    pub const fn map(&self) -> &Map<S> {
        &self.map
    }

    /// Everything before `seq` is acknowledged.
    pub fn acknowledge(&mut self, seq: u32) {
        self.map.acknowledge(seq);
        self.frontier.acknowledge(self.map.unacknowledged());
    }

    /// Where the next record that is not known yet begins.
    pub const fn unknown(&self) -> u32 {
        self.frontier.seq()
    }

    /// Tells of the record at [`Tx::unknown`]. Not needed where the device sees all packets in
    /// order the first time: it reads the headers itself.
    pub fn announce(&mut self, len: u16, kind: u8) -> Result<(), InsertError> {
        self.frontier.announce(&mut self.map, len, kind)
    }

    /// Says what becomes of the packet with this payload, in which it looks at headers of records
    /// that are not known yet.
    pub fn packet(&mut self, seq: u32, payload: &[u8]) -> TxVerdict {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.verdict(seq, len, |frontier, map| frontier.learn(map, seq, payload))
    }

    /// Says what becomes of the packet with so much payload, all of whose records were announced.
    pub fn segment(&mut self, seq: u32, len: u32) -> TxVerdict {
        let end = seq.wrapping_add(len);
        self.verdict(seq, len, |frontier, _| frontier.covers(end))
    }

    /// `learn` returns whether there is nothing in the packet from the frontier on that is not
    /// known.
    fn verdict(
        &mut self,
        seq: u32,
        len: u32,
        learn: impl FnOnce(&mut Frontier, &mut Map<S>) -> bool,
    ) -> TxVerdict {
        if len == 0 {
            return TxVerdict::Plain;
        }
        let end = seq.wrapping_add(len);
        let place = match self.map.lookup(seq) {
            Lookup::BeforeOffload if before(self.map.start(), end) => {
                self.counters.straddling = self.counters.straddling.wrapping_add(1);
                return TxVerdict::Drop(DropReason::Straddles);
            }
            Lookup::BeforeOffload => {
                self.counters.plain = self.counters.plain.wrapping_add(1);
                return TxVerdict::Plain;
            }
            Lookup::Acknowledged => {
                self.counters.acknowledged = self.counters.acknowledged.wrapping_add(1);
                return TxVerdict::Drop(DropReason::Acknowledged);
            }
            Lookup::Found { record, offset } => Some((record, offset)),
            // A record that begins with this packet, or only some bytes of its header do.
            Lookup::NotSent | Lookup::Gap => None,
        };
        let known = learn(&mut self.frontier, &mut self.map);
        let place = place.or_else(|| self.place(seq)).filter(|_| known);
        match self.state {
            TxState::Software(left) => self.in_software(seq, left, len),
            TxState::Waiting => self.software(None),
            TxState::Recovering(at) if seq == at => self.recovered(seq, end, place),
            TxState::Recovering(at) if !before(at, end) => self.software(None),
            TxState::Recovering(at) => self.degrade(seq, at),
            TxState::Device => self.on_device(seq, end, place),
        }
    }

    /// The driver could not do what the last verdict said, for the packet at `seq`: software
    /// encrypts it, or it is dropped.
    pub fn failed(&mut self, seq: u32) -> TxVerdict {
        self.counters.failed = self.counters.failed.wrapping_add(1);
        match self.state {
            TxState::Device => self.degrade(seq, self.expected),
            _ => self.software(None),
        }
    }

    /// The device lost its state. The next packet asks for a resync.
    pub fn forget(&mut self) {
        if matches!(self.state, TxState::Device | TxState::Recovering(_)) {
            self.state = TxState::Software(0);
        }
    }

    /// The device does not take the connection: software encrypts as after the credit was used up,
    /// then there is another request. As long as one is not answered this may only be called
    /// instead of [`Tx::resync`].
    pub fn refuse(&mut self) {
        self.state = TxState::Software(self.policy.backoff);
        self.counters.refused = self.counters.refused.wrapping_add(1);
    }

    /// The stack's answer to a request: record `number` begins at `seq`, which nothing was sent
    /// of yet.
    pub fn resync(&mut self, seq: u32, number: u64) {
        self.frontier.move_to(&mut self.map, seq, number);
        self.state = TxState::Recovering(seq);
        self.counters.resyncs = self.counters.resyncs.wrapping_add(1);
    }

    /// The record of a sequence number, and where in it: also in one whose header is not complete.
    fn place(&mut self, seq: u32) -> Option<(Record, u32)> {
        match self.map.lookup(seq) {
            Lookup::Found { record, offset } => Some((record, offset)),
            _ => self.frontier.place(seq),
        }
    }

    fn on_device(&mut self, seq: u32, end: u32, place: Option<(Record, u32)>) -> TxVerdict {
        let in_order = seq == self.expected;
        let Some((record, offset)) = place else {
            // In a gap. New data will find the device in order, or a record to rebuild from.
            if self.frontier.covers(end) {
                return self.software(None);
            }
            return self.degrade(seq, self.expected);
        };
        if in_order {
            return self.fast(record.number, offset, seq, end);
        }
        if offset > self.credit {
            self.counters.demoted = self.counters.demoted.wrapping_add(1);
            let len = end.wrapping_sub(seq);
            return self.in_software(seq, self.policy.backoff, len);
        }
        self.credit = self.credit.wrapping_sub(offset);
        self.expected = end;
        self.counters.rebuilt = self.counters.rebuilt.wrapping_add(1);
        self.counters.prefix_bytes = self.counters.prefix_bytes.wrapping_add(u64::from(offset));
        TxVerdict::Rebuild(Rebuild {
            record,
            prefix: offset,
        })
    }

    fn recovered(&mut self, seq: u32, end: u32, place: Option<(Record, u32)>) -> TxVerdict {
        match place {
            Some((record, 0)) => {
                self.counters.recovered = self.counters.recovered.wrapping_add(1);
                self.state = TxState::Device;
                self.credit = self.policy.credit;
                self.fast(record.number, 0, seq, end)
            }
            _ => self.degrade(seq, seq),
        }
    }

    fn fast(&mut self, number: u64, offset: u32, seq: u32, end: u32) -> TxVerdict {
        let len = end.wrapping_sub(seq);
        self.expected = end;
        self.credit = self.credit.saturating_add(len).min(self.policy.credit);
        self.counters.fast = self.counters.fast.wrapping_add(1);
        self.counters.fast_bytes = self.counters.fast_bytes.wrapping_add(u64::from(len));
        TxVerdict::Fast { number, offset }
    }

    /// Software, until `left` more bytes went through it.
    fn in_software(&mut self, seq: u32, left: u32, len: u32) -> TxVerdict {
        match left.saturating_sub(len) {
            0 => self.degrade(seq, self.expected),
            left => {
                self.state = TxState::Software(left);
                self.software(None)
            }
        }
    }

    fn degrade(&mut self, got: u32, expected: u32) -> TxVerdict {
        self.state = TxState::Waiting;
        self.counters.requests = self.counters.requests.wrapping_add(1);
        self.software(Some(Resync { got, expected }))
    }

    fn software(&mut self, request: Option<Resync>) -> TxVerdict {
        self.counters.software = self.counters.software.wrapping_add(1);
        TxVerdict::Software { request }
    }
}
