// SPDX-License-Identifier: GPL-2.0
//! What becomes of a packet that is received.
//!
//! The device decrypts packets that come in order. A packet that does not is passed on as it was
//! on the wire. If the beginning of a later record is known nevertheless, because the header of
//! the record before it was seen, the device resumes there. Otherwise it searches for a header,
//! follows the records from there, and asks software whether a record begins at that place; the
//! stack, which sees the bytes in order in the end, answers with the record's number.
//!
//! ```text
//!                  in order: Decrypt
//!    a known header: Absorb   ┌───┐
//!                             │   v
//!                 new()   ┌───┴─────┐   more than a record behind what is known,
//!                 ───────>│ Device  │   a header is none, a tag is wrong
//!                         └─────────┘──────────────────────┐
//!                             ^                            v
//!          confirm()          │    a header: request  ┌───────────┐
//!        ┌────────────┐       │   ┌───────────────────┤ Searching │
//!        │            ├───────┘   v                   └───────────┘
//!        │        ┌───┴──────┐                             ^
//!        └────────┤ Tracking ├─────────────────────────────┘
//!                 └──────────┘  the next header is none, refuse()
//! ```
//!
//! What a peer, or somebody who forges packets, puts into the stream can make the device lose its
//! place, never more: nothing is decrypted with a number that software did not give, and software
//! verifies what the device did not. Each byte is looked at once.

mod counters;
mod scan;

use crate::seq::{before, distance};
use crate::{Framer, Protocol, HEADER_LEN};

pub use counters::RxCounters;
use scan::Scan;

/// Number of followed records after which software is asked again, about one of them: each time
/// so much later that an answer that takes its time is not overtaken.
const ASK_AGAIN: u64 = 8;
/// Number of records that are followed without an answer.
const FOLLOW_MAX: u64 = 1 << 15;
/// Number of packets from before the followed records after which these are given up: perhaps
/// they are not the stream's.
const BEHIND_MAX: u32 = 256;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxVerdict {
    /// The device decrypts all of it, beginning at this place. If a tag of a record that ends in
    /// the packet is wrong, the packet is passed on as it was on the wire, and
    /// [`Rx::auth_failed`] called.
    Decrypt(Framer),
    /// It is passed on as it was on the wire. The bytes from `from` on nevertheless go through
    /// the device's cryptography, beginning at this place, so that it can go on with the next
    /// packet.
    Absorb {
        /// Where in the payload.
        from: usize,
        /// The place there.
        framer: Framer,
    },
    /// It is passed on as it was on the wire.
    Pass,
}

/// Who decrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxState {
    /// The device, what is in order.
    Device,
    /// Nobody in the device: it looks for a record header.
    Searching,
    /// Nobody in the device: it follows records from a header that is not confirmed.
    Tracking,
}

/// A place that software was asked about.
#[derive(Clone, Copy)]
struct Asked {
    seq: u32,
    /// Number of the record in the framer's counting.
    number: u64,
}

/// Where a packet is, seen from a place.
enum Reach {
    /// All of it is before the place.
    Old,
    /// The framer can go on at this byte of it.
    At { from: usize, framer: Framer },
    /// All of it is in the record at hand, behind a gap.
    Inside,
    /// The beginning of the next record is in the gap, here or behind it.
    Missed { boundary: u32 },
}

/// One connection's receive side.
pub struct Rx {
    protocol: Protocol,
    state: RxState,
    /// Device: the place of `next`. Tracking: the same, but records are counted from 0.
    framer: Framer,
    /// Sequence number of the next byte in order.
    next: u32,
    /// Behind the last packet.
    last: u32,
    scan: Scan,
    /// The last two requests; software may be about to answer the first of them.
    asked: [Option<Asked>; 2],
    request: Option<u32>,
    ask_at: u64,
    behind: u32,
    counters: RxCounters,
}

impl Rx {
    /// A connection whose record `number` begins at `start`, the first byte that is offloaded.
    pub const fn new(protocol: Protocol, start: u32, number: u64) -> Self {
        Rx {
            protocol,
            state: RxState::Device,
            framer: Framer::new(protocol, number),
            next: start,
            last: start,
            scan: Scan::new(),
            asked: [None; 2],
            request: None,
            ask_at: 0,
            behind: 0,
            counters: RxCounters::new(),
        }
    }

