// SPDX-License-Identifier: GPL-2.0
//! After the handshake: records that are not application data, and new keys.
//!
//! Record protection is the driver's then, or the kernel's. What stays of the engine is this: the
//! traffic secrets, from which KeyUpdate derives the next ones, and the meaning of alerts and
//! handshake messages.

use crate::key_schedule::{first, Mac};
use crate::record::{ContentType, Traffic, HEADER_LEN, PLAINTEXT_MAX};
use crate::{codec::copy, Crypto, Error, Established, Reason, Secret, Suite, Version};

/// KeyUpdates that may come without application data between them. RFC 8446 sets no limit; each
/// costs the receiver a key schedule and allocations.
pub const MAX_KEY_UPDATES: u8 = 32;

/// Warning alerts of TLS 1.2 that may come without application data between them.
pub const MAX_WARNINGS: u8 = 4;

/// A KeyUpdate that asks for none in return: RFC 8446 section 4.6.3.
pub const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

const CLIENT_HELLO: u8 = 1;

/// Of the cipher suites' AEADs.
const TAG_LEN: usize = 16;

/// What a record that is not application data means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing to do.
    Nothing,
    /// The client writes no more.
    CloseNotify,
    /// The client gave up, with this alert description.
    Alert(u8),
    /// What the client writes from here on is protected by the next keys: see
    /// [`Session::next_client`].
    KeyUpdate {
        /// The client wants the server to change its keys too: [`KEY_UPDATE`] goes out under the
        /// old ones before any more data, and [`Session::next_server`] has the new ones.
        answer: bool,
    },
}

/// A connection whose handshake is complete.
pub struct Session {
    client: Secret<48>,
    server: Secret<48>,
    version: Version,
    suite: Suite,
    key_updates: u8,
    warnings: u8,
}

impl Session {
    /// Without secrets yet, so that none are left where the value was moved from.
    pub const fn empty() -> Self {
        Session {
            client: Secret::zero(),
            server: Secret::zero(),
            version: Version::Tls13,
            suite: Suite::Aes128GcmSha256,
            key_updates: 0,
            warnings: 0,
        }
    }

    /// Takes the traffic secrets of a handshake that is complete.
    pub fn start(&mut self, established: &Established<'_>) {
        self.version = established.version;
        self.suite = established.suite;
        copy(established.client.secret(), self.client.bytes_mut());
        copy(established.server.secret(), self.server.bytes_mut());
    }

    /// Protocol version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// To be called when application data has come: limits count from there.
    pub fn received_data(&mut self) {
        self.key_updates = 0;
        self.warnings = 0;
    }

    /// Looks at the content of a record that is not application data.
    ///
    /// A handshake message must be in one record: kTLS sees a KeyUpdate by its first byte.
    ///
    /// # Errors
    ///
    /// The connection is to be closed with the reason's alert.
    pub fn record(&mut self, content_type: u8, content: &[u8]) -> Result<Event, Error> {
        match (ContentType::from_u8(content_type), self.version) {
            (Some(ContentType::Alert), _) => self.alert(content),
            (Some(ContentType::Handshake), Version::Tls13) => self.key_update(content),
            (Some(ContentType::Handshake), Version::Tls12) => Err(match content.first() {
                Some(&CLIENT_HELLO) => Reason::NoRenegotiation.into(),
                _ => Reason::UnexpectedMessage.into(),
            }),
            _ => Err(Reason::UnexpectedRecord.into()),
        }
    }

    /// Why a record is refused that the driver's record protection does not take, by its header.
    pub fn refused(&self, header: &[u8; HEADER_LEN]) -> Reason {
        let &[kind, major, minor, high, low] = header;
        let overhead = match (self.version, self.suite) {
            // The content's type, and the tag.
            (Version::Tls13, _) => 1 + TAG_LEN,
            (Version::Tls12, Suite::Chacha20Poly1305Sha256) => TAG_LEN,
            // RFC 5288 section 3: the explicit nonce.
            (Version::Tls12, _) => 8 + TAG_LEN,
        };
        let content_type = ContentType::from_u8(kind);
        if content_type.is_none() {
            Reason::UnexpectedRecord
        } else if (major, minor) != (3, 3) {
            Reason::RecordVersion
        } else if usize::from(u16::from_be_bytes([high, low])) > PLAINTEXT_MAX + overhead {
            Reason::RecordOverflow
        } else if self.version == Version::Tls13
            && content_type != Some(ContentType::ApplicationData)
        {
            // RFC 8446 section 5: a change_cipher_spec is unexpected after the Finished message.
            Reason::UnexpectedRecord
        } else {
            Reason::BadRecordMac
        }
    }

