// SPDX-License-Identifier: GPL-2.0
//! A place in a stream of records, which outlives the borders of packets.

use crate::{Aad, Header, Protocol, HEADER_LEN, TAG_LEN};

/// What a byte of a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Type, version and length.
    Header,
    /// The explicit nonce of AES-GCM in TLS 1.2.
    Nonce,
    /// What the AEAD encrypts; in TLS 1.3 with the inner content type and padding.
    Content,
    /// The authentication tag.
    Tag,
}

/// Bytes that lie in one packet and one part of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Record number.
    pub number: u64,
    /// The part.
    pub part: Part,
    /// Where in the part the piece begins.
    pub offset: u32,
    /// Length of the piece, never 0.
    pub len: u32,
    /// Whether the part ends with the piece.
    pub part_done: bool,
    /// Whether the record ends with the piece.
    pub record_done: bool,
}

/// A place in a stream of records. It is moved by showing it the bytes of the stream and is small
/// enough to be copied before a packet, to go back to.
///
/// # Invariants
///
/// `offset` is less than the length of the record; `header` is valid up to `offset` and has been
/// accepted by [`Header::parse`] once `offset` is behind it, unless `lost`; `nonce` is valid up to
/// `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framer {
    number: u64,
    offset: u32,
    length: u16,
    protocol: Protocol,
    lost: bool,
    header: [u8; 5],
    nonce: [u8; 8],
}

impl Framer {
    /// At the first byte of a record.
    pub const fn new(protocol: Protocol, number: u64) -> Self {
        Framer {
            number,
            offset: 0,
            length: 0,
            protocol,
            lost: false,
            header: [0; 5],
            nonce: [0; 8],
        }
    }

    /// The piece that `rest`, what is left of a packet, begins with; the framer moves behind it.
    /// Nothing if `rest` is empty or the framer is lost.
    pub fn next(&mut self, rest: &[u8]) -> Option<Piece> {
        if self.lost || rest.is_empty() {
            return None;
        }
        let (part, from, to) = self.part();
        let offset = self.offset.wrapping_sub(from);
        let left = to.wrapping_sub(self.offset);
        let len = u32::try_from(rest.len()).unwrap_or(u32::MAX).min(left);
        match part {
            Part::Header => keep(rest, &mut self.header, offset, len),
            Part::Nonce => keep(rest, &mut self.nonce, offset, len),
            Part::Content | Part::Tag => {}
        }
        let number = self.number;
        let part_done = len == left;
        if part == Part::Header && part_done {
            let Some(header) = Header::parse(self.header, self.protocol) else {
                self.lost = true;
                return None;
            };
            self.length = header.length;
        }
        self.offset = self.offset.wrapping_add(len);
        let record_done = part == Part::Tag && part_done;
        if record_done {
            *self = Framer::new(self.protocol, number.wrapping_add(1));
        }
        Some(Piece {
            number,
            part,
            offset,
            len,
            part_done,
            record_done,
        })
    }

    /// As [`Framer::next`], and cuts the piece off `rest`.
    #[allow(clippy::mut_mut)] // The kernel's lints are stricter than cargo's.
    pub fn next_mut<'a>(&mut self, rest: &mut &'a mut [u8]) -> Option<(Piece, &'a mut [u8])> {
        let piece = self.next(rest)?;
        let (bytes, tail) = core::mem::take(rest).split_at_mut_checked(piece.len as usize)?;
        *rest = tail;
        Some((piece, bytes))
    }

    /// Moves behind all of `bytes`. False if the framer got lost.
    pub fn skip(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some(piece) = self.next(rest) {
            rest = rest.get(piece.len as usize..).unwrap_or(&[]);
        }
        !self.lost
    }

    /// The part at hand, with its borders in the record.
    fn part(&self) -> (Part, u32, u32) {
        let content = HEADER_LEN.wrapping_add(self.protocol.nonce_len());
        let end = HEADER_LEN.wrapping_add(u32::from(self.length));
        let tag = end.wrapping_sub(TAG_LEN);
        if self.offset < HEADER_LEN {
            (Part::Header, 0, HEADER_LEN)
        } else if self.offset < content {
            (Part::Nonce, HEADER_LEN, content)
        } else if self.offset < tag {
            (Part::Content, content, tag)
        } else {
            (Part::Tag, tag, end)
        }
    }

    /// Whether a header was none: the framer does not move any more.
    pub const fn lost(&self) -> bool {
        self.lost
    }

    /// How records are protected.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Number of the record at hand.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The same place if the record at hand has this number.
    pub const fn with_number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Offset in the record at hand, 0 at its first byte.
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// Header of the record at hand, once it is complete.
    pub const fn header(&self) -> Option<Header> {
        if self.offset < HEADER_LEN {
            return None;
        }
        let [kind, ..] = self.header;
        Some(Header {
            kind,
            length: self.length,
        })
    }

    /// How many bytes it is to the end of the record at hand, once its header is complete.
    pub const fn left(&self) -> Option<u32> {
        match self.header() {
            Some(header) => Some(header.record_len().wrapping_sub(self.offset)),
            None => None,
        }
    }

    /// Nonce of the record at hand, once the framer is behind its explicit nonce.
    pub fn nonce(&self, iv: &[u8; 12]) -> [u8; 12] {
        self.protocol.nonce(iv, self.number, &self.nonce)
    }

    /// additional_data of the record at hand, once its header is complete.
    pub fn aad(&self) -> Option<Aad> {
        let header = self.header()?;
        Some(self.protocol.aad(self.number, header))
    }
}

/// Copies the first `len` bytes of `from` to `to`, from `at` on.
fn keep<const N: usize>(from: &[u8], to: &mut [u8; N], at: u32, len: u32) {
    let to = to.get_mut(at as usize..).unwrap_or(&mut []);
    let from = from.get(..len as usize).unwrap_or(from);
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
