// SPDX-License-Identifier: GPL-2.0

//! What a listening socket serves: the value of the TLS_HS option.

use crate::kern::uapi::{self, OptionValue};
use crate::keyring::Store;
use kernel::prelude::*;
use kernel::sync::Arc;
use tls_hs::{NamedGroup, Suite, Version};

// The engine's bits are the user header's.
const _: () = assert!(
    Version::Tls12.bit() == uapi::TLS_HS_VERSION_1_2
        && Version::Tls13.bit() == uapi::TLS_HS_VERSION_1_3
        && Suite::Aes128GcmSha256.bit() == uapi::TLS_HS_AES_128_GCM_SHA256
        && Suite::Aes256GcmSha384.bit() == uapi::TLS_HS_AES_256_GCM_SHA384
        && Suite::Chacha20Poly1305Sha256.bit() == uapi::TLS_HS_CHACHA20_POLY1305_SHA256
        && Suite::Aes128GcmSha256.bit() == uapi::TLS_HS_ECDHE_ECDSA_AES_128_GCM_SHA256
        && Suite::Aes256GcmSha384.bit() == uapi::TLS_HS_ECDHE_ECDSA_AES_256_GCM_SHA384
        && Suite::Chacha20Poly1305Sha256.bit() == uapi::TLS_HS_ECDHE_ECDSA_CHACHA20_POLY1305_SHA256
        && NamedGroup::Secp256r1.bit() == uapi::TLS_HS_SECP256R1
        && NamedGroup::X25519.bit() == uapi::TLS_HS_X25519
);

/// Most tickets after a handshake of TLS 1.3.
const TICKETS_MAX: u32 = 8;

/// What a listening socket serves.
pub(crate) struct Config {
    /// Versions, suites and groups.
    pub(crate) engine: tls_hs::Config,
    /// Certificates and keys by server name.
    pub(crate) store: Store,
}

impl Config {
    /// The same with keyrings that are read again. Process context, no locks held.
    ///
    /// # Errors
    ///
    /// Those of [`Store::reload`].
    pub(crate) fn reload(&self) -> Result<Arc<Self>> {
        let engine = self.engine;
        let store = self.store.reload()?;
        Ok(Arc::new(Self { engine, store }, GFP_KERNEL_ACCOUNT)?)
    }
}

/// Reads the option. Process context, no locks held.
///
/// # Errors
///
/// EINVAL for bits that no version of the interface defines and for too many tickets, E2BIG and EFAULT as [`OptionValue::crypto_info`], and what [`Store::load`] returns.
pub(crate) fn config(value: &OptionValue) -> Result<Arc<Config>> {
    let info = value.crypto_info()?;
    if info.flags & !uapi::TLS_HS_STRICT_SNI != 0 || info.tickets > TICKETS_MAX {
        return Err(EINVAL);
    }
    let supported = tls_hs::Config::SUPPORTED;
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let suites = uapi::TLS_HS_AES_128_GCM_SHA256
        | uapi::TLS_HS_AES_256_GCM_SHA384
        | uapi::TLS_HS_CHACHA20_POLY1305_SHA256;
    let engine = tls_hs::Config {
        versions: mask(
            info.versions,
            uapi::TLS_HS_VERSION_1_2 | uapi::TLS_HS_VERSION_1_3,
        )?,
        tls_12_cipher_suites: mask(info.tls_12_cipher_suites, suites)?,
        tls_13_ciphersuites: mask(info.tls_13_ciphersuites, suites)?,
        ecurves: mask(info.ecurves, uapi::TLS_HS_SECP256R1 | uapi::TLS_HS_X25519)?,
        tickets: or(info.tickets, supported.tickets.into()) as u8,
        ticket_lifetime: or(info.ticket_lifetime, supported.ticket_lifetime),
        ..supported
    };
    let strict = info.flags & uapi::TLS_HS_STRICT_SNI != 0;
    let store = Store::load(info.tls_keyring, strict)?;
    Ok(Arc::new(Config { engine, store }, GFP_KERNEL_ACCOUNT)?)
}

/// A mask of the option: 0 stands for everything.
fn mask(bits: u32, defined: u32) -> Result<u32> {
    match bits {
        0 => Ok(defined),
        bits if bits & !defined == 0 => Ok(bits),
        _ => Err(EINVAL),
    }
}
