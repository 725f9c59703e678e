// SPDX-License-Identifier: GPL-2.0

//! The server's credentials as users hand them over: a private key and a certificate chain.
//!
//! * [`read_private_key`] takes PKCS#8 (RFC 5208, RFC 5958) or SEC 1 (RFC 5915), PEM or DER.
//! * [`chain_len`] and [`write_chain`] take X.509 certificates (RFC 5280), the leaf first, PEM or
//!   DER, and turn them into the entries of a Certificate message.
//!
//! Only P-256 is taken: a key or a leaf of another kind has errors of its own, so that the caller can
//! tell "not for us" from "broken". Whether the scalar is in range and belongs to the certificate's
//! point is arithmetic, and the caller's to check.
//!
//! A payload is PEM if one of its lines opens a PEM block, else it has to be DER.
//!
//! # Secrets
//!
//! A private key is decoded in constant time (see [`crate::pem`]) into a buffer that is wiped on
//! every path. Nothing of a payload gets into an error.

use crate::der::{self, Element, Reader};
use crate::pem::{self, Block, Blocks};
use crate::secret::Secret;

/// Length of a P-256 private scalar, in octets.
pub const SCALAR_LEN: usize = 32;

/// Length of an uncompressed P-256 point (SEC 1, 2.3.3), in octets.
pub const POINT_LEN: usize = 65;

/// An uncompressed P-256 point. That it is on the curve has not been checked.
pub type Point = [u8; POINT_LEN];

/// Most octets of DER that a private key in PEM may have. One for P-256 has about 140.
pub const MAX_PRIVATE_KEY: usize = 512;

/// Most certificates in a chain, the leaf included.
pub const MAX_CERTIFICATES: usize = 10;

/// Most octets that the entries of a chain may have.
pub const MAX_CHAIN: usize = 65_536;

/// Why a payload is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Error {
    /// Neither PEM nor DER, or PEM without a private key.
    NoPrivateKey,
    /// Neither PEM nor DER, or PEM without a certificate.
    NoCertificate,
    /// A PEM block has no end, or boundaries that do not match.
    BadPem,
    /// A PEM block is not base64.
    BadBase64,
    /// The ASN.1 structure is cut short.
    Truncated,
    /// The ASN.1 structure is not DER, or not the one that it should be.
    BadDer,
    /// Something follows the end of the ASN.1 structure.
    TrailingData,
    /// Longer than the limits of this module.
    TooLong,
    /// The private key is encrypted.
    Encrypted,
    /// More than one private key.
    SeveralKeys,
    /// A key of another algorithm than id-ecPublicKey: RSA, Ed25519 and so on.
    OtherKind,
    /// An elliptic curve key on another curve than secp256r1, or with its parameters spelled out.
    OtherCurve,
    /// An elliptic curve key that does not say on which curve it is.
    NoCurve,
    /// A public key that is not a point in a form that is taken.
    BadPoint,
    /// Two copies of the public key that differ.
    PublicKeyMismatch,
    /// More than [`MAX_CERTIFICATES`] certificates.
    TooManyCertificates,
    /// A private key among the certificates, which are no secret.
    PrivateKeyInChain,
    /// The caller's buffer is shorter than [`chain_len`] said.
    NoSpace,
}

impl Error {
    /// One line for people, without anything from the payload.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoPrivateKey => "no private key in PEM or DER",
            Self::NoCertificate => "no certificate in PEM or DER",
            Self::BadPem => "PEM boundaries do not match",
            Self::BadBase64 => "PEM body is not base64",
            Self::Truncated => "DER is cut short",
            Self::BadDer => "not DER of the expected structure",
            Self::TrailingData => "data after the end of the DER structure",
            Self::TooLong => "too long",
            Self::Encrypted => "the private key is encrypted",
            Self::SeveralKeys => "more than one private key",
            Self::OtherKind => "not an elliptic curve key",
            Self::OtherCurve => "not on the named curve secp256r1",
            Self::NoCurve => "the private key names no curve",
            Self::BadPoint => "the public key is not an uncompressed point",
            Self::PublicKeyMismatch => "two public keys in one private key differ",
            Self::TooManyCertificates => "too many certificates",
            Self::PrivateKeyInChain => "a private key among the certificates",
            Self::NoSpace => "the buffer for the certificates is too short",
        }
    }
}

