// SPDX-License-Identifier: GPL-2.0
//! Why a handshake ends without keys: one table for the code, the alert, the counter and the
//! documentation.

/// Alert descriptions, RFC 8446 section 6 and RFC 7301 section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum AlertDescription {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    HandshakeFailure = 40,
    IllegalParameter = 47,
    DecodeError = 50,
    DecryptError = 51,
    ProtocolVersion = 70,
    InternalError = 80,
    InappropriateFallback = 86,
    UserCanceled = 90,
    NoRenegotiation = 100,
    MissingExtension = 109,
    UnrecognizedName = 112,
    NoApplicationProtocol = 120,
}

/// What becomes of a connection whose handshake stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The ClientHello is sound but not for this engine. Nothing of it has been consumed, so that
    /// another TLS library can serve it. A caller without one sends the reason's alert.
    Fallback,
    /// The reason's alert is sent and the connection closed.
    Alert,
    /// The connection is closed without an alert.
    Close,
}

/// An error is its reason: one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub Reason);

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Error(reason)
    }
}

/// Declares [`Reason`] and everything that is looked up by it from one table.
macro_rules! reasons {
    ($($variant:ident $name:literal $disposition:ident $alert:expr, $text:literal;)*) => {
        /// Every way in which a handshake stops.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $text] $variant,)*
        }

        impl Reason {
            /// All reasons; `ALL[r as usize] == r`.
            pub const ALL: [Reason; Reason::COUNT] = [$(Reason::$variant),*];

            /// Number of reasons.
            pub const COUNT: usize = [$($name),*].len();

            /// Name of the counter.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// One sentence for the documentation.
            pub const fn description(self) -> &'static str {
                match self { $(Reason::$variant => $text,)* }
            }

            /// What becomes of the connection, when nothing has been consumed yet.
            pub const fn disposition(self) -> Disposition {
                match self { $(Reason::$variant => Disposition::$disposition,)* }
            }

            /// The alert for the client. Reasons to fall back have one as well, for callers that
            /// have nothing to fall back to.
            pub const fn alert(self) -> Option<AlertDescription> {
                match self { $(Reason::$variant => $alert,)* }
            }
        }
    };
}

use AlertDescription as A;

