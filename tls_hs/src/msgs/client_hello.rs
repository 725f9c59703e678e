// SPDX-License-Identifier: GPL-2.0
//! ClientHello, RFC 8446 section 4.1.2 and RFC 5246 section 7.4.1.2.
//!
//! Parsing checks the syntax of everything that it knows, whether or not it will be used; what a
//! protocol version demands beyond that is checked where the version is chosen. Unknown
//! extensions, values and GREASE (RFC 8701) are passed over.

use super::ExtensionType;
use crate::codec::{List16, Reader};
use crate::{Error, Reason};

/// Most extensions in a ClientHello; bounds the search for duplicates.
pub const EXTENSIONS_MAX: usize = 64;

/// A ClientHello. Extensions that are absent are `None`.
pub struct ClientHello<'a> {
    /// legacy_version, or client_version in TLS 1.2.
    pub legacy_version: u16,
    /// Random.
    pub random: &'a [u8; 32],
    /// legacy_session_id, at most 32 bytes.
    pub session_id: &'a [u8],
    /// Cipher suites in the client's order.
    pub cipher_suites: List16<'a>,
    /// Compression methods, at least one.
    pub compression_methods: &'a [u8],
    /// The host name of server_name.
    pub server_name: Option<&'a [u8]>,
    /// status_request of type ocsp.
    pub status_request: bool,
    /// supported_groups.
    pub groups: Option<List16<'a>>,
    /// Formats of ec_point_formats.
    pub point_formats: Option<&'a [u8]>,
    /// signature_algorithms.
    pub signature_algorithms: Option<List16<'a>>,
    /// Protocol names of ALPN, each behind its uint8 length.
    pub alpn: Option<&'a [u8]>,
    /// extended_master_secret.
    pub extended_master_secret: bool,
    /// record_size_limit.
    pub record_size_limit: Option<u16>,
    /// SessionTicket of RFC 5077, empty if one is asked for.
    pub session_ticket: Option<&'a [u8]>,
    /// pre_shared_key.
    pub pre_shared_key: Option<OfferedPsks<'a>>,
    /// early_data.
    pub early_data: bool,
    /// supported_versions.
    pub versions: Option<List16<'a>>,
    /// Modes of psk_key_exchange_modes.
    pub psk_modes: Option<&'a [u8]>,
    /// key_share.
    pub key_shares: Option<KeyShares<'a>>,
    /// renegotiated_connection of renegotiation_info.
    pub renegotiation_info: Option<&'a [u8]>,
    /// The last extension of all.
    pub last_extension: Option<u16>,
}

impl<'a> ClientHello<'a> {
    /// Parses the message without its header.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vec8(0)?;
        if session_id.len() > 32 {
            return Err(Reason::DecodeError.into());
        }
        let mut hello = ClientHello {
            legacy_version,
            random,
            session_id,
            cipher_suites: List16::new(reader.vec16(2)?)?,
            compression_methods: reader.vec8(1)?,
            server_name: None,
            status_request: false,
            groups: None,
            point_formats: None,
            signature_algorithms: None,
            alpn: None,
            extended_master_secret: false,
            record_size_limit: None,
            session_ticket: None,
            pre_shared_key: None,
            early_data: false,
            versions: None,
            psk_modes: None,
            key_shares: None,
            renegotiation_info: None,
            last_extension: None,
        };
        // Before TLS 1.3 the extensions may be absent altogether.
        if !reader.is_empty() {
            let mut extensions = Reader::new(reader.vec16(0)?);
            reader.finish()?;
            hello.extensions(&mut extensions)?;
        }
        Ok(hello)
    }

    /// Sums up what a second ClientHello must have in common with the first, RFC 8446 section 4.1.2:
    /// all but key_share, early_data, cookie, pre_shared_key and padding. Of extensions that are not
    /// known here nobody can say. Not secure against a client that tries, which only cheats itself:
    /// the transcript covers both. In the order of the extensions, or any other.
    pub fn constant_parts(body: &[u8]) -> u64 {
        let mut reader = Reader::new(body);
        let mut sum = 0;
        // The message has been parsed: nothing here fails.
        let mut parts = || -> Result<(), Error> {
            reader.take(2 + 32)?;
            reader.vec8(0)?;
            reader.vec16(2)?;
            reader.vec8(1)?;
            let fixed = body.len().saturating_sub(reader.rest().len());
            sum = checksum(0, body.get(..fixed).unwrap_or(&[]));
            let mut extensions = Reader::new(reader.vec16(0)?);
            while !extensions.is_empty() {
                let kind = extensions.u16()?;
                let data = extensions.vec16(0)?;
                match ExtensionType::from_u16(kind) {
                    None
                    | Some(ExtensionType::KeyShare)
                    | Some(ExtensionType::EarlyData)
                    | Some(ExtensionType::Cookie)
                    | Some(ExtensionType::PreSharedKey) => {}
                    Some(_) => sum = sum.wrapping_add(checksum(kind, data)),
                }
            }
            Ok(())
        };
        let _ = parts();
        sum
    }

    fn extensions(&mut self, extensions: &mut Reader<'a>) -> Result<(), Error> {
        let mut seen = [0_u16; EXTENSIONS_MAX];
        let mut count = 0_usize;
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let data = Reader::new(extensions.vec16(0)?);
            // RFC 8446 section 4.2: there MUST NOT be more than one extension of the same type.
            if seen.get(..count).is_some_and(|seen| seen.contains(&kind)) {
                return Err(Reason::DuplicateExtension.into());
            }
            *seen.get_mut(count).ok_or(Reason::TooManyExtensions)? = kind;
            count = count.saturating_add(1);
            self.last_extension = Some(kind);
            if let Some(kind) = ExtensionType::from_u16(kind) {
                self.extension(kind, data)?;
            }
        }
        Ok(())
    }

    fn extension(&mut self, kind: ExtensionType, mut data: Reader<'a>) -> Result<(), Error> {
        match kind {
            ExtensionType::ServerName => self.server_name = host_name(data.vec16(1)?)?,
            ExtensionType::StatusRequest => {
                // Another status_type than ocsp has a request that is not known here.
                self.status_request = data.u8()? == 1;
                if !self.status_request {
                    return Ok(());
                }
                data.vec16(0)?;
                data.vec16(0)?;
            }
            ExtensionType::SupportedGroups => self.groups = Some(List16::new(data.vec16(2)?)?),
            ExtensionType::EcPointFormats => self.point_formats = Some(data.vec8(1)?),
            ExtensionType::SignatureAlgorithms => {
                self.signature_algorithms = Some(List16::new(data.vec16(2)?)?);
            }
            ExtensionType::Alpn => {
                let names = data.vec16(2)?;
                let mut reader = Reader::new(names);
                while !reader.is_empty() {
                    reader.vec8(1)?;
                }
                self.alpn = Some(names);
            }
            ExtensionType::ExtendedMasterSecret => self.extended_master_secret = true,
            ExtensionType::RecordSizeLimit => {
                // RFC 8449 section 4: smaller values MUST be refused.
                let limit = data.u16()?;
                if limit < 64 {
                    return Err(Reason::BadRecordSizeLimit.into());
                }
                self.record_size_limit = Some(limit);
            }
            ExtensionType::SessionTicket => {
                self.session_ticket = Some(data.take(data.rest().len())?);
            }
            ExtensionType::PreSharedKey => {
                self.pre_shared_key = Some(OfferedPsks::parse(&mut data)?);
            }
            ExtensionType::EarlyData => self.early_data = true,
            ExtensionType::SupportedVersions => self.versions = Some(List16::new(data.vec8(2)?)?),
            ExtensionType::Cookie => {
                data.vec16(1)?;
            }
            ExtensionType::PskKeyExchangeModes => self.psk_modes = Some(data.vec8(1)?),
            ExtensionType::KeyShare => self.key_shares = Some(KeyShares::parse(data.vec16(0)?)?),
            ExtensionType::RenegotiationInfo => self.renegotiation_info = Some(data.vec8(0)?),
        }
        data.finish()
    }
}