impl From<der::Error> for Error {
    fn from(error: der::Error) -> Self {
        match error {
            der::Error::Truncated => Self::Truncated,
            der::Error::Malformed => Self::BadDer,
            der::Error::TrailingData => Self::TrailingData,
        }
    }
}

impl From<pem::Error> for Error {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::NoEnd | pem::Error::BadBoundary => Self::BadPem,
            pem::Error::BadBase64 => Self::BadBase64,
        }
    }
}

/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480, 2.1.1).
const ID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// secp256r1, 1.2.840.10045.3.1.7 (RFC 5480, 2.1.1.1).
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The structures a private key comes in.
#[derive(Clone, Copy)]
enum Form {
    /// OneAsymmetricKey, RFC 5958; PrivateKeyInfo in RFC 5208.
    Pkcs8,
    /// ECPrivateKey, RFC 5915.
    Sec1,
}

/// Reads the one private key of `payload`, PKCS#8 or SEC 1, PEM or DER.
///
/// The scalar goes to `scalar`, big-endian; that it is in [1, n-1] has not been checked. On an error
/// `scalar` is all zeros. Returns the public point if the payload has it uncompressed.
///
/// In PEM, blocks that are no private keys (`EC PARAMETERS`, certificates) are passed over.
///
/// # Errors
///
/// See [`Error`].
pub fn read_private_key(
    payload: &[u8],
    scalar: &mut [u8; SCALAR_LEN],
) -> Result<Option<Point>, Error> {
    scalar.fill(0);
    if !pem::is_pem(payload) {
        return private_key(sniff(payload)?, payload, scalar);
    }

    let (form, body) = only_private_key(payload)?;
    let mut buffer = Secret::<MAX_PRIVATE_KEY>::zero();
    let len = pem::decode(body, buffer.bytes_mut())?;

    match buffer.bytes().get(..len) {
        Some(der) => private_key(form, der, scalar),
        None => Err(oversized(form, buffer.bytes())),
    }
}

/// Finds the only private key among the blocks of a PEM text.
fn only_private_key(text: &[u8]) -> Result<(Form, &[u8]), Error> {
    let mut found = None;

    for block in Blocks::new(text) {
        let block = block?;

        if !is_private_key(&block) {
            continue;
        }
        if found.replace(block).is_some() {
            return Err(Error::SeveralKeys);
        }
    }

    let block = found.ok_or(Error::NoPrivateKey)?;
    if block.is_encrypted() {
        return Err(Error::Encrypted);
    }
    match block.label {
        b"PRIVATE KEY" => Ok((Form::Pkcs8, block.body)),
        b"EC PRIVATE KEY" => Ok((Form::Sec1, block.body)),
        b"ENCRYPTED PRIVATE KEY" => Err(Error::Encrypted),
        _ => Err(Error::OtherKind),
    }
}

/// Whether a PEM block holds a private key, of whatever kind.
fn is_private_key(block: &Block<'_>) -> bool {
    block.label.ends_with(b"PRIVATE KEY")
}

/// Tells which structure a DER payload is, by its first two elements.
fn sniff(payload: &[u8]) -> Result<Form, Error> {
    if payload.first() != Some(&der::SEQUENCE) {
        return Err(Error::NoPrivateKey);
    }
    let mut reader = Reader::new(Reader::new(payload).expect(der::SEQUENCE)?);
    let first = reader.element()?;

    match (first.tag, reader.peek()) {
        (der::INTEGER, Some(der::SEQUENCE)) => Ok(Form::Pkcs8),
        (der::INTEGER, Some(der::OCTET_STRING)) => Ok(Form::Sec1),
        // RSAPrivateKey and DSA's: a row of integers.
        (der::INTEGER, Some(der::INTEGER)) => Err(Error::OtherKind),
        // EncryptedPrivateKeyInfo: AlgorithmIdentifier and OCTET STRING.
        (der::SEQUENCE, Some(der::OCTET_STRING)) => Err(Error::Encrypted),
        _ => Err(Error::NoPrivateKey),
    }
}

