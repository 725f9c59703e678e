// SPDX-License-Identifier: GPL-2.0
//! A connection after the handshake: application data, alerts, KeyUpdate.

use tls_hs::session::{self, Event, KEY_UPDATE};
use tls_hs::{Error, Established, Reason, Traffic, Version};

use crate::protection::HEADER_LEN;
use crate::{Direction, Failure, HostCrypto};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;

const CLOSE_NOTIFY: u8 = 0;
const ILLEGAL_PARAMETER: u8 = 47;
const NO_RENEGOTIATION: u8 = 100;

const WARNING: u8 = 1;
const FATAL: u8 = 2;

const PLAINTEXT_MAX: usize = 1 << 14;
/// Most empty records in a row.
const EMPTY_RECORDS_MAX: u32 = 32;

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// The content of one record.
    Data(Vec<u8>),
    /// close_notify. What follows it is ignored, RFC 8446 section 6.1.
    Closed,
}

/// What a record says, if anything.
enum Said {
    Data(Vec<u8>),
    CloseNotify,
    Alert(u8),
}

/// A connection with traffic keys.
pub struct Session {
    read: Direction,
    write: Direction,
    /// What the engine keeps: secrets of the next keys.
    engine: session::Session,
    crypto: HostCrypto,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The beginning of a handshake message.
    message: Vec<u8>,
    /// Most content of a record to the client.
    fragment_max: usize,
    /// A KeyUpdate is to be sent before the next data.
    update_requested: bool,
    closed: bool,
    close_sent: bool,
    empty_records: u32,
}

/// Why a connection is to be closed: an alert to send, and what for.
#[derive(Clone, Copy)]
struct Refusal(u8, &'static str);

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Refusal(
            reason.alert().map_or(CLOSE_NOTIFY, |alert| alert as u8),
            reason.description(),
        )
    }
}

impl From<Error> for Refusal {
    fn from(Error(reason): Error) -> Self {
        reason.into()
    }
}

/// A record as it came: header and body.
type Record = ([u8; HEADER_LEN], Vec<u8>);

impl Session {
    /// A connection; `input` is what the client sent behind the handshake.
    pub(crate) fn new(established: &Established<'_>, crypto: HostCrypto, input: Vec<u8>) -> Self {
        let (version, suite) = (established.version, established.suite);
        let mut engine = session::Session::empty();
        engine.start(established);
        Session {
            read: Direction::new(version, suite, established.client),
            write: Direction::new(version, suite, established.server),
            engine,
            crypto,
            input,
            output: Vec::new(),
            message: Vec::new(),
            fragment_max: established.fragment_max.into(),
            update_requested: false,
            closed: false,
            close_sent: false,
            empty_records: 0,
        }
    }

    /// Sends at most `len` bytes of content a record.
    pub fn limit_fragments(&mut self, len: usize) {
        self.fragment_max = self.fragment_max.min(len.max(1));
    }

    /// Takes bytes of the client.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What goes to the client.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next thing that the client says; `None` if that takes more bytes. An error has put the
    /// alert into the output, if one is due.
    pub fn receive(&mut self) -> Result<Option<Received>, Failure> {
        while !self.closed {
            let record = self.take_record().map_err(|refusal| self.refuse(refusal))?;
            let Some((header, body)) = record else {
                return Ok(None);
            };
            let received = self
                .open(header, &body)
                .and_then(|(kind, content)| self.record(kind, content))
                .map_err(|refusal| self.refuse(refusal))?;
            match received {
                Some(Said::Alert(description)) => {
                    self.closed = true;
                    self.close_sent = true;
                    return Err(Failure::Alert(description));
                }
                Some(Said::Data(data)) => return Ok(Some(Received::Data(data))),
                Some(Said::CloseNotify) => self.closed = true,
                None => {}
            }
        }
        Ok(Some(Received::Closed))
    }

    fn refuse(&mut self, Refusal(alert, why): Refusal) -> Failure {
        self.send_record(ALERT, &[FATAL, alert]);
        self.close_sent = true;
        self.closed = true;
        Failure::Refused(alert, why)
    }

    fn take_record(&mut self) -> Result<Option<Record>, Refusal> {
        let Some((&header, rest)) = self.input.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let [_, major, _, high, low] = header;
        let len = usize::from(u16::from_be_bytes([high, low]));
        // RFC 8446 section 5.2, RFC 5246 section 6.2.3.
        let expansion = match self.engine.version() {
            Version::Tls12 => 2048,
            Version::Tls13 => 256,
        };
        if major != 3 {
            return Err(Reason::RecordVersion.into());
        }
        if len > PLAINTEXT_MAX + expansion {
            return Err(Reason::RecordOverflow.into());
        }
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.input.drain(..HEADER_LEN + len);
        Ok(Some((header, body)))
    }

