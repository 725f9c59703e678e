// SPDX-License-Identifier: GPL-2.0
//! Handshake messages: what the client sends, parsed, and what the server sends, encoded.

pub mod client_hello;
pub mod server;

/// HandshakeType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum HandshakeType {
    ClientHello = 1,
    ServerHello = 2,
    NewSessionTicket = 4,
    EncryptedExtensions = 8,
    Certificate = 11,
    ServerKeyExchange = 12,
    ServerHelloDone = 14,
    CertificateVerify = 15,
    ClientKeyExchange = 16,
    Finished = 20,
    CertificateStatus = 22,
    /// Stands for the first ClientHello in the transcript of a retried handshake.
    MessageHash = 254,
}

/// ExtensionType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum ExtensionType {
    ServerName = 0,
    StatusRequest = 5,
    SupportedGroups = 10,
    EcPointFormats = 11,
    SignatureAlgorithms = 13,
    Alpn = 16,
    ExtendedMasterSecret = 23,
    RecordSizeLimit = 28,
    SessionTicket = 35,
    PreSharedKey = 41,
    EarlyData = 42,
    SupportedVersions = 43,
    Cookie = 44,
    PskKeyExchangeModes = 45,
    KeyShare = 51,
    RenegotiationInfo = 0xff01,
}

impl ExtensionType {
    /// The type with this number.
    pub const fn from_u16(value: u16) -> Option<Self> {
        Some(match value {
            0 => ExtensionType::ServerName,
            5 => ExtensionType::StatusRequest,
            10 => ExtensionType::SupportedGroups,
            11 => ExtensionType::EcPointFormats,
            13 => ExtensionType::SignatureAlgorithms,
            16 => ExtensionType::Alpn,
            23 => ExtensionType::ExtendedMasterSecret,
            28 => ExtensionType::RecordSizeLimit,
            35 => ExtensionType::SessionTicket,
            41 => ExtensionType::PreSharedKey,
            42 => ExtensionType::EarlyData,
            43 => ExtensionType::SupportedVersions,
            44 => ExtensionType::Cookie,
            45 => ExtensionType::PskKeyExchangeModes,
            51 => ExtensionType::KeyShare,
            0xff01 => ExtensionType::RenegotiationInfo,
            _ => return None,
        })
    }
}

/// ecdsa_secp256r1_sha256 of SignatureScheme; in TLS 1.2 the pair (sha256, ecdsa).
pub const ECDSA_SECP256R1_SHA256: u16 = 0x0403;

/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV of RFC 5746.
pub const EMPTY_RENEGOTIATION_INFO_SCSV: u16 = 0x00ff;
/// TLS_FALLBACK_SCSV of RFC 7507.
pub const FALLBACK_SCSV: u16 = 0x5600;
/// PskKeyExchangeMode psk_dhe_ke.
pub const PSK_DHE_KE: u8 = 1;