/// Why a key is refused that is longer than any for P-256, given its beginning.
fn oversized(form: Form, beginning: &[u8]) -> Error {
    let algorithm = || -> Result<(), Error> {
        let mut reader = Reader::new(beginning).enter(der::SEQUENCE)?;

        reader.expect(der::INTEGER)?;
        match form {
            Form::Pkcs8 => p256(reader.expect(der::SEQUENCE)?),
            Form::Sec1 => Ok(()),
        }
    };

    match algorithm() {
        Err(error @ (Error::OtherKind | Error::OtherCurve)) => error,
        _ => Error::TooLong,
    }
}

/// Reads a private key in DER.
fn private_key(
    form: Form,
    der: &[u8],
    scalar: &mut [u8; SCALAR_LEN],
) -> Result<Option<Point>, Error> {
    let (ec, outer_point, named) = match form {
        Form::Pkcs8 => {
            let (ec, point) = pkcs8(der)?;
            (ec, point, true)
        }
        Form::Sec1 => (der, None, false),
    };
    let (secret, inner_point) = sec1(ec, named)?;

    if let (Some(outer), Some(inner)) = (outer_point, inner_point) {
        if outer != inner {
            return Err(Error::PublicKeyMismatch);
        }
    }
    let point = match outer_point.or(inner_point) {
        Some(octets) => point(octets)?,
        None => None,
    };
    *scalar = *secret;
    Ok(point)
}

/// Reads OneAsymmetricKey (RFC 5958, 2): the inner ECPrivateKey and, in version 2, the public key.
fn pkcs8(der: &[u8]) -> Result<(&[u8], Option<&[u8]>), Error> {
    let mut reader = Reader::new(only_element(der, der::SEQUENCE)?);
    let version = reader.expect(der::INTEGER)?;

    p256(reader.expect(der::SEQUENCE)?)?;
    let key = reader.expect(der::OCTET_STRING)?;
    reader.optional(der::context(0))?;
    let public = match version {
        [0] => None,
        // RFC 5958, 2: "If publicKey is present, then version is set to v2(1) else [...] v1(0)."
        [1] => {
            let public = reader.expect(der::context_primitive(1))?;
            Some(der::octets_of_bit_string(public)?)
        }
        _ => return Err(Error::BadDer),
    };
    reader.finish()?;
    Ok((key, public))
}

/// Reads ECPrivateKey (RFC 5915, 3): the scalar and the public key if it is there. With `named` the
/// curve is known already, and may be left out.
fn sec1(der: &[u8], named: bool) -> Result<(&[u8; SCALAR_LEN], Option<&[u8]>), Error> {
    let mut reader = Reader::new(only_element(der, der::SEQUENCE)?);

    if reader.expect(der::INTEGER)? != [1] {
        return Err(Error::BadDer);
    }
    let secret = reader.expect(der::OCTET_STRING)?;
    match reader.optional(der::context(0))? {
        Some(parameters) => named_p256(parameters)?,
        None if named => {}
        None => return Err(Error::NoCurve),
    }
    let public = reader
        .optional(der::context(1))?
        .map(|contents| only_element(contents, der::BIT_STRING))
        .transpose()?
        .map(der::octets_of_bit_string)
        .transpose()?;
    reader.finish()?;

    // RFC 5915, 3: as many octets as the order of the curve has.
    let secret = secret.try_into().map_err(|_| Error::BadDer)?;
    Ok((secret, public))
}

/// The contents of the one element, of the given tag, that `der` consists of.
fn only_element(der: &[u8], tag: u8) -> Result<&[u8], Error> {
    let mut reader = Reader::new(der);
    let contents = reader.expect(tag)?;

    reader.finish()?;
    Ok(contents)
}