    fn open(&mut self, header: [u8; HEADER_LEN], body: &[u8]) -> Result<(u8, Vec<u8>), Refusal> {
        let kind = header[0];
        let protected = match self.engine.version() {
            Version::Tls12 => (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind),
            Version::Tls13 => kind == APPLICATION_DATA,
        };
        if !protected {
            return Err(Reason::UnexpectedRecord.into());
        }
        let (kind, content) = self
            .read
            .open(&mut self.crypto, header, body)
            .ok_or(Reason::BadRecordMac)?;
        if content.len() > PLAINTEXT_MAX {
            return Err(Reason::RecordOverflow.into());
        }
        Ok((kind, content))
    }

    fn record(&mut self, kind: u8, content: Vec<u8>) -> Result<Option<Said>, Refusal> {
        if kind != HANDSHAKE && !self.message.is_empty() {
            return Err(Reason::InterleavedRecord.into());
        }
        match kind {
            APPLICATION_DATA if content.is_empty() => {
                self.empty_records += 1;
                if self.empty_records > EMPTY_RECORDS_MAX {
                    return Err(Reason::EmptyRecord.into());
                }
                Ok(None)
            }
            APPLICATION_DATA => {
                self.empty_records = 0;
                self.engine.received_data();
                Ok(Some(Said::Data(content)))
            }
            HANDSHAKE => self.handshake(&content).map(|()| None),
            ALERT if matches!(content[..], [level, _] if level != WARNING && level != FATAL) => {
                Err(Refusal(ILLEGAL_PARAMETER, "an alert of an unknown level"))
            }
            _ => match self.engine.record(kind, &content)? {
                Event::Alert(description) => Ok(Some(Said::Alert(description))),
                Event::CloseNotify => Ok(Some(Said::CloseNotify)),
                Event::Nothing | Event::KeyUpdate { .. } => Ok(None),
            },
        }
    }

    /// Handshake messages after the handshake: renegotiation, which is refused, and KeyUpdate,
    /// which may come in pieces.
    fn handshake(&mut self, content: &[u8]) -> Result<(), Refusal> {
        if content.is_empty() {
            return Err(Reason::EmptyRecord.into());
        }
        self.message.extend_from_slice(content);
        match (self.engine.version(), self.message[0]) {
            (Version::Tls12, CLIENT_HELLO) => {
                return Err(Refusal(NO_RENEGOTIATION, "renegotiation is refused"))
            }
            (Version::Tls13, kind) if kind == KEY_UPDATE[0] => {}
            _ => return Err(Reason::UnexpectedMessage.into()),
        }
        let header_len = self.message.len().min(4);
        if self.message[..header_len] != KEY_UPDATE[..header_len] {
            return Err(Reason::DecodeError.into());
        }
        let Some((message, excess)) = self.message.split_first_chunk::<{ KEY_UPDATE.len() }>()
        else {
            return Ok(());
        };
        // RFC 8446 section 5.1: handshake messages MUST NOT span key changes.
        if !excess.is_empty() {
            return Err(Reason::ExcessHandshakeData.into());
        }
        if let Event::KeyUpdate { answer } = self.engine.record(HANDSHAKE, message)? {
            let mut keys = Traffic::plain();
            self.engine.next_client(&mut self.crypto, &mut keys);
            self.read.update(&keys);
            self.update_requested |= answer;
        }
        self.message.clear();
        Ok(())
    }

    fn send_record(&mut self, kind: u8, content: &[u8]) {
        self.write
            .seal(&mut self.crypto, kind, content, &mut self.output);
    }

    /// Sends data.
    pub fn send(&mut self, data: &[u8]) {
        if self.update_requested {
            self.update_keys();
        }
        for fragment in data.chunks(self.fragment_max) {
            self.send_record(APPLICATION_DATA, fragment);
        }
    }

    /// Sends a KeyUpdate that asks for none in return, and uses the new keys from there on.
    /// Nothing happens in TLS 1.2.
    pub fn update_keys(&mut self) {
        if self.engine.version() == Version::Tls13 {
            self.send_record(HANDSHAKE, &KEY_UPDATE);
            let mut keys = Traffic::plain();
            self.engine.next_server(&mut self.crypto, &mut keys);
            self.write.update(&keys);
            self.update_requested = false;
        }
    }

    /// Sends close_notify, once, unless a fatal alert went either way.
    pub fn close(&mut self) {
        if !self.close_sent {
            self.send_record(ALERT, &[WARNING, CLOSE_NOTIFY]);
            self.close_sent = true;
        }
    }
}

#[cfg(test)]
mod tests;
