// SPDX-License-Identifier: GPL-2.0
//! The messages that the server sends, as values that encode themselves.

use super::{ExtensionType, HandshakeType, ECDSA_SECP256R1_SHA256};
use crate::codec::{Encode, Reader, Sink, Vec16, Vec24, Vec8};
use crate::{NamedGroup, Suite, Version};

/// CertificateStatusType ocsp.
const OCSP: u8 = 1;
/// ECCurveType named_curve.
const NAMED_CURVE: u8 = 3;
/// ECPointFormat uncompressed.
const UNCOMPRESSED: u8 = 0;

const EMPTY: &[u8] = &[];

/// A handshake message: type, uint24 length, body.
pub fn message<T: Encode>(kind: HandshakeType, body: T) -> impl Encode {
    (kind as u8, Vec24(body))
}

/// An extension: type, uint16 length, data.
fn extension<T: Encode>(kind: ExtensionType, data: T) -> impl Encode {
    (kind as u16, Vec16(data))
}

/// What ServerHellos of all kinds have in common: legacy_version or server_version, Random, session
/// ID, suite, no compression, extensions.
fn any_server_hello<'a>(
    version: Version,
    random: &'a [u8; 32],
    session_id: &'a [u8],
    suite: Suite,
    extensions: impl Encode + 'a,
) -> impl Encode + 'a {
    let suite = suite.code(version);
    let body = (
        Version::Tls12.code(),
        &random[..],
        Vec8(session_id),
        suite,
        0_u8,
        extensions,
    );
    message(HandshakeType::ServerHello, body)
}

/// ServerHello of TLS 1.3, RFC 8446 section 4.1.3. `psk` is the selected_identity.
pub fn server_hello<'a>(
    random: &'a [u8; 32],
    session_id: &'a [u8],
    suite: Suite,
    group: NamedGroup,
    share: &'a [u8],
    psk: Option<u16>,
) -> impl Encode + 'a {
    let extensions = Vec16((
        extension(ExtensionType::KeyShare, (group.code(), Vec16(share))),
        extension(ExtensionType::SupportedVersions, Version::Tls13.code()),
        psk.map(|index| extension(ExtensionType::PreSharedKey, index)),
    ));
    any_server_hello(Version::Tls13, random, session_id, suite, extensions)
}

/// HelloRetryRequest: a ServerHello with a certain random, RFC 8446 section 4.1.3.
pub fn hello_retry_request(session_id: &[u8], suite: Suite, group: NamedGroup) -> impl Encode + '_ {
    let extensions = Vec16((
        extension(ExtensionType::SupportedVersions, Version::Tls13.code()),
        extension(ExtensionType::KeyShare, group.code()),
    ));
    any_server_hello(Version::Tls13, &RETRY_RANDOM, session_id, suite, extensions)
}

/// SHA-256 of "HelloRetryRequest".
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Answers to extensions that both versions have; in EncryptedExtensions, or in the ServerHello of
/// TLS 1.2.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    /// The client's server_name was used, RFC 6066 section 3.
    pub server_name: bool,
    /// The application protocol, RFC 7301 section 3.1.
    pub alpn: Option<&'a [u8]>,
    /// The server's record_size_limit, RFC 8449 section 4.
    pub record_size_limit: Option<u16>,
}

impl<'a> Answers<'a> {
    fn extensions(self) -> impl Encode + 'a {
        (
            self.server_name
                .then(|| extension(ExtensionType::ServerName, EMPTY)),
            self.alpn
                .map(|name| extension(ExtensionType::Alpn, Vec16(Vec8(name)))),
            self.record_size_limit
                .map(|limit| extension(ExtensionType::RecordSizeLimit, limit)),
        )
    }
}

/// EncryptedExtensions, RFC 8446 section 4.3.1.
pub fn encrypted_extensions(answers: Answers<'_>) -> impl Encode + '_ {
    message(
        HandshakeType::EncryptedExtensions,
        Vec16(answers.extensions()),
    )
}

/// Certificate of TLS 1.3, RFC 8446 section 4.4.2, from a chain of certificates behind their uint24
/// lengths, with the OCSP response for the first of them.
pub fn certificate<'a>(chain: &'a [u8], ocsp: Option<&'a [u8]>) -> impl Encode + 'a {
    let list = Vec24(CertificateEntries { chain, ocsp });
    message(HandshakeType::Certificate, (0_u8, list))
}

/// certificate_list of TLS 1.3: each certificate followed by its extensions.
struct CertificateEntries<'a> {
    chain: &'a [u8],
    ocsp: Option<&'a [u8]>,
}

impl<'a> CertificateEntries<'a> {
    fn iter(&self) -> impl Iterator<Item = impl Encode + 'a> {
        let mut reader = Reader::new(self.chain);
        let mut ocsp = self.ocsp;
        core::iter::from_fn(move || {
            let len = reader.u24().ok()?;
            let certificate = Vec24(reader.take(len).ok()?);
            let status = ocsp
                .take()
                .map(|response| extension(ExtensionType::StatusRequest, (OCSP, Vec24(response))));
            Some((certificate, Vec16(status)))
        })
    }
}