    /// Who decrypts.
    pub const fn state(&self) -> RxState {
        self.state
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &RxCounters {
        &self.counters
    }

    /// Says what becomes of the packet with this payload. A packet in several pieces is several
    /// packets, and decrypted if all of them are.
    pub fn packet(&mut self, seq: u32, payload: &[u8]) -> RxVerdict {
        if payload.is_empty() {
            return RxVerdict::Pass;
        }
        let end = seq.wrapping_add(payload.len() as u32);
        let verdict = match self.state {
            RxState::Device => self.on_device(seq, end, payload),
            RxState::Searching => {
                self.search(seq, payload);
                RxVerdict::Pass
            }
            RxState::Tracking => {
                self.track(seq, end, payload);
                RxVerdict::Pass
            }
        };
        self.last = end;
        let counters = &mut self.counters;
        let counter = match verdict {
            RxVerdict::Decrypt(_) => &mut counters.decrypted,
            RxVerdict::Absorb { .. } => &mut counters.absorbed,
            RxVerdict::Pass => &mut counters.passed,
        };
        *counter = counter.wrapping_add(1);
        verdict
    }

    /// The place that software shall be asked about, once: the first byte of what may be a record
    /// header. To be passed on before the packet is.
    pub fn request(&mut self) -> Option<u32> {
        let request = self.request.take();
        if request.is_some() {
            self.counters.requests = self.counters.requests.wrapping_add(1);
        }
        request
    }

    /// Software says that record `number` begins at `seq`: the answer to a request, or unasked
    /// about a record of which nothing was received yet. Returns whether the device has its place
    /// back by that; it decrypts from the next packet with a record's beginning on.
    pub fn confirm(&mut self, seq: u32, number: u64) -> bool {
        let useful = match self.state {
            RxState::Tracking => self.answer(seq, number) || self.hint(seq, number),
            RxState::Searching => self.hint(seq, number),
            // There is a gap that the device waits behind.
            RxState::Device => before(self.next, self.last) && self.hint(seq, number),
        };
        let counter = match useful {
            true => &mut self.counters.confirmed,
            false => &mut self.counters.stale,
        };
        *counter = counter.wrapping_add(1);
        useful
    }

    /// Software says that no record begins where it was asked about.
    pub fn refuse(&mut self) {
        if self.state == RxState::Tracking {
            self.give_up();
        }
    }

    /// A tag was wrong.
    pub fn auth_failed(&mut self) {
        self.counters.auth_failed = self.counters.auth_failed.wrapping_add(1);
        self.forget();
    }

    /// The device lost its state.
    pub fn forget(&mut self) {
        self.state = RxState::Searching;
        self.scan = Scan::new();
        self.request = None;
    }

    /// Where a packet is, seen from the framer.
    fn reach(&self, seq: u32, end: u32) -> Reach {
        let ahead = distance(self.next, seq);
        if ahead <= 0 {
            if !before(self.next, end) {
                return Reach::Old;
            }
            return Reach::At {
                from: ahead.unsigned_abs() as usize,
                framer: self.framer,
            };
        }
        // A gap: what is left of the record at hand is of no use, but the next one begins at a
        // known place.
        let left = self.framer.left().unwrap_or(0);
        let boundary = self.next.wrapping_add(left);
        if left == 0 || before(boundary, seq) {
            Reach::Missed { boundary }
        } else if !before(boundary, end) {
            Reach::Inside
        } else {
            Reach::At {
                from: boundary.wrapping_sub(seq) as usize,
                framer: Framer::new(self.protocol, self.framer.number().wrapping_add(1)),
            }
        }
    }

    fn on_device(&mut self, seq: u32, end: u32, payload: &[u8]) -> RxVerdict {
        match self.reach(seq, end) {
            Reach::At { from, framer } => return self.resume(seq, end, from, framer, payload),
            Reach::Old | Reach::Inside => {}
            Reach::Missed { boundary } => {
                // The packet with the header may be late. When this much has come it is lost.
                let limit = HEADER_LEN.wrapping_add(u32::from(self.protocol.max_len()));
                if distance(boundary, seq) > limit as i32 {
                    self.lost();
                    self.search(seq, payload);
                }
            }
        }
        RxVerdict::Pass
    }

    /// The device goes through the packet from `from` on, beginning at `framer`.
    fn resume(
        &mut self,
        seq: u32,
        end: u32,
        from: usize,
        framer: Framer,
        payload: &[u8],
    ) -> RxVerdict {
        if before(self.next, seq) {
            self.counters.gaps = self.counters.gaps.wrapping_add(1);
        }
        self.framer = framer;
        self.next = end;
        let rest = payload.get(from..).unwrap_or(&[]);
        if let Err(at) = follow(&mut self.framer, rest, |_, _| true) {
            self.lost();
            let at = from.saturating_add(at);
            let rest = payload.get(at..).unwrap_or(&[]);
            self.search(seq.wrapping_add(at as u32), rest);
            return RxVerdict::Pass;
        }
        match from {
            0 => RxVerdict::Decrypt(framer),
            from => RxVerdict::Absorb { from, framer },
        }
    }

    fn lost(&mut self) {
        self.counters.lost = self.counters.lost.wrapping_add(1);
        self.forget();
    }

    fn give_up(&mut self) {
        self.counters.refused = self.counters.refused.wrapping_add(1);
        self.forget();
    }

    /// Looks for a header and follows the records from there.
    fn search(&mut self, seq: u32, payload: &[u8]) {
        let mut seq = seq;
        let mut rest = payload;
        // Every round but the last goes on behind a header that was none.
        while let Some((behind, header)) = self.scan.find(self.protocol, seq, rest) {
            let mut framer = Framer::new(self.protocol, 0);
            framer.skip(&header);
            let at = seq.wrapping_add(behind as u32);
            self.framer = framer;
            self.state = RxState::Tracking;
            self.counters.candidates = self.counters.candidates.wrapping_add(1);
            self.asked = [None; 2];
            self.ask(at.wrapping_sub(HEADER_LEN), 0);
            self.ask_at = ASK_AGAIN;
            self.behind = 0;
            rest = rest.get(behind..).unwrap_or(&[]);
            seq = at;
            match self.walk(seq, rest) {
                Ok(()) => return,
                Err(at) => {
                    self.give_up();
                    seq = seq.wrapping_add(at as u32);
                    rest = rest.get(at..).unwrap_or(&[]);
                }
            }
        }
    }

    fn track(&mut self, seq: u32, end: u32, payload: &[u8]) {
        let walked = match self.reach(seq, end) {
            Reach::At { from, framer } => {
                self.framer = framer;
                let rest = payload.get(from..).unwrap_or(&[]);
                self.walk(seq.wrapping_add(from as u32), rest)
                    .map_err(|at| at.saturating_add(from))
            }
            Reach::Old => {
                self.behind = self.behind.saturating_add(1);
                match self.behind < BEHIND_MAX {
                    true => Ok(()),
                    false => Err(0),
                }
            }
            Reach::Inside => Ok(()),
            Reach::Missed { .. } => Err(0),
        };
        if let Err(at) = walked {
            self.give_up();
            let rest = payload.get(at..).unwrap_or(&[]);
            self.search(seq.wrapping_add(at as u32), rest);
        }
    }

    /// Follows the records in `bytes`, the first of which has sequence number `seq`, and asks
    /// about one of them when it is time. The error is where a header is none.
    fn walk(&mut self, seq: u32, bytes: &[u8]) -> Result<(), usize> {
        let protocol = self.protocol;
        let ask_at = self.ask_at;
        let mut framer = self.framer;
        let mut ask = None;
        follow(&mut framer, bytes, |framer, behind| {
            if framer.number() >= ask_at && ask.is_none() {
                ask = Some((behind, framer.number()));
            }
            framer.number() < FOLLOW_MAX && framer.header().is_some_and(|h| h.is_known(protocol))
        })?;
        self.framer = framer;
        self.next = seq.wrapping_add(bytes.len() as u32);
        self.behind = 0;
        if let Some((behind, number)) = ask {
            let start = seq.wrapping_add(behind as u32).wrapping_sub(HEADER_LEN);
            self.ask(start, number);
            self.ask_at = ask_at.saturating_mul(ASK_AGAIN);
        }
        Ok(())
    }

    fn ask(&mut self, seq: u32, number: u64) {
        let [_, last] = self.asked;
        self.asked = [last, Some(Asked { seq, number })];
        self.request = Some(seq);
    }

    /// The answer to a request: the records that were followed since are counted on.
    fn answer(&mut self, seq: u32, number: u64) -> bool {
        let Some(asked) = self.asked.iter().flatten().find(|asked| asked.seq == seq) else {
            return false;
        };
        let seen = self.framer.number().wrapping_sub(asked.number);
        let number = number.wrapping_add(seen);
        // Within a record there is nothing that the device could go on with: it waits for the
        // next, unless no more than the header has passed, which the framer has.
        match self.framer.left() {
            Some(left) => {
                self.framer = Framer::new(self.protocol, number.wrapping_add(1));
                self.next = self.next.wrapping_add(left);
            }
            None => self.framer = self.framer.with_number(number),
        }
        self.found();
        true
    }

    /// An answer to no request, which is of use if nothing of that record was received.
    fn hint(&mut self, seq: u32, number: u64) -> bool {
        if before(seq, self.last) {
            return false;
        }
        self.framer = Framer::new(self.protocol, number);
        self.next = seq;
        self.found();
        true
    }

    fn found(&mut self) {
        self.state = RxState::Device;
        self.request = None;
        self.asked = [None; 2];
    }
}

/// Moves behind all of `bytes`. `header` is called with the framer and where it stands whenever a
/// header is complete and says whether to believe it. The error is where one is not.
fn follow(
    framer: &mut Framer,
    bytes: &[u8],
    mut header: impl FnMut(&Framer, usize) -> bool,
) -> Result<(), usize> {
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(piece) = framer.next(rest) else {
            return if framer.lost() { Err(at) } else { Ok(()) };
        };
        let behind = at.saturating_add(piece.len as usize);
        if piece.part == crate::Part::Header && piece.part_done && !header(framer, behind) {
            return Err(at);
        }
        at = behind;
    }
}
