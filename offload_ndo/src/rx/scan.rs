// SPDX-License-Identifier: GPL-2.0
//! The search for a record header in a stream, over the borders of packets.

use crate::{Header, Protocol};

/// The last bytes that were looked at.
pub struct Scan {
    /// The bytes, the last one in the lowest bits.
    window: u64,
    /// How many of the window's bytes follow one another in the stream, up to 5.
    have: u8,
    /// Sequence number of the byte that follows them.
    next: u32,
}

impl Scan {
    /// Nothing was looked at.
    pub const fn new() -> Self {
        Scan {
            window: 0,
            have: 0,
            next: 0,
        }
    }

    /// Looks for a header that ends in `bytes`, the first of which has sequence number `seq`.
    /// Returns where in `bytes` it ends, and the header; nothing of it is looked at again.
    pub fn find(&mut self, protocol: Protocol, seq: u32, bytes: &[u8]) -> Option<(usize, [u8; 5])> {
        if seq != self.next {
            self.have = 0;
        }
        self.next = seq;
        for (index, byte) in bytes.iter().enumerate() {
            self.window = (self.window << 8) | u64::from(*byte);
            self.have = self.have.saturating_add(1).min(5);
            self.next = self.next.wrapping_add(1);
            if self.have < 5 {
                continue;
            }
            let [_, _, _, header @ ..] = self.window.to_be_bytes();
            if Header::parse(header, protocol).is_some_and(|h| h.is_known(protocol)) {
                self.have = 0;
                return Some((index.wrapping_add(1), header));
            }
        }
        None
    }
}
