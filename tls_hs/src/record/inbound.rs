// SPDX-License-Identifier: GPL-2.0
//! Records and handshake messages as they come in.
//!
//! Two ways of reading. The ClientHello is long, may be spread over many records and segments, and
//! must stay unread until it is accepted: [`Inbound::client_hello`] walks the record headers of the
//! unread bytes and copies the message once it is there as a whole. Everything behind it is short
//! and taken record by record: [`Inbound::record`], and [`Inbound::message`] to join fragments.
//!
//! # Cost
//!
//! A call looks at one header per record that is new since the call before and at no other byte,
//! however slowly the bytes drip in; a complete ClientHello is copied once, with two calls of
//! [`Input::peek`] for each record.

use super::{ContentType, CIPHERTEXT_MAX, HEADER_LEN, PLAINTEXT_MAX};
use crate::codec::copy;
use crate::msgs::HandshakeType;
use crate::{Error, Input, Reason, SCRATCH_LEN};

/// Longest ClientHello, with its header.
pub const CLIENT_HELLO_MAX: usize = 16384;
/// Most records that a ClientHello may be spread over. With none of them empty, no more than
/// 16384 + 5 * 2048 bytes are ever waited for.
pub const CLIENT_HELLO_RECORDS_MAX: u16 = 2048;

/// Length of the header of a handshake message.
pub const MESSAGE_HEADER_LEN: usize = 4;
/// Longest message behind the ClientHello, with its header: a ClientKeyExchange with an
/// uncompressed point.
const MESSAGE_MAX: usize = 72;

const _: () = assert!(CLIENT_HELLO_MAX + 256 <= SCRATCH_LEN && CIPHERTEXT_MAX <= SCRATCH_LEN);

/// Proof that the handshake bytes read so far end with a record: the keys may change.
pub struct Boundary(());

/// The header of a record.
pub struct Header {
    /// Its type.
    pub kind: ContentType,
    /// Its bytes, as authenticated in TLS 1.3.
    pub bytes: [u8; HEADER_LEN],
    /// Length of what follows it.
    pub len: usize,
}

impl Header {
    /// Its version field.
    pub const fn version(&self) -> u16 {
        let [_, major, minor, ..] = self.bytes;
        u16::from_be_bytes([major, minor])
    }

    /// Length of the record.
    pub const fn record_len(&self) -> usize {
        HEADER_LEN.saturating_add(self.len)
    }
}

/// What has been read of the message under way.
pub struct Inbound {
    /// Bytes of whole records that were looked at and are not consumed: fragments of a
    /// ClientHello.
    scanned: usize,
    /// Bytes of the message in records read or looked at.
    gathered: usize,
    /// Records that the ClientHello takes so far.
    records: u16,
    /// The front of the message; of a ClientHello the header only.
    message: [u8; MESSAGE_MAX],
}