    /// Why a record is refused that is authentic and has no content type: RFC 8446 section 5.4. In
    /// TLS 1.2 it has one that does not exist.
    pub fn untyped(&self) -> Reason {
        match self.version {
            Version::Tls13 => Reason::EmptyRecord,
            Version::Tls12 => Reason::UnexpectedRecord,
        }
    }

    fn alert(&mut self, content: &[u8]) -> Result<Event, Error> {
        const CLOSE_NOTIFY: u8 = 0;
        const USER_CANCELED: u8 = 90;
        const WARNING: u8 = 1;

        let &[level, description] = content else {
            return Err(match (content, self.version) {
                // RFC 8446 section 5.4.
                ([], Version::Tls13) => Reason::EmptyRecord.into(),
                _ => Reason::DecodeError.into(),
            });
        };
        match (description, self.version) {
            (CLOSE_NOTIFY, _) => Ok(Event::CloseNotify),
            // RFC 8446 section 6.1: followed by a close_notify.
            (USER_CANCELED, Version::Tls13) => self.warning(),
            (_, Version::Tls12) if level == WARNING => self.warning(),
            // RFC 8446 section 6: the level is implicit in the description; RFC 5246 section 7.2: a
            // fatal one ends the connection, whatever its description.
            _ => Ok(Event::Alert(description)),
        }
    }

    fn warning(&mut self) -> Result<Event, Error> {
        match self.warnings.checked_add(1) {
            Some(warnings) if warnings <= MAX_WARNINGS => {
                self.warnings = warnings;
                Ok(Event::Nothing)
            }
            _ => Err(Reason::TooManyWarnings.into()),
        }
    }

    fn key_update(&mut self, content: &[u8]) -> Result<Event, Error> {
        let answer = match content {
            [24, 0, 0, 1, 0] => false,
            [24, 0, 0, 1, 1] => true,
            // RFC 8446 section 4.6.3: any other value is an illegal_parameter.
            [24, 0, 0, 1, _] => return Err(Reason::BadKeyUpdate.into()),
            [24, ..] => return Err(Reason::DecodeError.into()),
            _ => return Err(Reason::UnexpectedMessage.into()),
        };
        match self.key_updates.checked_add(1) {
            Some(updates) if updates <= MAX_KEY_UPDATES => self.key_updates = updates,
            _ => return Err(Reason::TooManyKeyUpdates.into()),
        }
        Ok(Event::KeyUpdate { answer })
    }

    /// Replaces `keys` by the next ones for what the client writes.
    pub fn next_client<C: Crypto>(&mut self, _: &mut C, keys: &mut Traffic) {
        next::<C>(self.suite, &mut self.client, keys);
    }

    /// Replaces `keys` by the next ones for what the server writes.
    pub fn next_server<C: Crypto>(&mut self, _: &mut C, keys: &mut Traffic) {
        next::<C>(self.suite, &mut self.server, keys);
    }
}

