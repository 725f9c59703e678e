// SPDX-License-Identifier: GPL-2.0
//! The bytes of one direction of a connection, all at once.

use offload_ndo::{Header, Protocol, Record};

use crate::Cipher;

/// The static IV of every connection here.
pub const IV: [u8; 12] = *b"salt-and-iv.";

/// A stream: some bytes from before the offload, then records.
#[derive(Clone, Debug)]
pub struct Stream {
    pub protocol: Protocol,
    /// Sequence number of the first byte of all.
    pub origin: u32,
    /// Sequence number of the first record.
    pub start: u32,
    pub records: Vec<Record>,
    /// What the stack gives to a device that encrypts: tags are placeholders.
    pub plain: Vec<u8>,
    /// What goes over the wire.
    pub wire: Vec<u8>,
}

impl Stream {
    /// A stream without records that begins with `before`, which is not protected.
    pub fn new(protocol: Protocol, origin: u32, before: &[u8]) -> Self {
        Stream {
            protocol,
            origin,
            start: origin.wrapping_add(before.len() as u32),
            records: Vec::new(),
            plain: before.to_vec(),
            wire: before.to_vec(),
        }
    }

    /// The stream that the first of these bytes describe, and the rest of them. Its content is
    /// made of them, too, so that a fuzzer can write headers into it.
    pub fn from_bytes(data: &[u8]) -> Option<(Self, &[u8])> {
        let [protocol, a, b, c, d, number, before, count, rest @ ..] = data else {
            return None;
        };
        let protocol = match protocol % 3 {
            0 => Protocol::Tls12Gcm,
            1 => Protocol::Tls12ChaCha20Poly1305,
            _ => Protocol::Tls13,
        };
        let (lens, rest) = rest.split_at_checked(2 * usize::from(*count % 64) + 2)?;
        let origin = u32::from_be_bytes([*a, *b, *c, *d]);
        let mut stream = Stream::new(protocol, origin, &vec![0xaa; usize::from(*before)]);
        for (index, len) in lens.chunks_exact(2).enumerate() {
            // Short ones for the most part.
            let len = match len {
                [high @ 0..0xe0, low] => usize::from(high % 4) * 256 + usize::from(*low),
                [_, low] => usize::from(*low) * 64 + 64,
                _ => 0,
            };
            let content: Vec<u8> = data.iter().cycle().skip(index).take(len).copied().collect();
            let content = match (content.is_empty(), protocol) {
                (true, Protocol::Tls13) => vec![23],
                _ => content,
            };
            let number = u64::from(*number)
                .wrapping_sub(128)
                .wrapping_add(index as u64);
            let kind = match protocol {
                Protocol::Tls13 => 23,
                _ => 20 + (index % 5) as u8,
            };
            stream.push(number, kind, &content);
        }
        Some((stream, rest))
    }

    /// Adds a record with this content. In TLS 1.3 the inner type is part of it.
    pub fn push(&mut self, number: u64, kind: u8, content: &[u8]) {
        let nonce_len = self.protocol.nonce_len() as usize;
        let header = Header {
            kind,
            length: (nonce_len + content.len() + 16) as u16,
        };
        // As kTLS does it, the explicit nonce counts with the records, but from anywhere.
        let explicit = number.wrapping_add(0x0123_4567_89ab_cdef).to_be_bytes();
        let record = Record {
            start: self.end(),
            len: header.record_len() as u16,
            kind,
            number,
        };
        let nonce = self.protocol.nonce(&IV, number, &explicit);
        let mut cipher = Cipher::new(&nonce, &self.protocol.aad(number, header));
        let mut sealed = content.to_vec();
        cipher.encrypt(&mut sealed);
        for (out, content, tag) in [
            (&mut self.plain, content, [0xee; 16]),
            (&mut self.wire, &sealed, cipher.tag()),
        ] {
            out.extend_from_slice(&header.to_bytes());
            out.extend_from_slice(&explicit[..nonce_len]);
            out.extend_from_slice(content);
            out.extend_from_slice(&tag);
        }
        self.records.push(record);
    }

    /// Sequence number behind the last byte.
    pub fn end(&self) -> u32 {
        self.origin.wrapping_add(self.plain.len() as u32)
    }

    /// Sequence number of the byte at this index.
    pub fn seq(&self, index: usize) -> u32 {
        self.origin.wrapping_add(index as u32)
    }

    /// Index of the byte with this sequence number.
    pub fn index(&self, seq: u32) -> usize {
        seq.wrapping_sub(self.origin) as usize
    }

    /// The record that the byte at this index belongs to.
    pub fn record_at(&self, index: usize) -> Option<Record> {
        let found = self
            .records
            .partition_point(|r| self.index(r.start) + usize::from(r.len) <= index);
        let record = self.records.get(found)?;
        (self.index(record.start) <= index).then_some(*record)
    }
}