impl Encode for CertificateEntries<'_> {
    fn size(&self) -> usize {
        self.iter()
            .fold(0, |sum: usize, entry| sum.saturating_add(entry.size()))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        self.iter().for_each(|entry| entry.encode(sink));
    }
}

/// CertificateVerify, RFC 8446 section 4.4.3.
pub fn certificate_verify(signature: &[u8]) -> impl Encode + '_ {
    message(
        HandshakeType::CertificateVerify,
        (ECDSA_SECP256R1_SHA256, Vec16(signature)),
    )
}

/// Finished.
pub fn finished(verify_data: &[u8]) -> impl Encode + '_ {
    message(HandshakeType::Finished, verify_data)
}

/// NewSessionTicket of TLS 1.3, RFC 8446 section 4.6.1.
pub fn new_session_ticket(
    lifetime: u32,
    age_add: u32,
    nonce: u8,
    ticket: &[u8],
) -> impl Encode + '_ {
    let body = (lifetime, age_add, Vec8(nonce), Vec16(ticket), Vec16(EMPTY));
    message(HandshakeType::NewSessionTicket, body)
}

/// Answers to extensions that only TLS 1.2 has.
#[derive(Clone, Copy)]
pub struct Tls12Answers {
    /// renegotiation_info, RFC 5746 section 3.6.
    pub renegotiation_info: bool,
    /// extended_master_secret, RFC 7627 section 5.2.
    pub extended_master_secret: bool,
    /// ec_point_formats, RFC 8422 section 5.2.
    pub point_formats: bool,
    /// SessionTicket, RFC 5077 section 3.2: a NewSessionTicket will come.
    pub session_ticket: bool,
    /// status_request, RFC 6066 section 8: a CertificateStatus will come.
    pub status_request: bool,
}

/// ServerHello of TLS 1.2, RFC 5246 section 7.4.1.3.
pub fn tls12_server_hello<'a>(
    random: &'a [u8; 32],
    session_id: &'a [u8],
    suite: Suite,
    answers: Answers<'a>,
    tls12: Tls12Answers,
) -> impl Encode + 'a {
    use ExtensionType as X;
    let own = (
        tls12
            .renegotiation_info
            .then(|| extension(X::RenegotiationInfo, Vec8(EMPTY))),
        tls12
            .extended_master_secret
            .then(|| extension(X::ExtendedMasterSecret, EMPTY)),
        tls12
            .point_formats
            .then(|| extension(X::EcPointFormats, Vec8(UNCOMPRESSED))),
        tls12
            .session_ticket
            .then(|| extension(X::SessionTicket, EMPTY)),
        tls12
            .status_request
            .then(|| extension(X::StatusRequest, EMPTY)),
    );
    let extensions = (answers.extensions(), own);
    // Absent rather than empty: what has no extension is the oldest form.
    let extensions = (extensions.size() != 0).then_some(Vec16(extensions));
    any_server_hello(Version::Tls12, random, session_id, suite, extensions)
}

/// Certificate of TLS 1.2, RFC 5246 section 7.4.2, from a chain of certificates behind their uint24
/// lengths.
pub fn tls12_certificate(chain: &[u8]) -> impl Encode + '_ {
    message(HandshakeType::Certificate, Vec24(chain))
}

/// CertificateStatus, RFC 6066 section 8.
pub fn certificate_status(ocsp: &[u8]) -> impl Encode + '_ {
    message(HandshakeType::CertificateStatus, (OCSP, Vec24(ocsp)))
}

/// ServerECDHParams, RFC 8422 section 5.4: the part of ServerKeyExchange that is signed.
pub fn ecdh_params(group: NamedGroup, share: &[u8]) -> impl Encode + '_ {
    (NAMED_CURVE, group.code(), Vec8(share))
}

/// ServerKeyExchange, RFC 8422 section 5.4.
pub fn server_key_exchange<'a>(
    group: NamedGroup,
    share: &'a [u8],
    signature: &'a [u8],
) -> impl Encode + 'a {
    let signed = (ECDSA_SECP256R1_SHA256, Vec16(signature));
    message(
        HandshakeType::ServerKeyExchange,
        (ecdh_params(group, share), signed),
    )
}

/// ServerHelloDone.
pub fn server_hello_done() -> impl Encode {
    message(HandshakeType::ServerHelloDone, EMPTY)
}

/// NewSessionTicket of TLS 1.2, RFC 5077 section 3.3.
pub fn tls12_new_session_ticket(lifetime: u32, ticket: &[u8]) -> impl Encode + '_ {
    message(HandshakeType::NewSessionTicket, (lifetime, Vec16(ticket)))
}
