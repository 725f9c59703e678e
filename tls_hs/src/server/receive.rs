// SPDX-License-Identifier: GPL-2.0
//! What the client sends: which record may come in which state.

use super::{Context, Event, Expected, Server, State};
use crate::msgs::HandshakeType;
use crate::record::inbound::Header;
use crate::record::{ContentType, TLS13_TRAILER_LEN};
use crate::{AlertDescription, Crypto, Environment, Error, Input, Reason, Version, SCRATCH_LEN};

/// Most change_cipher_spec records. RFC 8446 section 5 allows them "at any time" during the
/// handshake without a number.
const CHANGE_CIPHER_SPECS_MAX: u8 = 32;
/// Most warning alerts.
const WARNINGS_MAX: u8 = 4;
/// Most content that is skipped as early data: as much as libraries permit with their tickets, which
/// the client of a listener with a fallback may have. Padding counts, as nobody can tell it apart.
const EARLY_DATA_MAX: u16 = 16384;
/// The same without a PSK, which RFC 8446 section 4.2.10 has the client offer along with early data:
/// no ticket has permitted it any.
const EARLY_DATA_WITHOUT_PSK_MAX: u16 = 4096;
/// What a skipped record counts at least, so that there are not many.
const EARLY_DATA_RECORD_MIN: usize = 64;

/// What is still put up with.
pub struct Tolerance {
    change_cipher_specs: u8,
    warnings: u8,
    /// Content that may still be skipped as early data; `None` if none is expected.
    early_data: Option<u16>,
    /// Description of the last alert that came.
    received: Option<u8>,
}

impl Tolerance {
    pub const fn new() -> Self {
        Tolerance {
            change_cipher_specs: CHANGE_CIPHER_SPECS_MAX,
            warnings: WARNINGS_MAX,
            early_data: None,
            received: None,
        }
    }

    /// The client announced early data, which is not accepted, and did or did not offer a PSK.
    pub fn expect_early_data(&mut self, with_psk: bool) {
        self.early_data = Some(match with_psk {
            true => EARLY_DATA_MAX,
            false => EARLY_DATA_WITHOUT_PSK_MAX,
        });
    }

    /// Description of the last alert that came.
    pub fn received(&self) -> Option<u8> {
        self.received
    }

    /// No more early data can come.
    pub fn expect_no_early_data(&mut self) {
        self.early_data = None;
    }

    /// RFC 8446 section 5: a change_cipher_spec with the value 1 MUST be dropped, any other value
    /// and a protected one MUST be refused.
    fn change_cipher_spec(&mut self, content: &[u8]) -> Result<(), Error> {
        if content != [1] {
            return Err(Reason::BadChangeCipherSpec.into());
        }
        self.change_cipher_specs = self
            .change_cipher_specs
            .checked_sub(1)
            .ok_or(Reason::TooManyChangeCipherSpecs)?;
        Ok(())
    }

    /// RFC 8446 section 4.2.10: skip records as long as they may be early data.
    fn early_data(&mut self, record: &Header, otherwise: Reason) -> Result<(), Error> {
        let left = usize::from(self.early_data.ok_or(otherwise)?);
        let content = record.len.saturating_sub(TLS13_TRAILER_LEN);
        let left = left
            .checked_sub(content.max(EARLY_DATA_RECORD_MIN))
            .ok_or(Reason::TooMuchEarlyData)?;
        self.early_data = Some(left as u16);
        Ok(())
    }

    /// RFC 8446 section 6: all alerts but user_canceled end the connection. In TLS 1.2 other warnings
    /// than close_notify do not have to; before the version is settled it is taken for 1.3.
    fn alert(&mut self, content: &[u8], version: Version) -> Result<(), Error> {
        const WARNING: u8 = 1;
        let harmless = |description| match version {
            Version::Tls12 => description != AlertDescription::CloseNotify as u8,
            Version::Tls13 => description == AlertDescription::UserCanceled as u8,
        };
        let [level, description] = *content else {
            return Err(match (content, version) {
                // RFC 8446 section 5.4.
                ([], Version::Tls13) => Reason::EmptyRecord.into(),
                _ => Reason::DecodeError.into(),
            });
        };
        self.received = Some(description);
        if level != WARNING || !harmless(description) {
            return Err(Reason::AlertReceived.into());
        }
        self.warnings = self
            .warnings
            .checked_sub(1)
            .ok_or(Reason::TooManyWarnings)?;
        Ok(())
    }
}

impl<C: Crypto> Server<C> {
    /// The version that is spoken behind the first ClientHello.
    fn version(&self) -> Version {
        match self.state {
            State::Tls12WaitKeyExchange(_)
            | State::Tls12WaitChangeCipherSpec(_)
            | State::Tls12WaitFinished(_) => Version::Tls12,
            _ => Version::Tls13,
        }
    }

