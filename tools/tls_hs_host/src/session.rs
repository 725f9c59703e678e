// SPDX-License-Identifier: GPL-2.0
//! A connection after the handshake: application data, alerts, KeyUpdate.

use tls_hs::Version;

use crate::protection::HEADER_LEN;
use crate::{Direction, Failure, HostCrypto};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const KEY_UPDATE: u8 = 24;

const CLOSE_NOTIFY: u8 = 0;
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const PROTOCOL_VERSION: u8 = 70;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

const WARNING: u8 = 1;
const FATAL: u8 = 2;

const PLAINTEXT_MAX: usize = 1 << 14;
/// Most empty records, and most KeyUpdates, in a row.
const IN_A_ROW_MAX: u32 = 32;
/// Most warning alerts in a row.
const WARNINGS_MAX: u32 = 4;

/// What came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// The content of one record.
    Data(Vec<u8>),
    /// close_notify. What follows it is ignored, RFC 8446 section 6.1.
    Closed,
}

/// A connection with traffic keys.
pub struct Session {
    read: Direction,
    write: Direction,
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
    key_updates: u32,
    warnings: u32,
}

/// A record as it came: header and body.
type Record = ([u8; HEADER_LEN], Vec<u8>);
type Step = Result<Option<Received>, (u8, &'static str)>;

impl Session {
    /// A connection; `input` is what the client sent behind the handshake.
    pub fn new(read: Direction, write: Direction, crypto: HostCrypto, input: Vec<u8>) -> Self {
        Session {
            read,
            write,
            crypto,
            input,
            output: Vec::new(),
            message: Vec::new(),
            fragment_max: PLAINTEXT_MAX,
            update_requested: false,
            closed: false,
            close_sent: false,
            empty_records: 0,
            key_updates: 0,
            warnings: 0,
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
            let Some((header, body)) = self.take_record()? else {
                return Ok(None);
            };
            let step = self.open(header, &body).map_err(|e| self.refuse(e))?;
            let received = match step {
                (ALERT, content) => self.alert(&content)?,
                (kind, content) => self.record(kind, content).map_err(|e| self.refuse(e))?,
            };
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(Some(Received::Closed))
    }

    fn refuse(&mut self, (alert, why): (u8, &'static str)) -> Failure {
        self.send_record(ALERT, &[FATAL, alert]);
        self.close_sent = true;
        self.closed = true;
        Failure::Refused(alert, why)
    }

    fn take_record(&mut self) -> Result<Option<Record>, Failure> {
        let Some((&header, rest)) = self.input.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let [_, major, _, high, low] = header;
        let len = usize::from(u16::from_be_bytes([high, low]));
        // RFC 8446 section 5.2, RFC 5246 section 6.2.3.
        let expansion = match self.read.version() {
            Version::Tls12 => 2048,
            Version::Tls13 => 256,
        };
        if major != 3 {
            return Err(self.refuse((PROTOCOL_VERSION, "a record of another protocol")));
        }
        if len > PLAINTEXT_MAX + expansion {
            return Err(self.refuse((RECORD_OVERFLOW, "a record is too long")));
        }
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.input.drain(..HEADER_LEN + len);
        Ok(Some((header, body)))
    }

    fn open(
        &mut self,
        header: [u8; HEADER_LEN],
        body: &[u8],
    ) -> Result<(u8, Vec<u8>), (u8, &'static str)> {
        let kind = header[0];
        let protected = match self.read.version() {
            Version::Tls12 => (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind),
            Version::Tls13 => kind == APPLICATION_DATA,
        };
        if !protected {
            return Err((
                UNEXPECTED_MESSAGE,
                "a record of a type that has no place here",
            ));
        }
        let (kind, content) = self
            .read
            .open(&mut self.crypto, header, body)
            .ok_or((BAD_RECORD_MAC, "a record does not authenticate"))?;
        if content.len() > PLAINTEXT_MAX {
            return Err((RECORD_OVERFLOW, "the content of a record is too long"));
        }
        Ok((kind, content))
    }

    fn record(&mut self, kind: u8, content: Vec<u8>) -> Step {
        if kind != HANDSHAKE && !self.message.is_empty() {
            return Err((UNEXPECTED_MESSAGE, "a record inside a handshake message"));
        }
        match kind {
            APPLICATION_DATA if content.is_empty() => {
                self.empty_records += 1;
                if self.empty_records > IN_A_ROW_MAX {
                    return Err((UNEXPECTED_MESSAGE, "too many empty records"));
                }
                Ok(None)
            }
            APPLICATION_DATA => {
                self.empty_records = 0;
                self.key_updates = 0;
                self.warnings = 0;
                Ok(Some(Received::Data(content)))
            }
            HANDSHAKE if !content.is_empty() => {
                self.message.extend_from_slice(&content);
                self.handshake().map(|()| None)
            }
            _ => Err((
                UNEXPECTED_MESSAGE,
                "a record of a type that has no place here",
            )),
        }
    }

    /// Handshake messages after the handshake: renegotiation, which is refused, and KeyUpdate.
    fn handshake(&mut self) -> Result<(), (u8, &'static str)> {
        match (self.read.version(), self.message[0]) {
            (Version::Tls12, CLIENT_HELLO) => {
                return Err((NO_RENEGOTIATION, "renegotiation is refused"))
            }
            (Version::Tls13, KEY_UPDATE) => {}
            _ => {
                return Err((
                    UNEXPECTED_MESSAGE,
                    "a message of a type that has no place here",
                ))
            }
        }
        let Some(&[_, a, b, c]) = self.message.first_chunk() else {
            return Ok(());
        };
        if [a, b, c] != [0, 0, 1] {
            return Err((DECODE_ERROR, "a KeyUpdate of the wrong length"));
        }
        let Some(&request) = self.message.get(4) else {
            return Ok(());
        };
        // RFC 8446 section 5.1: handshake messages MUST NOT span key changes.
        if self.message.len() > 5 {
            return Err((UNEXPECTED_MESSAGE, "data behind a KeyUpdate in its record"));
        }
        if request > 1 {
            return Err((ILLEGAL_PARAMETER, "a KeyUpdate of an unknown kind"));
        }
        self.key_updates += 1;
        if self.key_updates > IN_A_ROW_MAX {
            return Err((UNEXPECTED_MESSAGE, "too many KeyUpdates"));
        }
        self.message.clear();
        self.read.update(&mut self.crypto);
        self.update_requested |= request == 1;
        Ok(())
    }

    fn alert(&mut self, content: &[u8]) -> Result<Option<Received>, Failure> {
        if !self.message.is_empty() {
            return Err(self.refuse((UNEXPECTED_MESSAGE, "an alert inside a handshake message")));
        }
        let &[level, description] = content else {
            return Err(self.refuse((DECODE_ERROR, "an alert of the wrong length")));
        };
        // RFC 8446 section 6: in TLS 1.3 the level means nothing.
        let tls13 = self.read.version() == Version::Tls13;
        match (level, description) {
            (WARNING | FATAL, CLOSE_NOTIFY) => {
                self.closed = true;
                Ok(Some(Received::Closed))
            }
            (WARNING, USER_CANCELED) => self.warning(),
            (WARNING, _) if !tls13 => self.warning(),
            (WARNING | FATAL, _) => {
                self.closed = true;
                self.close_sent = true;
                Err(Failure::Alert(description))
            }
            _ => Err(self.refuse((ILLEGAL_PARAMETER, "an alert of an unknown level"))),
        }
    }

    fn warning(&mut self) -> Result<Option<Received>, Failure> {
        self.warnings += 1;
        if self.warnings > WARNINGS_MAX {
            return Err(self.refuse((UNEXPECTED_MESSAGE, "too many warning alerts")));
        }
        Ok(None)
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
        if self.write.version() == Version::Tls13 {
            self.send_record(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0]);
            self.write.update(&mut self.crypto);
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
