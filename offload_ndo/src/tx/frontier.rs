// SPDX-License-Identifier: GPL-2.0
//! Where the known part of the stream ends, and how it grows.

use core::ops::DerefMut;

use crate::seq::{before, distance};
use crate::{Header, InsertError, Map, Protocol, Record, HEADER_LEN};

/// The first record that is not in the map, and what was seen of its header.
pub struct Frontier {
    protocol: Protocol,
    /// Where the record begins.
    seq: u32,
    number: u64,
    /// How many bytes of the header were seen. All of them if there was no room in the map.
    have: u32,
    header: [u8; 5],
    /// Whether bytes behind those that were seen are acknowledged: they do not come again.
    lost: bool,
}

impl Frontier {
    pub const fn new(protocol: Protocol, seq: u32, number: u64) -> Self {
        Frontier {
            protocol,
            seq,
            number,
            have: 0,
            header: [0; 5],
            lost: false,
        }
    }

    /// Where the record begins.
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// Whether what comes behind the byte before `end` will be known.
    pub fn covers(&self, end: u32) -> bool {
        !self.lost && !before(self.seq.wrapping_add(self.have), end)
    }

    /// Everything before `seq` is acknowledged.
    pub fn acknowledge(&mut self, seq: u32) {
        if before(self.seq.wrapping_add(self.have), seq) {
            self.lost = true;
        }
    }

    /// Puts the records whose headers are in the packet into the map. Returns whether that went
    /// well for all of the packet that is not before the frontier.
    pub fn learn<S: DerefMut<Target = [Record]>>(
        &mut self,
        map: &mut Map<S>,
        seq: u32,
        payload: &[u8],
    ) -> bool {
        let end = seq.wrapping_add(payload.len() as u32);
        while !self.lost {
            if self.covers(end) {
                return true;
            }
            if self.have < HEADER_LEN {
                let next = self.seq.wrapping_add(self.have);
                let at = usize::try_from(distance(seq, next)).ok();
                let Some(bytes) = at.and_then(|at| payload.get(at..)) else {
                    return false;
                };
                let room = self.header.iter_mut().skip(self.have as usize);
                for (to, from) in room.zip(bytes) {
                    *to = *from;
                    self.have = self.have.wrapping_add(1);
                }
                if self.have < HEADER_LEN {
                    return true;
                }
            }
            let Some(header) = Header::parse(self.header, self.protocol) else {
                return false;
            };
            let len = header.record_len() as u16;
            if self.announce(map, len, header.kind).is_err() {
                return false;
            }
        }
        false
    }

    /// Puts the record at the frontier into the map.
    pub fn announce<S: DerefMut<Target = [Record]>>(
        &mut self,
        map: &mut Map<S>,
        len: u16,
        kind: u8,
    ) -> Result<(), InsertError> {
        map.insert(Record {
            start: self.seq,
            len,
            kind,
            number: self.number,
        })?;
        self.seq = self.seq.wrapping_add(u32::from(len));
        self.number = self.number.wrapping_add(1);
        self.have = 0;
        // Software may know what did not come by.
        self.lost = before(self.seq, map.unacknowledged());
        Ok(())
    }

    /// A record with this number begins at `seq`. What is between stays unknown. Where more is
    /// known already, nothing changes.
    pub fn move_to<S: DerefMut<Target = [Record]>>(
        &mut self,
        map: &mut Map<S>,
        seq: u32,
        number: u64,
    ) {
        if self.lost || before(self.seq, seq) {
            map.pass_over(seq);
            *self = Frontier::new(self.protocol, seq, number);
        } else if self.seq == seq {
            self.number = number;
        }
    }

    /// The place of a sequence number in the bytes that were seen of the header.
    pub fn place(&self, seq: u32) -> Option<(Record, u32)> {
        let offset = seq.wrapping_sub(self.seq);
        (offset < self.have && !self.lost).then_some((
            Record {
                start: self.seq,
                len: 0,
                kind: 0,
                number: self.number,
            },
            offset,
        ))
    }
}