reasons! {
    // Sound, but not for this engine.
    UnsupportedVersion "unsupported_version" Fallback Some(A::ProtocolVersion),
        "The client offers no protocol version that the configuration allows, or SSL.";
    NoCommonCipherSuite "no_common_cipher_suite" Fallback Some(A::HandshakeFailure),
        "The client offers no cipher suite that the configuration allows.";
    NoCommonGroup "no_common_group" Fallback Some(A::HandshakeFailure),
        "The client offers no key exchange group that the configuration allows.";
    NoCommonSignatureAlgorithm "no_common_signature_algorithm" Fallback Some(A::HandshakeFailure),
        "The client does not accept ecdsa_secp256r1_sha256 signatures.";
    MissingSignatureAlgorithms "missing_signature_algorithms" Fallback Some(A::MissingExtension),
        "The ClientHello offers PSKs, of which none is good, and no signature algorithms.";
    UnrecognizedName "unrecognized_name" Fallback Some(A::UnrecognizedName),
        "No certificate is configured for the server name that the client asked for.";
    ClientHelloTooLong "client_hello_too_long" Fallback Some(A::IllegalParameter),
        "The ClientHello is longer than 16384 bytes.";
    ClientHelloTooFragmented "client_hello_too_fragmented" Fallback Some(A::IllegalParameter),
        "The ClientHello is spread over more than 2048 records.";
    TooManyExtensions "too_many_extensions" Fallback Some(A::IllegalParameter),
        "The ClientHello has more than 64 extensions.";

    // Not TLS, or broken record framing.
    NotTls "not_tls" Alert Some(A::UnexpectedMessage),
        "The connection does not begin with a TLS handshake record.";
    RecordVersion "record_version" Alert Some(A::ProtocolVersion),
        "A record header has a major version other than 3, or, in TLS 1.2, another version.";
    RecordOverflow "record_overflow" Alert Some(A::RecordOverflow),
        "A record is longer than the protocol allows.";
    EmptyRecord "empty_record" Alert Some(A::UnexpectedMessage),
        "A handshake, alert or protected record without content.";
    UnexpectedRecord "unexpected_record" Alert Some(A::UnexpectedMessage),
        "A record of a type that has no place here.";
    InterleavedRecord "interleaved_record" Alert Some(A::UnexpectedMessage),
        "A record of another type between the fragments of a handshake message.";
    BadChangeCipherSpec "bad_change_cipher_spec" Alert Some(A::UnexpectedMessage),
        "A change_cipher_spec record in TLS 1.3 that is not the single byte 1, or is protected.";
    IllegalChangeCipherSpec "illegal_change_cipher_spec" Alert Some(A::IllegalParameter),
        "A change_cipher_spec of TLS 1.2 that is not the single byte 1.";
    TooManyChangeCipherSpecs "too_many_change_cipher_specs" Alert Some(A::UnexpectedMessage),
        "More than 32 change_cipher_spec records.";
    TooManyWarnings "too_many_warnings" Alert Some(A::UnexpectedMessage),
        "More than 4 warning alerts during the handshake.";
    TooMuchEarlyData "too_much_early_data" Alert Some(A::UnexpectedMessage),
        "More than 16384 bytes of early data, which is never accepted, had to be skipped; or 4096 without a PSK.";
    BadRecordMac "bad_record_mac" Alert Some(A::BadRecordMac),
        "A protected record did not authenticate.";

    // Messages.
    UnexpectedMessage "unexpected_message" Alert Some(A::UnexpectedMessage),
        "A handshake message of a type that has no place here.";
    ExcessHandshakeData "excess_handshake_data" Alert Some(A::UnexpectedMessage),
        "Handshake data behind a message that a key change or an answer follows.";
    DecodeError "decode_error" Alert Some(A::DecodeError),
        "A message or an extension does not parse.";
    DuplicateExtension "duplicate_extension" Alert Some(A::DecodeError),
        "The ClientHello has two extensions of one type.";
    BadServerName "bad_server_name" Alert Some(A::IllegalParameter),
        "The server name has a byte that no DNS name in ASCII has, or there are two of them.";
    BadCompressionMethods "bad_compression_methods" Alert Some(A::IllegalParameter),
        "The compression methods are not what the protocol version demands.";
    PreSharedKeyNotLast "pre_shared_key_not_last" Alert Some(A::IllegalParameter),
        "pre_shared_key is not the last extension of the ClientHello.";
    BadPreSharedKeys "bad_pre_shared_keys" Alert Some(A::IllegalParameter),
        "pre_shared_key has not one binder for each identity.";
    MissingExtension "missing_extension" Alert Some(A::MissingExtension),
        "The ClientHello lacks an extension that TLS 1.3 demands.";
    BadKeyShare "bad_key_share" Alert Some(A::IllegalParameter),
        "The client's key share is not a valid public key of its group.";
    BadKeyShareList "bad_key_share_list" Alert Some(A::IllegalParameter),
        "The key shares name a group twice, or one that supported_groups does not list.";
    InappropriateFallback "inappropriate_fallback" Alert Some(A::InappropriateFallback),
        "The client fell back to TLS 1.2 (TLS_FALLBACK_SCSV) though TLS 1.3 is served.";
    NoApplicationProtocol "no_application_protocol" Alert Some(A::NoApplicationProtocol),
        "The client's ALPN list has no protocol in common with the configured one.";
    BadRecordSizeLimit "bad_record_size_limit" Alert Some(A::IllegalParameter),
        "The client's record_size_limit is below 64.";
    BadPointFormats "bad_point_formats" Alert Some(A::IllegalParameter),
        "The client's point formats lack the uncompressed one.";
    BadRenegotiationInfo "bad_renegotiation_info" Alert Some(A::HandshakeFailure),
        "The renegotiation_info of an initial handshake is not empty.";
    LostExtendedMasterSecret "lost_extended_master_secret" Alert Some(A::HandshakeFailure),
        "The ClientHello resumes a session that had an extended master secret, without asking for it.";
    BadBinder "bad_binder" Alert Some(A::DecryptError),
        "The PSK binder of the ticket that was chosen does not verify.";
    BadSecondClientHello "bad_second_client_hello" Alert Some(A::IllegalParameter),
        "The ClientHello after a HelloRetryRequest differs from the first where it must not, or has lost its PSKs.";
    NoRenegotiation "no_renegotiation" Alert Some(A::NoRenegotiation),
        "The client began another handshake in TLS 1.2.";
    BadKeyUpdate "bad_key_update" Alert Some(A::IllegalParameter),
        "A KeyUpdate asks for something that is not defined.";
    TooManyKeyUpdates "too_many_key_updates" Alert Some(A::UnexpectedMessage),
        "More than 32 KeyUpdates without data between them.";
    BadFinished "bad_finished" Alert Some(A::DecryptError),
        "The client's Finished does not match the handshake.";

    // This side.
    CryptoFailed "crypto_failed" Alert Some(A::InternalError),
        "A cryptographic operation of this side failed.";
    OutOfOrder "out_of_order" Alert Some(A::InternalError),
        "The driver called the engine out of order, or the client sent urgent data.";

    // The other side.
    AlertReceived "alert_received" Close None,
        "The client ended the handshake with an alert.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_indexed_by_reason_and_names_are_unique() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert_eq!(
                reason.disposition() == Disposition::Close,
                reason.alert().is_none()
            );
            assert!(reason
                .name()
                .bytes()
                .all(|b| b == b'_' || b.is_ascii_lowercase()));
            assert!(
                Reason::ALL
                    .iter()
                    .filter(|r| r.name() == reason.name())
                    .count()
                    == 1
            );
        }
    }
}
