// SPDX-License-Identifier: GPL-2.0
//! What can be negotiated: versions, cipher suites, groups, and the configuration that selects
//! among them.

/// Protocol versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// The version with this discriminant.
    pub(crate) const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Version::Tls12),
            1 => Some(Version::Tls13),
            _ => None,
        }
    }

    /// ProtocolVersion on the wire.
    pub const fn code(self) -> u16 {
        match self {
            Version::Tls12 => 0x0303,
            Version::Tls13 => 0x0304,
        }
    }

    /// Bit in [`Config::versions`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Version::Tls12 => "TLS 1.2",
            Version::Tls13 => "TLS 1.3",
        }
    }
}

/// Hash functions of the transcript and of the key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum HashAlgorithm {
    Sha256,
    Sha384,
}

impl HashAlgorithm {
    /// Length of the output in bytes.
    pub const fn output_len(self) -> usize {
        match self {
            HashAlgorithm::Sha256 => 32,
            HashAlgorithm::Sha384 => 48,
        }
    }
}

/// Record protection algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

impl Aead {
    /// Length of the key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Aead::Aes128Gcm => 16,
            Aead::Aes256Gcm | Aead::Chacha20Poly1305 => 32,
        }
    }
}

/// Cipher suites: an AEAD and a hash; in TLS 1.2 with ECDHE_ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Suite {
    Aes128GcmSha256,
    Aes256GcmSha384,
    Chacha20Poly1305Sha256,
}

impl Suite {
    /// All suites, in the order of preference.
    pub const ALL: [Suite; 3] = [
        Suite::Aes128GcmSha256,
        Suite::Aes256GcmSha384,
        Suite::Chacha20Poly1305Sha256,
    ];

    /// The suite with this discriminant.
    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        Suite::ALL.into_iter().find(|&suite| suite as u8 == value)
    }

    /// CipherSuite on the wire: RFC 8446 appendix B.4, RFC 5289, RFC 7905.
    pub const fn code(self, version: Version) -> u16 {
        match (version, self) {
            (Version::Tls13, Suite::Aes128GcmSha256) => 0x1301,
            (Version::Tls13, Suite::Aes256GcmSha384) => 0x1302,
            (Version::Tls13, Suite::Chacha20Poly1305Sha256) => 0x1303,
            (Version::Tls12, Suite::Aes128GcmSha256) => 0xc02b,
            (Version::Tls12, Suite::Aes256GcmSha384) => 0xc02c,
            (Version::Tls12, Suite::Chacha20Poly1305Sha256) => 0xcca9,
        }
    }

    /// Bit in [`Config::tls_12_cipher_suites`] and [`Config::tls_13_ciphersuites`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Record protection.
    pub const fn aead(self) -> Aead {
        match self {
            Suite::Aes128GcmSha256 => Aead::Aes128Gcm,
            Suite::Aes256GcmSha384 => Aead::Aes256Gcm,
            Suite::Chacha20Poly1305Sha256 => Aead::Chacha20Poly1305,
        }
    }

    /// Hash of the transcript and of the key schedule or PRF.
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Suite::Aes256GcmSha384 => HashAlgorithm::Sha384,
            Suite::Aes128GcmSha256 | Suite::Chacha20Poly1305Sha256 => HashAlgorithm::Sha256,
        }
    }

    /// Registered name.
    pub const fn name(self, version: Version) -> &'static str {
        match (version, self) {
            (Version::Tls13, Suite::Aes128GcmSha256) => "TLS_AES_128_GCM_SHA256",
            (Version::Tls13, Suite::Aes256GcmSha384) => "TLS_AES_256_GCM_SHA384",
            (Version::Tls13, Suite::Chacha20Poly1305Sha256) => "TLS_CHACHA20_POLY1305_SHA256",
            (Version::Tls12, Suite::Aes128GcmSha256) => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            (Version::Tls12, Suite::Aes256GcmSha384) => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            (Version::Tls12, Suite::Chacha20Poly1305Sha256) => {
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
            }
        }
    }
}

/// Key exchange groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum NamedGroup {
    Secp256r1,
    X25519,
}

impl NamedGroup {
    /// All groups, in the order of preference.
    pub const ALL: [NamedGroup; 2] = [NamedGroup::X25519, NamedGroup::Secp256r1];

    /// The group with this discriminant.
    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        NamedGroup::ALL
            .into_iter()
            .find(|&group| group as u8 == value)
    }

    /// NamedGroup on the wire.
    pub const fn code(self) -> u16 {
        match self {
            NamedGroup::Secp256r1 => 0x0017,
            NamedGroup::X25519 => 0x001d,
        }
    }

    /// Bit in [`Config::ecurves`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Length of a public key on the wire: an uncompressed point or a u-coordinate.
    pub const fn share_len(self) -> usize {
        match self {
            NamedGroup::Secp256r1 => 65,
            NamedGroup::X25519 => 32,
        }
    }

    /// Registered name.
    pub const fn name(self) -> &'static str {
        match self {
            NamedGroup::Secp256r1 => "secp256r1",
            NamedGroup::X25519 => "x25519",
        }
    }
}

/// What a listener allows. The masks have the bits of `struct tls_hs_crypto_info`; bits that the
/// engine does not know are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// [`Version::bit`]s.
    pub versions: u32,
    /// [`Suite::bit`]s for TLS 1.2.
    pub tls_12_cipher_suites: u32,
    /// [`Suite::bit`]s for TLS 1.3.
    pub tls_13_ciphersuites: u32,
    /// [`NamedGroup::bit`]s.
    pub ecurves: u32,
    /// Tickets to send in TLS 1.3, if there is a key for them.
    pub tickets: u8,
    /// Seconds for which a ticket is accepted; what exceeds 7 days is cut.
    pub ticket_lifetime: u32,
    /// Most content of a record, 64 to 16384 bytes.
    pub fragment_max: u16,
}

impl Config {
    /// Everything that the engine can do.
    pub const SUPPORTED: Config = Config {
        versions: Version::Tls12.bit() | Version::Tls13.bit(),
        tls_12_cipher_suites: Self::ALL_SUITES,
        tls_13_ciphersuites: Self::ALL_SUITES,
        ecurves: NamedGroup::Secp256r1.bit() | NamedGroup::X25519.bit(),
        tickets: 2,
        ticket_lifetime: 24 * 60 * 60,
        fragment_max: 1 << 14,
    };

    const ALL_SUITES: u32 = Suite::Aes128GcmSha256.bit()
        | Suite::Aes256GcmSha384.bit()
        | Suite::Chacha20Poly1305Sha256.bit();

    /// [`Config::fragment_max`] within its bounds.
    pub(crate) fn fragment_max(&self) -> u16 {
        self.fragment_max.clamp(64, 1 << 14)
    }

    /// Whether `version` is allowed and known.
    pub const fn allows_version(&self, version: Version) -> bool {
        self.versions & Config::SUPPORTED.versions & version.bit() != 0
    }

    /// Whether `suite` is allowed in `version`.
    pub const fn allows_suite(&self, version: Version, suite: Suite) -> bool {
        let mask = match version {
            Version::Tls12 => self.tls_12_cipher_suites,
            Version::Tls13 => self.tls_13_ciphersuites,
        };
        mask & suite.bit() != 0
    }

    /// Whether `group` is allowed.
    pub const fn allows_group(&self, group: NamedGroup) -> bool {
        self.ecurves & group.bit() != 0
    }
}
