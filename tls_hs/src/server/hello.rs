// SPDX-License-Identifier: GPL-2.0
//! Values that states of both versions carry.

use crate::codec::{vectors8, Reader, Short};
use crate::msgs::server::{Answers, Tls12Answers};
use crate::record::PLAINTEXT_MAX;
use crate::{Environment, NamedGroup, Suite, Version};

/// A session ID of the client, to be echoed.
pub type SessionId = Short<32>;

/// A public key on the wire.
#[derive(Clone, Copy)]
pub struct Share(Short<65>);

impl Share {
    pub const EMPTY: Share = Share(Short::EMPTY);

    /// The share in `bytes`, if it has the length that `group` demands.
    pub fn new(group: NamedGroup, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == group.share_len()).then(|| Share(Short::new(bytes)))
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A server name, 1 to 255 bytes; none if empty.
pub struct ServerName(Short<255>);

impl ServerName {
    pub const NONE: ServerName = ServerName(Short::EMPTY);

    pub fn set(&mut self, name: Option<&[u8]>) {
        self.0.set(name.unwrap_or(&[]));
    }

    pub fn get(&self) -> Option<&[u8]> {
        Some(self.0.bytes()).filter(|name| !name.is_empty())
    }
}

/// What the client's extensions are answered with.
#[derive(Clone, Copy)]
pub struct Replies {
    /// The client named a server.
    pub server_name: bool,
    /// Position in [`Environment::alpn_protocols`].
    pub alpn: Option<u8>,
    /// The client limited the size of records.
    pub record_size_limit: bool,
    /// The client wants an OCSP response, and there is one.
    pub status_request: bool,
}

impl Replies {
    /// RFC 6066 section 3: MUST NOT acknowledge server_name when a session is resumed; certificates
    /// and their status are not sent then.
    pub fn resumed(self, resumed: bool) -> Self {
        Replies {
            server_name: self.server_name && !resumed,
            status_request: self.status_request && !resumed,
            ..self
        }
    }

    /// The name of the application protocol.
    fn protocol<'a, E: Environment>(&self, env: &'a E) -> Option<&'a [u8]> {
        vectors8(env.alpn_protocols()).nth(self.alpn?.into())
    }

    /// In the form that goes out. The server's own limit on records is the protocol's.
    pub fn answers<'a, E: Environment>(&self, env: &'a E, version: Version) -> Answers<'a> {
        let limit = PLAINTEXT_MAX as u16 + u16::from(version == Version::Tls13);
        Answers {
            server_name: self.server_name,
            alpn: self.protocol(env),
            record_size_limit: self.record_size_limit.then_some(limit),
        }
    }

    /// The OCSP response to send.
    pub fn ocsp<'a, E: Environment>(&self, env: &'a E) -> Option<&'a [u8]> {
        self.status_request.then(|| env.ocsp_response())
    }
}

/// An ECDSA-Sig-Value in DER. 72 bytes are the most that two 256-bit integers take.
pub struct Signature(Short<72>);

impl Signature {
    pub fn new(der: &[u8]) -> Option<Self> {
        let signature = Short::new(der);
        let mut sequence = Reader::new(der);
        let is_sequence = sequence.u8() == Ok(0x30) && sequence.vec8(6).is_ok();
        (is_sequence && sequence.is_empty() && signature.bytes().len() == der.len())
            .then_some(Signature(signature))
    }

    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// What has been negotiated. Stays in place while states change; filled in by the transition out
/// of the ClientHello.
pub struct Params {
    pub suite: Suite,
    pub group: NamedGroup,
    /// To be echoed. In TLS 1.2 empty but in an abbreviated handshake: sessions are not kept.
    pub session_id: SessionId,
    pub client_random: [u8; 32],
    /// The server's.
    pub random: [u8; 32],
    /// The server's.
    pub share: Share,
    pub replies: Replies,
    /// TLS 1.3: a change_cipher_spec is due behind the next message, RFC 8446 appendix D.4.
    pub change_cipher_spec: bool,
    /// TLS 1.3: position of the PSK among those offered.
    pub psk: Option<u16>,
    /// When the session began: at its full handshake.
    pub began: u64,
    /// TLS 1.3: milliseconds since the client got the ticket that was accepted, as it says.
    pub ticket_age: Option<u32>,
    /// TLS 1.3: tickets to send.
    pub tickets: u8,
    /// TLS 1.2: answers that only it has.
    pub tls12: Tls12Answers,
    /// TLS 1.2: when the session ends, if it is one that is resumed.
    pub expiry: Option<u64>,
}

impl Params {
    /// Before anything is negotiated.
    pub const NONE: Params = Params {
        suite: Suite::Aes128GcmSha256,
        group: NamedGroup::Secp256r1,
        session_id: SessionId::EMPTY,
        client_random: [0; 32],
        random: [0; 32],
        share: Share::EMPTY,
        replies: Replies {
            server_name: false,
            alpn: None,
            record_size_limit: false,
            status_request: false,
        },
        change_cipher_spec: false,
        psk: None,
        began: 0,
        ticket_age: None,
        tickets: 0,
        tls12: Tls12Answers {
            renegotiation_info: false,
            extended_master_secret: false,
            point_formats: false,
            session_ticket: false,
            status_request: false,
        },
        expiry: None,
    };
}

/// What is said of a complete handshake beside its [`Params`].
#[derive(Clone, Copy)]
pub struct Summary {
    pub version: Version,
    pub resumed: bool,
    pub extended_master_secret: bool,
}