impl Inbound {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Inbound {
            scanned: 0,
            gathered: 0,
            records: 0,
            message: [0; MESSAGE_MAX],
        }
    }

    /// Whether part of a message has been read.
    pub const fn mid_message(&self) -> bool {
        self.gathered != 0
    }

    /// The proof for a key change.
    pub fn boundary(&self) -> Result<Boundary, Error> {
        if self.mid_message() {
            return Err(Reason::ExcessHandshakeData.into());
        }
        Ok(Boundary(()))
    }

    /// The header of the record at `at`, if it is there.
    fn header<I: Input + ?Sized>(
        input: &I,
        at: usize,
        protected: bool,
    ) -> Result<Option<Header>, Error> {
        let mut bytes = [0; HEADER_LEN];
        if input.peek(at, &mut bytes) < HEADER_LEN {
            return Ok(None);
        }
        let [kind, major, _, high, low] = bytes;
        let kind = ContentType::from_u8(kind).ok_or(Reason::UnexpectedRecord)?;
        // RFC 8446 section 5.1: legacy_record_version MUST be ignored for all purposes. Something
        // that is no version of TLS is no record.
        if major != 3 {
            return Err(Reason::RecordVersion.into());
        }
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len
            > if protected {
                CIPHERTEXT_MAX
            } else {
                PLAINTEXT_MAX
            }
        {
            return Err(Reason::RecordOverflow.into());
        }
        Ok(Some(Header { kind, bytes, len }))
    }

    /// The same, if the record is there as a whole.
    fn whole<I: Input + ?Sized>(
        input: &I,
        at: usize,
        protected: bool,
    ) -> Result<Option<Header>, Error> {
        let header = Self::header(input, at, protected)?;
        Ok(header.filter(|header| input.available() >= at.saturating_add(header.record_len())))
    }

    /// The type of the first unread record, if its header is there and no fragment of a ClientHello
    /// has been looked at.
    pub fn first_kind<I: Input + ?Sized>(&self, input: &I) -> Result<Option<ContentType>, Error> {
        if self.mid_message() {
            return Ok(None);
        }
        Ok(Self::header(input, 0, true)?.map(|header| header.kind))
    }

    /// Looks for a whole ClientHello. Returns the length of the message, which is then at the front
    /// of `scratch`, and the length of the records that it takes.
    pub fn client_hello<I: Input + ?Sized>(
        &mut self,
        input: &I,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<Option<(usize, usize)>, Error> {
        loop {
            let Some(header) = Self::whole(input, self.scanned, false)? else {
                return Ok(None);
            };
            match header.kind {
                ContentType::Handshake => {}
                _ if self.mid_message() => return Err(Reason::InterleavedRecord.into()),
                ContentType::Alert => return Err(Reason::AlertReceived.into()),
                _ => return Err(Reason::UnexpectedRecord.into()),
            }
            // RFC 8446 section 5.1: zero-length fragments of Handshake types MUST NOT be sent.
            if header.len == 0 {
                return Err(Reason::EmptyRecord.into());
            }
            if let Some(head) = self.message.get_mut(self.gathered..MESSAGE_HEADER_LEN) {
                let len = head.len().min(header.len);
                let head = head.get_mut(..len).unwrap_or(&mut []);
                input.peek(self.scanned.saturating_add(HEADER_LEN), head);
            }
            self.gathered = self.gathered.saturating_add(header.len);
            self.scanned = self.scanned.saturating_add(header.record_len());
            self.records = self.records.saturating_add(1);

            if self.gathered >= MESSAGE_HEADER_LEN {
                let [kind, a, b, c, ..] = self.message;
                if kind != HandshakeType::ClientHello as u8 {
                    return Err(Reason::UnexpectedMessage.into());
                }
                let len = u32::from_be_bytes([0, a, b, c]) as usize;
                let len = len.saturating_add(MESSAGE_HEADER_LEN);
                if len > CLIENT_HELLO_MAX {
                    return Err(Reason::ClientHelloTooLong.into());
                }
                if self.gathered > len {
                    return Err(Reason::ExcessHandshakeData.into());
                }
                if self.gathered == len {
                    return Ok(self.join(input, scratch).then(|| {
                        let records = self.scanned;
                        *self = Inbound::new();
                        (len, records)
                    }));
                }
            }
            if self.records >= CLIENT_HELLO_RECORDS_MAX {
                return Err(Reason::ClientHelloTooFragmented.into());
            }
        }
    }

    /// Copies the content of the records looked at to the front of `scratch`. False if bytes that
    /// were there are gone.
    fn join<I: Input + ?Sized>(&self, input: &I, scratch: &mut [u8; SCRATCH_LEN]) -> bool {
        let mut at = 0;
        let mut room = &mut scratch[..];
        while at < self.scanned {
            let Ok(Some(header)) = Self::whole(input, at, false) else {
                return false;
            };
            let Some((content, rest)) = room.split_at_mut_checked(header.len) else {
                return false;
            };
            if input.peek(at.saturating_add(HEADER_LEN), content) < header.len {
                return false;
            }
            at = at.saturating_add(header.record_len());
            room = rest;
        }
        true
    }

    /// The first unread record, copied to the front of `scratch` without its header, if it is
    /// there as a whole. The caller consumes it.
    pub fn record<I: Input + ?Sized>(
        &mut self,
        input: &I,
        protected: bool,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<Option<Header>, Error> {
        let Some(header) = Self::whole(input, 0, protected)? else {
            return Ok(None);
        };
        let body = scratch.get_mut(..header.len).unwrap_or(&mut []);
        let whole = input.peek(HEADER_LEN, body) == header.len;
        Ok(whole.then_some(header))
    }

    /// Adds the content of a handshake record to the message under way, which is returned once it
    /// is complete. `expected` is the only type that may come, checked as soon as it is known; the
    /// message must end with its record.
    pub fn message(
        &mut self,
        expected: HandshakeType,
        content: &[u8],
    ) -> Result<Option<Message>, Error> {
        let Some(first) = content.first() else {
            return Err(Reason::EmptyRecord.into());
        };
        if self.gathered == 0 && *first != expected as u8 {
            return Err(Reason::UnexpectedMessage.into());
        }
        copy(
            content,
            self.message.get_mut(self.gathered..).unwrap_or(&mut []),
        );
        self.gathered = self.gathered.saturating_add(content.len());
        if self.gathered < MESSAGE_HEADER_LEN {
            return Ok(None);
        }
        let [_, a, b, c, ..] = self.message;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let len = len.saturating_add(MESSAGE_HEADER_LEN);
        if len > MESSAGE_MAX {
            return Err(Reason::DecodeError.into());
        }
        if self.gathered > len {
            return Err(Reason::ExcessHandshakeData.into());
        }
        if self.gathered < len {
            return Ok(None);
        }
        self.gathered = 0;
        Ok(Some(Message {
            bytes: self.message,
            len,
        }))
    }
}

/// A short handshake message.
pub struct Message {
    bytes: [u8; MESSAGE_MAX],
    len: usize,
}

impl Message {
    /// The message with its header, as it enters the transcript.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}
