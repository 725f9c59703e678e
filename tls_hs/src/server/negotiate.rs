// SPDX-License-Identifier: GPL-2.0
//! What is served, what falls back and what is refused.
//!
//! | ClientHello | outcome |
//! |---|---|
//! | does not parse, has an extension twice | refused |
//! | no version in common | falls back |
//! | TLS 1.3: compression, missing extensions, pre_shared_key not last | refused |
//! | no suite, group or signature algorithm in common | falls back |
//! | a share for a group that supported_groups lacks, or two for one group | refused |
//! | no certificate for the server name | falls back |
//! | no share for the group chosen | HelloRetryRequest |
//!
//! Within a row the configuration's masks decide what is in common. What is malformed is refused
//! even if it would have fallen back, but only as far as the version that is negotiated defines it.

use super::Share;
use crate::msgs::client_hello::ClientHello;
use crate::msgs::{ExtensionType, ECDSA_SECP256R1_SHA256};
use crate::{Config, Error, NamedGroup, Reason, Suite, Version};

/// The highest version in common, RFC 8446 section 4.2.1.
pub fn version(hello: &ClientHello<'_>, config: &Config) -> Result<Version, Error> {
    let offers = |version: Version| match hello.versions {
        Some(versions) => versions.contains(version.code()),
        // Without supported_versions the client cannot mean TLS 1.3.
        None => version == Version::Tls12 && hello.legacy_version >= version.code(),
    };
    [Version::Tls13, Version::Tls12]
        .into_iter()
        .find(|&version| config.allows_version(version) && offers(version))
        .ok_or(Reason::UnsupportedVersion.into())
}

/// The parameters of a TLS 1.3 handshake.
pub struct Selection {
    /// Cipher suite.
    pub suite: Suite,
    /// Key exchange group.
    pub group: NamedGroup,
    /// The client's share of it, if it sent one.
    pub share: Option<Share>,
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
    let signature_algorithms = match hello.signature_algorithms {
        Some(algorithms) => algorithms,
        None if hello.pre_shared_key.is_some() => {
            return Err(Reason::NoCommonSignatureAlgorithm.into())
        }
        None => return Err(Reason::MissingExtension.into()),
    };

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
    if !signature_algorithms.contains(ECDSA_SECP256R1_SHA256) {
        return Err(Reason::NoCommonSignatureAlgorithm.into());
    }
    match with_share {
        Some((group, exchange)) => {
            let share = Some(Share::new(group, exchange).ok_or(Reason::BadKeyShare)?);
            Ok(Selection {
                suite,
                group,
                share,
            })
        }
        None => {
            let mut listed = allowed.filter(|group| groups.contains(group.code()));
            let group = listed.next().ok_or(Reason::NoCommonGroup)?;
            Ok(Selection {
                suite,
                group,
                share: None,
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
