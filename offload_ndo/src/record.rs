// SPDX-License-Identifier: GPL-2.0
//! Records as a device sees them: header, explicit nonce, content, tag. RFC 5246 section 6.2.3.3,
//! RFC 5288 section 3, RFC 7905 section 2, RFC 8446 section 5.2.

/// Length of a record header.
pub const HEADER_LEN: u32 = 5;
/// Length of the authentication tag of every AEAD here.
pub const TAG_LEN: u32 = 16;
/// Most bytes of a record of any protocol, header and tag included.
pub const MAX_RECORD_LEN: u32 = HEADER_LEN + 8 + PLAINTEXT_MAX + TAG_LEN;

const PLAINTEXT_MAX: u32 = 1 << 14;

/// How records are protected: what a record consists of, and where its nonce comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AES-GCM in TLS 1.2: 8 bytes of the nonce stand in front of the content.
    Tls12Gcm,
    /// ChaCha20-Poly1305 in TLS 1.2: the nonce is made of the record number.
    Tls12ChaCha20Poly1305,
    /// Any AEAD in TLS 1.3: the same, and the type is the last byte of the encrypted content.
    Tls13,
}

impl Protocol {
    /// Length of the explicit nonce between header and content.
    pub const fn nonce_len(self) -> u32 {
        match self {
            Protocol::Tls12Gcm => 8,
            Protocol::Tls12ChaCha20Poly1305 | Protocol::Tls13 => 0,
        }
    }

    /// Least bytes behind a header.
    pub const fn min_len(self) -> u16 {
        match self {
            Protocol::Tls12Gcm => 8 + TAG_LEN as u16,
            Protocol::Tls12ChaCha20Poly1305 => TAG_LEN as u16,
            Protocol::Tls13 => 1 + TAG_LEN as u16,
        }
    }

    /// Most bytes behind a header: 2^14 of content and what the protocol adds to them.
    pub const fn max_len(self) -> u16 {
        PLAINTEXT_MAX as u16 + self.min_len()
    }

    /// The nonce of a record. `iv` is the static IV or, for AES-GCM in TLS 1.2, the salt in its
    /// first 4 bytes; `explicit` is only looked at for the latter.
    pub fn nonce(self, iv: &[u8; 12], number: u64, explicit: &[u8; 8]) -> [u8; 12] {
        let mut nonce = *iv;
        if let Some(tail) = nonce.last_chunk_mut::<8>() {
            match self {
                Protocol::Tls12Gcm => *tail = *explicit,
                Protocol::Tls12ChaCha20Poly1305 | Protocol::Tls13 => {
                    *tail = (u64::from_be_bytes(*tail) ^ number).to_be_bytes();
                }
            }
        }
        nonce
    }

    /// additional_data of a record: in TLS 1.2 its number, type, version and length of content,
    /// in TLS 1.3 its header.
    pub const fn aad(self, number: u64, header: Header) -> Aad {
        let [kind, major, minor, high, low] = header.to_bytes();
        match self {
            Protocol::Tls13 => Aad {
                bytes: [kind, major, minor, high, low, 0, 0, 0, 0, 0, 0, 0, 0],
                len: 5,
            },
            Protocol::Tls12Gcm | Protocol::Tls12ChaCha20Poly1305 => {
                let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
                let [high, low] = header.content_len(self).to_be_bytes();
                Aad {
                    bytes: [a, b, c, d, e, f, g, h, kind, major, minor, high, low],
                    len: 13,
                }
            }
        }
    }
}

/// additional_data of one record; its bytes are those of `as_ref()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aad {
    bytes: [u8; 13],
    len: u8,
}

impl AsRef<[u8]> for Aad {
    fn as_ref(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }
}

/// A record header. The version is always 3, 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// ContentType. Users of a socket may send any; in TLS 1.3 this is the outer type.
    pub kind: u8,
    /// Bytes that follow the header.
    pub length: u16,
}

impl Header {
    /// The header that these bytes are, if a record of this protocol can have it.
    pub const fn parse(bytes: [u8; 5], protocol: Protocol) -> Option<Header> {
        let [kind, major, minor, high, low] = bytes;
        let length = u16::from_be_bytes([high, low]);
        if major != 3 || minor != 3 || length < protocol.min_len() || length > protocol.max_len() {
            return None;
        }
        Some(Header { kind, length })
    }

    /// The header on the wire.
    pub const fn to_bytes(self) -> [u8; 5] {
        let [high, low] = self.length.to_be_bytes();
        [self.kind, 3, 3, high, low]
    }

    /// Whether TLS itself knows the type: what a search in arbitrary bytes goes by.
    pub const fn is_known(self, protocol: Protocol) -> bool {
        match protocol {
            // RFC 8446 section 5.2: the outer opaque_type is always application_data.
            Protocol::Tls13 => self.kind == 23,
            Protocol::Tls12Gcm | Protocol::Tls12ChaCha20Poly1305 => {
                self.kind >= 20 && self.kind <= 23
            }
        }
    }

    /// Length of the whole record.
    pub const fn record_len(self) -> u32 {
        (self.length as u32).wrapping_add(HEADER_LEN)
    }

    /// Length of what is encrypted.
    pub const fn content_len(self, protocol: Protocol) -> u16 {
        let around = protocol.nonce_len().wrapping_add(TAG_LEN);
        self.length.saturating_sub(around as u16)
    }
}

/// A record in the stream of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Sequence number of the header's first byte.
    pub start: u32,
    /// All bytes, header and tag included.
    pub len: u16,
    /// ContentType in the header.
    pub kind: u8,
    /// Record number under the connection's keys.
    pub number: u64,
}

impl Record {
    /// Sequence number of the first byte behind the record.
    pub const fn end(&self) -> u32 {
        self.start.wrapping_add(self.len as u32)
    }
}