    pub(super) fn receive_client_hello<E: Environment<Crypto = C>, I: Input + ?Sized>(
        &mut self,
        env: &mut E,
        input: &I,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<usize, Error> {
        let inbound = &mut self.context.inbound;
        let found = inbound
            .client_hello(input, scratch)
            .map_err(|error| match error.0 {
                Reason::UnexpectedRecord => Reason::NotTls.into(),
                _ => error,
            })?;
        let Some((len, consumed)) = found else {
            return Ok(0);
        };
        let message = scratch.get(..len).unwrap_or(&[]);
        self.advance(env, Event::Message(HandshakeType::ClientHello, message))?;
        Ok(consumed)
    }

    /// In front of the second ClientHello there may be a change_cipher_spec, and early data that
    /// was sent along with the first.
    pub(super) fn receive_second_client_hello<E: Environment<Crypto = C>, I: Input + ?Sized>(
        &mut self,
        env: &mut E,
        input: &I,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<usize, Error> {
        let cx = &mut self.context;
        let kind = cx.inbound.first_kind(input)?;
        if !matches!(kind, Some(k) if k != ContentType::Handshake) {
            return self.receive_client_hello(env, input, scratch);
        }
        let Some(header) = cx.inbound.record(input, true, scratch)? else {
            return Ok(0);
        };
        let content = scratch.get(..header.len).unwrap_or(&[]);
        let tolerance = &mut cx.tolerance;
        match header.kind {
            ContentType::ChangeCipherSpec => tolerance.change_cipher_spec(content)?,
            ContentType::Alert => tolerance.alert(content, Version::Tls13)?,
            ContentType::ApplicationData => {
                tolerance.early_data(&header, Reason::UnexpectedRecord)?;
            }
            ContentType::Handshake => return Err(Reason::UnexpectedRecord.into()),
        }
        Ok(header.record_len())
    }

    /// A record behind the ClientHello.
    pub(super) fn receive_record<E: Environment<Crypto = C>, I: Input + ?Sized>(
        &mut self,
        env: &mut E,
        input: &I,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<usize, Error> {
        let expected = self.expected()?;
        let version = self.version();
        let cx = &mut self.context;
        let Some(header) = cx.inbound.record(input, cx.read.active(), scratch)? else {
            return Ok(0);
        };
        let consumed = header.record_len();
        let body = scratch.get_mut(..header.len).unwrap_or(&mut []);
        let (kind, content) = match version {
            Version::Tls13 => match cx.opened_tls13(env.crypto(), &header, body)? {
                Some(opened) => opened,
                None => return Ok(consumed),
            },
            // RFC 5246 section 6.2.1.
            Version::Tls12 if header.version() != Version::Tls12.code() => {
                return Err(Reason::RecordVersion.into())
            }
            Version::Tls12 if cx.read.active() => {
                cx.read.open(env.crypto(), &header.bytes, body)?
            }
            Version::Tls12 => (header.kind, &*body),
        };
        if cx.inbound.mid_message() && kind != ContentType::Handshake {
            return Err(Reason::InterleavedRecord.into());
        }
        match (kind, expected) {
            (ContentType::Handshake, Expected::Message(kind)) => {
                if let Some(message) = cx.inbound.message(kind, content)? {
                    self.advance(env, Event::Message(kind, message.bytes()))?;
                }
            }
            (ContentType::Handshake, Expected::ChangeCipherSpec) => {
                return Err(Reason::UnexpectedMessage.into())
            }
            (ContentType::ChangeCipherSpec, Expected::ChangeCipherSpec) => {
                if content != [1] {
                    return Err(Reason::IllegalChangeCipherSpec.into());
                }
                let boundary = cx.inbound.boundary()?;
                self.advance(env, Event::ChangeCipherSpec(boundary))?;
            }
            (ContentType::Alert, _) => cx.tolerance.alert(content, version)?,
            _ => return Err(Reason::UnexpectedRecord.into()),
        }
        Ok(consumed)
    }
}

impl<C: Crypto> Context<C> {
    /// What a record of TLS 1.3 holds, under the handshake keys; `None` if it is to be skipped.
    fn opened_tls13<'a>(
        &mut self,
        crypto: &mut C,
        header: &Header,
        body: &'a mut [u8],
    ) -> Result<Option<(ContentType, &'a [u8])>, Error> {
        match header.kind {
            ContentType::ApplicationData => {}
            ContentType::Handshake => return Err(Reason::UnexpectedRecord.into()),
            // That of a client that could not make its keys.
            ContentType::Alert => return Ok(Some((ContentType::Alert, body))),
            ContentType::ChangeCipherSpec if self.inbound.mid_message() => {
                return Err(Reason::InterleavedRecord.into())
            }
            ContentType::ChangeCipherSpec => {
                self.tolerance.change_cipher_spec(body)?;
                return Ok(None);
            }
        }
        let (kind, content) = match self.read.open(crypto, &header.bytes, body) {
            Err(Error(Reason::BadRecordMac)) => {
                self.tolerance.early_data(header, Reason::BadRecordMac)?;
                return Ok(None);
            }
            opened => opened?,
        };
        // What opens under the handshake keys is behind all early data.
        self.tolerance.expect_no_early_data();
        if kind == ContentType::ChangeCipherSpec {
            return Err(Reason::BadChangeCipherSpec.into());
        }
        Ok(Some((kind, content)))
    }
}
