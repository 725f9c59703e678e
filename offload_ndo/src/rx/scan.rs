// SPDX-License-Identifier: GPL-2.0
//! The search for a record header in a stream, over the borders of packets.

use crate::{Header, Protocol, HEADER_LEN};

const LEN: usize = HEADER_LEN as usize;

/// The last bytes that were looked at: what a header can begin with that goes on in the next
/// packet.
pub struct Scan {
    bytes: [u8; LEN - 1],
    have: usize,
    /// Sequence number of the byte that follows them.
    next: u32,
}

impl Scan {
    /// Nothing was looked at.
    pub const fn new() -> Self {
        Scan {
            bytes: [0; LEN - 1],
            have: 0,
            next: 0,
        }
    }

    /// Looks for a header that ends in `bytes`, the first of which has sequence number `seq`.
    /// Returns where in `bytes` it ends, and the header; nothing of it is looked at again.
    pub fn find(
        &mut self,
        protocol: Protocol,
        seq: u32,
        bytes: &[u8],
    ) -> Option<(usize, [u8; LEN])> {
        if seq != self.next {
            self.have = 0;
        }
        let found = self.find_across(protocol, bytes).or_else(|| {
            let (at, header) = first(protocol, bytes)?;
            Some((at.wrapping_add(LEN), header))
        });
        match found {
            Some(_) => self.have = 0,
            None => self.keep(bytes),
        }
        self.next = seq.wrapping_add(bytes.len() as u32);
        found
    }

    /// Looks for a header that began in an earlier packet.
    fn find_across(&self, protocol: Protocol, bytes: &[u8]) -> Option<(usize, [u8; LEN])> {
        let mut joined = [0; 2 * (LEN - 1)];
        let old = self.bytes.iter().take(self.have);
        let mut len = 0usize;
        for (to, from) in joined
            .iter_mut()
            .zip(old.chain(bytes).take(self.have.wrapping_add(4)))
        {
            *to = *from;
            len = len.wrapping_add(1);
        }
        if self.have == 0 {
            return None;
        }
        let (at, header) = first(protocol, joined.get(..len).unwrap_or(&[]))?;
        Some((at.wrapping_add(LEN).wrapping_sub(self.have), header))
    }

    /// Remembers the last bytes.
    fn keep(&mut self, bytes: &[u8]) {
        for byte in bytes.last_chunk::<{ LEN - 1 }>().map_or(bytes, |last| last) {
            if self.have == self.bytes.len() {
                self.bytes.rotate_left(1);
                self.have = self.have.wrapping_sub(1);
            }
            if let Some(room) = self.bytes.get_mut(self.have) {
                *room = *byte;
                self.have = self.have.wrapping_add(1);
            }
        }
    }
}

/// The first header in `bytes`, and where it begins: a 3 is looked for, the version's first byte.
fn first(protocol: Protocol, bytes: &[u8]) -> Option<(usize, [u8; LEN])> {
    let mut version = 1usize;
    loop {
        let rest = bytes.get(version..)?;
        version = version.wrapping_add(rest.iter().position(|byte| *byte == 3)?);
        let start = version.wrapping_sub(1);
        let header = bytes.get(start..)?.first_chunk::<LEN>()?;
        if Header::parse(*header, protocol).is_some_and(|h| h.is_known(protocol)) {
            return Some((start, *header));
        }
        version = version.wrapping_add(1);
    }
}