/// RFC 8446 section 7.2: application_traffic_secret_N+1, and the keys of it.
fn next<C: Crypto>(suite: Suite, secret: &mut Secret<48>, keys: &mut Traffic) {
    keys.prepare::<C>(suite, |out| {
        let mut mac = Mac::<C>::new(suite.hash());
        mac.set_key(first(secret.bytes(), suite.hash()));
        mac.expand_label(b"traffic upd", &[], out);
    });
    copy(keys.secret(), secret.bytes_mut());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(version: Version) -> Session {
        Session {
            client: Secret::zero(),
            server: Secret::zero(),
            version,
            suite: Suite::Aes128GcmSha256,
            key_updates: 0,
            warnings: 0,
        }
    }

    #[test]
    fn alerts_by_version() {
        let mut tls13 = session(Version::Tls13);
        assert_eq!(tls13.record(21, &[1, 0]), Ok(Event::CloseNotify));
        assert_eq!(tls13.record(21, &[2, 0]), Ok(Event::CloseNotify));
        assert_eq!(tls13.record(21, &[1, 90]), Ok(Event::Nothing));
        assert_eq!(tls13.record(21, &[2, 90]), Ok(Event::Nothing));
        assert_eq!(tls13.record(21, &[1, 80]), Ok(Event::Alert(80)));
        assert_eq!(tls13.record(21, &[1]), Err(Reason::DecodeError.into()));
        assert_eq!(tls13.record(21, &[]), Err(Reason::EmptyRecord.into()));
        assert_eq!(
            tls13.record(21, &[1, 0, 1, 0]),
            Err(Reason::DecodeError.into())
        );

        let mut tls12 = session(Version::Tls12);
        assert_eq!(tls12.record(21, &[1, 100]), Ok(Event::Nothing));
        assert_eq!(tls12.record(21, &[2, 40]), Ok(Event::Alert(40)));
        assert_eq!(tls12.record(21, &[1, 90]), Ok(Event::Nothing));
        assert_eq!(tls12.record(21, &[2, 90]), Ok(Event::Alert(90)));
    }

    #[test]
    fn warnings_are_limited_between_data() {
        let mut session = session(Version::Tls12);
        for _ in 0..MAX_WARNINGS {
            assert_eq!(session.record(21, &[1, 100]), Ok(Event::Nothing));
        }
        assert_eq!(
            session.record(21, &[1, 100]),
            Err(Reason::TooManyWarnings.into())
        );
        session.received_data();
        assert_eq!(session.record(21, &[1, 100]), Ok(Event::Nothing));
    }

    #[test]
    fn key_update_is_one_message_of_tls13() {
        let mut tls13 = session(Version::Tls13);
        assert_eq!(
            tls13.record(22, &KEY_UPDATE),
            Ok(Event::KeyUpdate { answer: false })
        );
        assert_eq!(
            tls13.record(22, &[24, 0, 0, 1, 1]),
            Ok(Event::KeyUpdate { answer: true })
        );
        assert_eq!(
            tls13.record(22, &[24, 0, 0, 1, 2]),
            Err(Reason::BadKeyUpdate.into())
        );
        for bad in [
            &[24, 0, 0, 1][..],
            &[24, 0, 0, 2, 0, 0],
            &[24, 0, 0, 1, 0, 24],
        ] {
            assert_eq!(tls13.record(22, bad), Err(Reason::DecodeError.into()));
        }
        assert_eq!(
            tls13.record(22, &[1, 0, 0, 0]),
            Err(Reason::UnexpectedMessage.into())
        );
        assert_eq!(tls13.record(22, &[]), Err(Reason::UnexpectedMessage.into()));
        assert_eq!(tls13.record(20, &[1]), Err(Reason::UnexpectedRecord.into()));
        assert_eq!(
            session(Version::Tls12).record(22, &KEY_UPDATE),
            Err(Reason::UnexpectedMessage.into())
        );
        assert_eq!(
            session(Version::Tls12).record(22, &[1, 0, 0, 40]),
            Err(Reason::NoRenegotiation.into())
        );
    }

    #[test]
    fn refused_records_by_their_header() {
        let mut tls12 = session(Version::Tls12);
        let tls13 = session(Version::Tls13);
        let header =
            |kind: u8, minor: u8, len: usize| [kind, 3, minor, (len >> 8) as u8, len as u8];
        use Reason::{BadRecordMac, RecordOverflow, RecordVersion, UnexpectedRecord};
        for (header, by12, by13) in [
            (header(23, 3, 100), BadRecordMac, BadRecordMac),
            (header(23, 3, 1), BadRecordMac, BadRecordMac),
            (header(23, 3, 16401), BadRecordMac, BadRecordMac),
            (header(23, 3, 16402), BadRecordMac, RecordOverflow),
            (header(23, 3, 16408), BadRecordMac, RecordOverflow),
            (header(23, 3, 16409), RecordOverflow, RecordOverflow),
            (header(23, 1, 100), RecordVersion, RecordVersion),
            (header(21, 3, 100), BadRecordMac, UnexpectedRecord),
            (header(20, 3, 1), BadRecordMac, UnexpectedRecord),
            (header(24, 3, 100), UnexpectedRecord, UnexpectedRecord),
            (*b"GET /", UnexpectedRecord, UnexpectedRecord),
        ] {
            assert_eq!(tls12.refused(&header), by12, "{header:?}");
            assert_eq!(tls13.refused(&header), by13, "{header:?}");
        }
        tls12.suite = Suite::Chacha20Poly1305Sha256;
        assert_eq!(tls12.refused(&header(23, 3, 16400)), BadRecordMac);
        assert_eq!(tls12.refused(&header(23, 3, 16401)), RecordOverflow);
        assert_eq!(tls12.untyped(), Reason::UnexpectedRecord);
        assert_eq!(tls13.untyped(), Reason::EmptyRecord);
    }

    #[test]
    fn key_updates_are_limited_between_data() {
        let mut session = session(Version::Tls13);
        for _ in 0..MAX_KEY_UPDATES {
            assert!(session.record(22, &KEY_UPDATE).is_ok());
        }
        assert_eq!(
            session.record(22, &KEY_UPDATE),
            Err(Reason::TooManyKeyUpdates.into())
        );
        session.received_data();
        assert!(session.record(22, &KEY_UPDATE).is_ok());
    }
}
