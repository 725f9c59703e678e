// SPDX-License-Identifier: GPL-2.0
//! The messages that the server sends, as values that encode themselves.

use super::{ExtensionType, HandshakeType, ECDSA_SECP256R1_SHA256};
use crate::codec::{Encode, Reader, Sink, Vec16, Vec24, Vec8};
use crate::{NamedGroup, Suite, Version};

/// A handshake message: type, uint24 length, body.
pub fn message<T: Encode>(kind: HandshakeType, body: T) -> impl Encode {
    (kind as u8, Vec24(body))
}

/// An extension: type, uint16 length, data.
pub fn extension<T: Encode>(kind: ExtensionType, data: T) -> impl Encode {
    (kind as u16, Vec16(data))
}

/// ServerHello of TLS 1.3, RFC 8446 section 4.1.3.
pub fn server_hello<'a>(
    random: &'a [u8; 32],
    session_id: &'a [u8],
    suite: Suite,
    group: NamedGroup,
    share: &'a [u8],
) -> impl Encode + 'a {
    message(
        HandshakeType::ServerHello,
        (
            Version::Tls12.code(),
            &random[..],
            Vec8(session_id),
            suite.code(Version::Tls13),
            0_u8,
            Vec16((
                extension(ExtensionType::KeyShare, (group.code(), Vec16(share))),
                extension(ExtensionType::SupportedVersions, Version::Tls13.code()),
            )),
        ),
    )
}

/// HelloRetryRequest: a ServerHello with a certain random, RFC 8446 section 4.1.3.
pub fn hello_retry_request(session_id: &[u8], suite: Suite, group: NamedGroup) -> impl Encode + '_ {
    message(
        HandshakeType::ServerHello,
        (
            Version::Tls12.code(),
            &RETRY_RANDOM[..],
            Vec8(session_id),
            suite.code(Version::Tls13),
            0_u8,
            Vec16((
                extension(ExtensionType::SupportedVersions, Version::Tls13.code()),
                extension(ExtensionType::KeyShare, group.code()),
            )),
        ),
    )
}

/// SHA-256 of "HelloRetryRequest".
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// EncryptedExtensions, RFC 8446 section 4.3.1. `server_name` says that the client's name was used.
pub fn encrypted_extensions(server_name: bool) -> impl Encode {
    message(
        HandshakeType::EncryptedExtensions,
        Vec16(server_name.then(|| extension(ExtensionType::ServerName, &[][..]))),
    )
}

/// Certificate of TLS 1.3, RFC 8446 section 4.4.2, from a chain of certificates behind their uint24
/// lengths.
pub fn certificate(chain: &[u8]) -> impl Encode + '_ {
    message(
        HandshakeType::Certificate,
        (0_u8, Vec24(CertificateEntries(chain))),
    )
}

/// certificate_list: the chain with an empty extension list behind each certificate.
struct CertificateEntries<'a>(&'a [u8]);

impl CertificateEntries<'_> {
    fn iter(&self) -> impl Iterator<Item = (Vec24<&[u8]>, u16)> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || {
            let len = reader.u24().ok()?;
            Some((Vec24(reader.take(len).ok()?), 0))
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
