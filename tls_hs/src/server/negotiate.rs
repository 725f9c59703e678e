// SPDX-License-Identifier: GPL-2.0
//! What is served, what falls back and what is refused.
//!
//! | ClientHello | TLS 1.3 | TLS 1.2 |
//! |---|---|---|
//! | does not parse, has an extension twice | refused | refused |
//! | no version in common, or a legacy_version of SSL | falls back | falls back |
//! | a server name that is not ASCII, or two | refused | refused |
//! | TLS_FALLBACK_SCSV though TLS 1.3 is served | - | refused |
//! | compression methods: not null alone (TLS 1.3), without null | refused | refused |
//! | lacks signature_algorithms, supported_groups or key_share, or modes of its PSKs | refused | - |
//! | pre_shared_key is not last | refused | - |
//! | pre_shared_key has not one binder for each identity | refused | refused |
//! | point formats without the uncompressed one, renegotiation_info not empty | - | refused |
//! | a share for a group that supported_groups lacks, or two for one group | refused | - |
//! | no suite, group or signature algorithm in common | falls back | falls back |
//! | no certificate for the server name | falls back | falls back |
//! | ALPN without a protocol in common | refused | refused |
//! | no share for the group chosen | HelloRetryRequest | - |
//! | second ClientHello: another one, or without the PSKs of the first | refused | - |
//! | ticket of this scope: the binder is wrong, the extended master secret is lost | refused | refused |
//! | any other ticket | full handshake | full handshake |
//!
//! The same table is in Documentation/protocol.md; tests/engine/decisions.rs compares both, and
//! each row with what the engine does.
//!
//! The configuration's masks decide what is in common. A client of TLS 1.2 without supported_groups
//! gets secp256r1; one without signature_algorithms means SHA-1, and falls back. RFC 8422 section
//! 5.1 has the curve of the certificate's key considered as well: a client of TLS 1.2 whose groups
//! lack secp256r1 falls back.

use super::hello::{Replies, Share};
use super::Context;
use crate::codec::vectors8;
use crate::msgs::client_hello::ClientHello;
use crate::msgs::{
    ExtensionType, ECDSA_SECP256R1_SHA256, EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, PSK_DHE_KE,
};
use crate::{Config, Environment, Error, NamedGroup, Reason, Suite, Version};

/// ProtocolVersion of SSL 3.0.
const SSL3: u16 = 0x0300;

/// The highest version in common, RFC 8446 section 4.2.1.
pub fn version(hello: &ClientHello<'_>, config: &Config) -> Result<Version, Error> {
    let offers = |version: Version| match hello.versions {
        Some(versions) => versions.contains(version.code()),
        // Without supported_versions the client cannot mean TLS 1.3.
        None => version == Version::Tls12 && hello.legacy_version >= version.code(),
    };
    // RFC 8446 appendix D.5: MUST NOT accept a legacy_version of SSL 3.0 or less, whatever else is
    // offered.
    let version = [Version::Tls13, Version::Tls12]
        .into_iter()
        .filter(|_| hello.legacy_version > SSL3)
        .find(|&version| config.allows_version(version) && offers(version))
        .ok_or(Reason::UnsupportedVersion)?;
    // RFC 7507 section 3: the client could do better, and so could this side.
    let fell_back = version == Version::Tls12 && hello.cipher_suites.contains(FALLBACK_SCSV);
    if fell_back && config.allows_version(Version::Tls13) {
        return Err(Reason::InappropriateFallback.into());
    }
    Ok(version)
}

/// The parameters of a TLS 1.3 handshake.
pub struct Selection {
    /// Cipher suite.
    pub suite: Suite,
    /// Key exchange group.
    pub group: NamedGroup,
    /// The client's share of it, if it sent one.
    pub share: Option<Share>,
    /// Whether the client can verify a signature, and if not, why.
    pub signature: Result<(), Reason>,
}

/// Chooses the parameters, or finds out why TLS 1.3 cannot be spoken.
pub fn select(hello: &ClientHello<'_>, config: &Config) -> Result<Selection, Error> {
    // RFC 8446 section 4.1.2: exactly one byte, set to zero.
    if hello.compression_methods != [0] {
        return Err(Reason::BadCompressionMethods.into());
    }
    if hello.pre_shared_key.is_some() {
        // Section 4.2.11: MUST be the last extension. Section 4.2.9: MUST come with the modes.
        if hello.last_extension != Some(ExtensionType::PreSharedKey as u16) {
            return Err(Reason::PreSharedKeyNotLast.into());
        }
        if hello.psk_modes.is_none() {
            return Err(Reason::MissingExtension.into());
        }
    }
    // Section 9.2. A client that offers nothing but PSKs without (EC)DHE is sound, though there
    // is nothing in common with it.
    let (groups, shares) = match (hello.groups, hello.key_shares) {
        (Some(groups), Some(shares)) => (groups, shares),
        (None, None) if hello.pre_shared_key.is_some() => return Err(Reason::NoCommonGroup.into()),
        _ => return Err(Reason::MissingExtension.into()),
    };
    if hello.signature_algorithms.is_none() && hello.pre_shared_key.is_none() {
        return Err(Reason::MissingExtension.into());
    }

    // Section 4.2.8: no share for a group that is not listed, no two for the same.
    let allowed = NamedGroup::ALL
        .into_iter()
        .filter(|&group| config.allows_group(group));
    let mut with_share = None;
    for group in NamedGroup::ALL {
        let mut exchanges = shares
            .iter()
            .filter(|(code, _)| *code == group.code())
            .map(|(_, exchange)| exchange);
        let exchange = exchanges.next();
        if exchanges.next().is_some() || exchange.is_some() && !groups.contains(group.code()) {
            return Err(Reason::BadKeyShareList.into());
        }
        if let Some(exchange) = exchange.filter(|_| config.allows_group(group)) {
            with_share = with_share.or(Some((group, exchange)));
        }
    }
    let suite = suite(hello, config, Version::Tls13)?;
    // Section 4.2.3: MUST abort with missing_extension, if it comes to a certificate.
    let signature = match hello.signature_algorithms {
        None => Err(Reason::MissingSignatureAlgorithms),
        Some(_) if verifies_signatures(hello) => Ok(()),
        Some(_) => Err(Reason::NoCommonSignatureAlgorithm),
    };
    match with_share {
        Some((group, exchange)) => {
            let share = Some(Share::new(group, exchange).ok_or(Reason::BadKeyShare)?);
            Ok(Selection {
                suite,
                group,
                share,
                signature,
            })
        }
        None => {
            let mut listed = allowed.filter(|group| groups.contains(group.code()));
            let group = listed.next().ok_or(Reason::NoCommonGroup)?;
            Ok(Selection {
                suite,
                group,
                share: None,
                signature,
            })
        }
    }
}