/// Checks that the contents of an AlgorithmIdentifier stand for a P-256 key (RFC 5480, 2.1.1).
fn p256(algorithm: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new(algorithm);

    if reader.expect(der::OID)? != ID_EC_PUBLIC_KEY {
        return Err(Error::OtherKind);
    }
    named_p256(reader.rest())
}

/// Checks that ECParameters name secp256r1. Explicit parameters are not looked into: RFC 5480, 2.1.1
/// forbids them.
fn named_p256(parameters: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new(parameters);
    let Element { tag, contents, .. } = reader.element()?;

    reader.finish()?;
    if tag == der::OID && contents == SECP256R1 {
        Ok(())
    } else {
        Err(Error::OtherCurve)
    }
}

/// Reads an encoded point (SEC 1, 2.3.3) of a private key: only the uncompressed form is of use to
/// the caller, but the compressed one is no reason to refuse the key.
fn point(octets: &[u8]) -> Result<Option<Point>, Error> {
    match octets {
        [4, ..] => octets.try_into().map(Some).map_err(|_| Error::BadPoint),
        [2 | 3, rest @ ..] if rest.len() == SCALAR_LEN => Ok(None),
        _ => Err(Error::BadPoint),
    }
}

/// A chain that has been written out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Octets of all entries.
    pub len: usize,
    /// Number of certificates.
    pub certificates: usize,
    /// The public key of the leaf.
    pub leaf: Point,
}

/// How many octets [`write_chain`] needs for `payload`.
///
/// # Errors
///
/// See [`Error`]. The certificates themselves are looked into by [`write_chain`].
pub fn chain_len(payload: &[u8]) -> Result<usize, Error> {
    let mut total = 0_usize;
    let mut count = 0_usize;

    for certificate in Certificates::new(payload)? {
        total = total
            .saturating_add(ENTRY_HEADER)
            .saturating_add(certificate?.decode(&mut [])?);
        count = count.saturating_add(1);
        if count > MAX_CERTIFICATES {
            return Err(Error::TooManyCertificates);
        }
        if total > MAX_CHAIN {
            return Err(Error::TooLong);
        }
    }

    if count == 0 {
        Err(Error::NoCertificate)
    } else {
        Ok(total)
    }
}

/// Writes the certificates of `payload` to `out` as entries of a Certificate message: each one's
/// length in three octets, then its DER, the leaf first (RFC 5246, 7.4.2; a CertificateEntry of
/// RFC 8446, 4.4.2 has extensions in addition).
///
/// `out` needs [`chain_len`] octets. On an error its contents are of no use.
///
/// # Errors
///
/// See [`Error`]. [`Error::OtherKind`] and [`Error::OtherCurve`] are about the leaf: the chain is
/// well formed, but for another kind of key.
pub fn write_chain(payload: &[u8], out: &mut [u8]) -> Result<Chain, Error> {
    let len = chain_len(payload)?;
    let mut rest = out.get_mut(..len).ok_or(Error::NoSpace)?;
    let mut certificates = 0_usize;
    let mut leaf_key: Option<&[u8]> = None;

    for certificate in Certificates::new(payload)? {
        let (header, room) = rest
            .split_first_chunk_mut::<ENTRY_HEADER>()
            .ok_or(Error::NoSpace)?;
        let der_len = certificate?.decode(room)?;
        let (der, next) = room.split_at_mut_checked(der_len).ok_or(Error::NoSpace)?;
        let [_, .., high, middle, low] = der_len.to_be_bytes();

        *header = [high, middle, low];
        let key = subject_public_key_info(der)?;
        leaf_key = leaf_key.or(Some(key));
        certificates = certificates.saturating_add(1);
        rest = next;
    }

    // Last, so that a chain that is broken anywhere is not taken for one of another kind.
    let leaf = p256_public_key(leaf_key.ok_or(Error::NoCertificate)?)?;
    Ok(Chain {
        len,
        certificates,
        leaf,
    })
}