/// The host_name of a ServerNameList, RFC 6066 section 3: one at most, in ASCII. No other name type
/// was ever defined; the section has them begin with a length, so that they can be passed over.
fn host_name(list: &[u8]) -> Result<Option<&[u8]>, Error> {
    const HOST_NAME: u8 = 0;
    let mut list = Reader::new(list);
    let mut found = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vec16(1)?;
        if kind != HOST_NAME {
            continue;
        }
        if name.len() > 255 {
            return Err(Reason::DecodeError.into());
        }
        if found.is_some() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Reason::BadServerName.into());
        }
        found = Some(name);
    }
    Ok(found)
}

/// FNV-1a, begun with a number.
fn checksum(number: u16, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325 ^ u64::from(number), |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// client_shares of key_share.
#[derive(Clone, Copy)]
pub struct KeyShares<'a>(&'a [u8]);

impl<'a> KeyShares<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            reader.u16()?;
            reader.vec16(1)?;
        }
        Ok(KeyShares(bytes))
    }

    /// The groups and key exchanges of the list.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || Some((reader.u16().ok()?, reader.vec16(1).ok()?)))
    }
}

/// OfferedPsks of pre_shared_key.
#[derive(Clone, Copy)]
pub struct OfferedPsks<'a> {
    /// identities: each a ticket behind its uint16 length and obfuscated_ticket_age.
    pub identities: &'a [u8],
    /// binders, each behind its uint8 length; the last bytes of the ClientHello.
    pub binders: &'a [u8],
}

impl<'a> OfferedPsks<'a> {
    fn parse(data: &mut Reader<'a>) -> Result<Self, Error> {
        let psks = OfferedPsks {
            identities: data.vec16(7)?,
            binders: data.vec16(33)?,
        };
        let mut identities = Reader::new(psks.identities);
        let mut binders = Reader::new(psks.binders);
        while !identities.is_empty() {
            identities.vec16(1)?;
            identities.array::<4>()?;
            // RFC 8446 section 4.2.11: one binder for each identity.
            if binders.is_empty() {
                return Err(Reason::BadPreSharedKeys.into());
            }
            binders.vec8(32)?;
        }
        if !binders.is_empty() {
            return Err(Reason::BadPreSharedKeys.into());
        }
        Ok(psks)
    }

    /// Tickets, their obfuscated_ticket_age, and their binders.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], u32, &'a [u8])> {
        let mut identities = Reader::new(self.identities);
        let mut binders = Reader::new(self.binders);
        core::iter::from_fn(move || {
            let identity = identities.vec16(1).ok()?;
            let age = u32::from_be_bytes(*identities.array().ok()?);
            Some((identity, age, binders.vec8(32).ok()?))
        })
    }
}