/// The first suite in common in the order of preference. A client that names ChaCha20 first
/// has no fast AES, and gets its wish.
fn suite(hello: &ClientHello<'_>, config: &Config, version: Version) -> Result<Suite, Error> {
    let chacha = Suite::Chacha20Poly1305Sha256;
    let known = |code: &u16| Suite::ALL.iter().any(|suite| suite.code(version) == *code);
    let wish = hello.cipher_suites.iter().find(known) == Some(chacha.code(version));
    wish.then_some(chacha)
        .into_iter()
        .chain(Suite::ALL)
        .filter(|&suite| config.allows_suite(version, suite))
        .find(|suite| hello.cipher_suites.contains(suite.code(version)))
        .ok_or(Reason::NoCommonCipherSuite.into())
}

fn holds(list: &[u8], value: u8) -> bool {
    list.iter().any(|&byte| byte == value)
}

fn verifies_signatures(hello: &ClientHello<'_>) -> bool {
    hello
        .signature_algorithms
        .is_some_and(|list| list.contains(ECDSA_SECP256R1_SHA256))
}

/// Chooses suite and group of a full TLS 1.2 handshake, or finds out why it cannot be spoken.
pub fn select_tls12(
    hello: &ClientHello<'_>,
    config: &Config,
) -> Result<(Suite, NamedGroup), Error> {
    if !holds(hello.compression_methods, 0) {
        return Err(Reason::BadCompressionMethods.into());
    }
    // RFC 8422 section 5.1.2: the uncompressed format MUST be in the list.
    if hello
        .point_formats
        .is_some_and(|formats| !holds(formats, 0))
    {
        return Err(Reason::BadPointFormats.into());
    }
    // RFC 5746 section 3.6: MUST be empty in an initial handshake.
    if hello
        .renegotiation_info
        .is_some_and(|info| !info.is_empty())
    {
        return Err(Reason::BadRenegotiationInfo.into());
    }
    let suite = suite(hello, config, Version::Tls12)?;
    let listed = |group: &NamedGroup| match hello.groups {
        Some(groups) => groups.contains(group.code()),
        None => *group == NamedGroup::Secp256r1,
    };
    let mut allowed = NamedGroup::ALL
        .into_iter()
        .filter(|&group| config.allows_group(group));
    let group = allowed.find(listed).ok_or(Reason::NoCommonGroup)?;
    if !listed(&NamedGroup::Secp256r1) {
        return Err(Reason::NoCommonGroup.into());
    }
    if !verifies_signatures(hello) {
        return Err(Reason::NoCommonSignatureAlgorithm.into());
    }
    Ok((suite, group))
}

/// Whether the client knows secure renegotiation, RFC 5746 section 3.6.
pub fn secure_renegotiation(hello: &ClientHello<'_>) -> bool {
    hello.renegotiation_info.is_some()
        || hello.cipher_suites.contains(EMPTY_RENEGOTIATION_INFO_SCSV)
}

/// Whether the client resumes with PSK and (EC)DHE, the only mode here.
pub fn resumes_with_dhe(hello: &ClientHello<'_>) -> bool {
    hello
        .psk_modes
        .is_some_and(|modes| holds(modes, PSK_DHE_KE))
}

/// Settles what both versions have in common. The identity has been selected.
pub fn replies<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    version: Version,
) -> Result<Replies, Error> {
    let mut fragment_max = env.config().fragment_max();
    if let Some(limit) = hello.record_size_limit {
        // RFC 8449 section 4: in TLS 1.3 the limit counts the content type.
        let limit = match version {
            Version::Tls12 => limit,
            Version::Tls13 => limit.saturating_sub(1),
        };
        fragment_max = fragment_max.min(limit);
    }
    cx.fragment_max = fragment_max;
    Ok(Replies {
        server_name: hello.server_name.is_some(),
        alpn: alpn(hello, env.alpn_protocols())?,
        record_size_limit: hello.record_size_limit.is_some(),
        status_request: hello.status_request && !env.ocsp_response().is_empty(),
    })
}

/// The first of the configured protocols that the client offers, as its position.
fn alpn(hello: &ClientHello<'_>, configured: &[u8]) -> Result<Option<u8>, Error> {
    let Some(offered) = hello.alpn.filter(|_| !configured.is_empty()) else {
        return Ok(None);
    };
    (0..=u8::MAX)
        .zip(vectors8(configured))
        .find(|(_, name)| vectors8(offered).any(|other| other == *name))
        .map(|(position, _)| Some(position))
        .ok_or(Reason::NoApplicationProtocol.into())
}