/// Octets before each certificate: its length.
const ENTRY_HEADER: usize = 3;

/// The certificates of a payload, in order.
enum Certificates<'a> {
    Pem(Blocks<'a>),
    Der(Reader<'a>),
}

/// One certificate, as it stands in the payload.
enum Certificate<'a> {
    Pem(&'a [u8]),
    Der(&'a [u8]),
}

impl<'a> Certificates<'a> {
    fn new(payload: &'a [u8]) -> Result<Self, Error> {
        if pem::is_pem(payload) {
            Ok(Self::Pem(Blocks::new(payload)))
        } else if payload.first() == Some(&der::SEQUENCE) {
            Ok(Self::Der(Reader::new(payload)))
        } else {
            Err(Error::NoCertificate)
        }
    }
}

impl<'a> Iterator for Certificates<'a> {
    type Item = Result<Certificate<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Pem(blocks) => blocks.find_map(|block| match block {
                // RFC 7468, 5.1: the second label is an old one for the same.
                Ok(block) if matches!(block.label, b"CERTIFICATE" | b"X509 CERTIFICATE") => {
                    Some(Ok(Certificate::Pem(block.body)))
                }
                Ok(block) if is_private_key(&block) => Some(Err(Error::PrivateKeyInChain)),
                Ok(_) => None,
                Err(error) => Some(Err(error.into())),
            }),
            Self::Der(reader) if reader.is_empty() => None,
            Self::Der(reader) => Some(match reader.element() {
                Ok(element) => Ok(Certificate::Der(element.encoding)),
                Err(error) => Err(error.into()),
            }),
        }
    }
}

impl Certificate<'_> {
    /// Writes as much of the DER as `out` has room for, and returns its whole length.
    fn decode(&self, out: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Pem(body) => Ok(pem::decode(body, out)?),
            Self::Der(der) => {
                for (to, from) in out.iter_mut().zip(der.iter()) {
                    *to = *from;
                }
                Ok(der.len())
            }
        }
    }
}

/// Checks that `der` is a Certificate (RFC 5280, 4.1) down to the fields of TBSCertificate, and
/// returns the contents of subjectPublicKeyInfo.
fn subject_public_key_info(der: &[u8]) -> Result<&[u8], Error> {
    let mut certificate = Reader::new(only_element(der, der::SEQUENCE)?);
    let mut tbs = Reader::new(certificate.expect(der::SEQUENCE)?);
    let outer_algorithm = certificate.expect(der::SEQUENCE)?;

    der::octets_of_bit_string(certificate.expect(der::BIT_STRING)?)?;
    certificate.finish()?;

    // version
    tbs.optional(der::context(0))?;
    // serialNumber
    tbs.expect(der::INTEGER)?;
    // RFC 5280, 4.1.1.2: "MUST contain the same algorithm identifier".
    if tbs.expect(der::SEQUENCE)? != outer_algorithm {
        return Err(Error::BadDer);
    }
    // issuer, validity, subject
    tbs.expect(der::SEQUENCE)?;
    tbs.expect(der::SEQUENCE)?;
    tbs.expect(der::SEQUENCE)?;
    let key = tbs.expect(der::SEQUENCE)?;
    // issuerUniqueID, subjectUniqueID, extensions
    tbs.optional(der::context_primitive(1))?;
    tbs.optional(der::context_primitive(2))?;
    tbs.optional(der::context(3))?;
    tbs.finish()?;
    Ok(key)
}

/// Reads the contents of a SubjectPublicKeyInfo of a P-256 key (RFC 5480, 2).
fn p256_public_key(key: &[u8]) -> Result<Point, Error> {
    let mut reader = Reader::new(key);

    p256(reader.expect(der::SEQUENCE)?)?;
    let octets = der::octets_of_bit_string(reader.expect(der::BIT_STRING)?)?;
    reader.finish()?;
    point(octets)?.ok_or(Error::BadPoint)
}
