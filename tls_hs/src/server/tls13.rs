// SPDX-License-Identifier: GPL-2.0
//! The states of a TLS 1.3 handshake, RFC 8446 section 2.

mod resume;
mod retry;

pub use resume::SendTicket;
pub use retry::{Retry, SendRetry};

use super::flight::{Cursor, Flight};
use super::hello::{Replies, SessionId, Signature, Summary};
use super::negotiate::{resumes_with_dhe, Selection};
use super::{Context, Share, State};
use crate::codec::{Encode, Sink};
use crate::key_schedule::{self, Early, Handshake, Master};
use crate::msgs::client_hello::ClientHello;
use crate::msgs::server as msgs;
use crate::record::inbound::MESSAGE_HEADER_LEN;
use crate::secret::equal;
use crate::ticket::{self, Scope};
use crate::transcript::{Digest, Transcript};
use crate::{Crypto, Environment, Error, Hash, NamedGroup, Reason, Suite, Version};

/// What has been negotiated, and the transcript.
struct Hello<C: Crypto> {
    transcript: Transcript<C>,
    params: Params,
}

struct Params {
    suite: Suite,
    group: NamedGroup,
    session_id: SessionId,
    /// Random of the ServerHello.
    random: [u8; 32],
    /// The server's share.
    share: Share,
    replies: Replies,
    /// Position of the PSK among those offered.
    psk: Option<u16>,
    /// Tickets to send.
    tickets: u8,
}

impl Params {
    fn server_hello(&self) -> impl Encode + '_ {
        let id = self.session_id.bytes();
        let share = self.share.bytes();
        msgs::server_hello(&self.random, id, self.suite, self.group, share, self.psk)
    }

    fn summary(&self) -> Summary {
        Summary {
            version: Version::Tls13,
            suite: self.suite,
            group: self.group,
            resumed: self.psk.is_some(),
            // The key schedule binds all secrets to the transcript, as RFC 7627 does in TLS 1.2.
            extended_master_secret: true,
            alpn: self.replies.alpn,
        }
    }
}

/// The first ClientHello, parsed and with its header.
pub fn start<E: Environment>(
    cx: &mut Context,
    env: &mut E,
    hello: &ClientHello<'_>,
    message: &[u8],
    selection: Selection,
    replies: Replies,
) -> Result<State<E::Crypto>, Error> {
    if hello.early_data {
        cx.tolerance.expect_early_data();
    }
    let mut transcript = Transcript::new(selection.suite.hash());
    match selection.share {
        Some(_) => RecvdCh::enter(cx, env, hello, message, selection, replies, transcript),
        // A ticket may yet make up for it, but is not looked at before there is a share.
        None if !selection.signature && !resumes(hello) => {
            Err(Reason::NoCommonSignatureAlgorithm.into())
        }
        None => {
            cx.unread = false;
            transcript.put(message);
            Ok(SendRetry::enter(hello, &selection, transcript))
        }
    }
}

fn resumes(hello: &ClientHello<'_>) -> bool {
    hello.pre_shared_key.is_some() && resumes_with_dhe(hello)
}

/// Has a ClientHello with a usable share.
pub struct RecvdCh<C: Crypto> {
    hello: Hello<C>,
    stage: Early,
}

impl<C: Crypto> RecvdCh<C> {
    /// `transcript` is that of the messages before this ClientHello.
    fn enter<E: Environment<Crypto = C>>(
        cx: &mut Context,
        env: &mut E,
        hello: &ClientHello<'_>,
        message: &[u8],
        selection: Selection,
        replies: Replies,
        mut transcript: Transcript<C>,
    ) -> Result<State<C>, Error> {
        let Selection {
            suite,
            group,
            share,
            signature,
        } = selection;
        let scope = Scope::new(env, hello.server_name, replies.protocol(env));
        let (psk, stage) = resume::choose(cx, env, hello, message, suite, &scope, &mut transcript)?;
        if psk.is_none() && !signature {
            return Err(Reason::NoCommonSignatureAlgorithm.into());
        }
        cx.unread = false;
        cx.peer = share.unwrap_or(Share::EMPTY);
        let mut random = [0; 32];
        env.crypto().random(&mut random);
        let tickets = match resumes_with_dhe(hello) && ticket::available(env) {
            true => env.config().tickets,
            false => 0,
        };
        let params = Params {
            suite,
            group,
            session_id: SessionId::new(hello.session_id),
            random,
            share: Share::EMPTY,
            replies,
            psk,
            tickets,
        };
        Ok(State::RecvdCh(RecvdCh {
            hello: Hello { transcript, params },
            stage,
        }))
    }

    pub fn group(&self) -> NamedGroup {
        self.hello.params.group
    }

    pub fn share(
        self,
        cx: &mut Context,
        private: &[u8; 32],
        public: &[u8],
    ) -> Result<State<C>, Error> {
        let RecvdCh { mut hello, stage } = self;
        let params = &mut hello.params;
        params.share = Share::new(params.group, public).ok_or(Reason::CryptoFailed)?;
        *cx.private.bytes_mut() = *private;
        Ok(State::Negotiated(Negotiated { hello, stage }))
    }
}

/// Has both shares.
pub struct Negotiated<C: Crypto> {
    hello: Hello<C>,
    stage: Early,
}

impl<C: Crypto> Negotiated<C> {
    pub fn group(&self) -> NamedGroup {
        self.hello.params.group
    }

    pub fn shared_secret<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        shared: Option<&[u8]>,
    ) -> Result<State<C>, Error> {
        let Negotiated { mut hello, stage } = self;
        cx.private.wipe();
        let shared = super::shared_secret(shared)?;
        hello.params.server_hello().encode(&mut hello.transcript);
        let boundary = cx.inbound.boundary()?;
        let stage = stage.handshake(
            env.crypto(),
            &mut cx.keys,
            shared,
            &hello.transcript.hash(),
            boundary,
            &mut cx.read,
            &mut cx.write,
        );
        let answers = hello.params.replies.answers(env, Version::Tls13);
        msgs::encrypted_extensions(answers).encode(&mut hello.transcript);
        if hello.params.psk.is_some() {
            return Ok(SendFlight::enter(cx, env, hello, stage, None));
        }
        let (chain, ocsp) = (env.certificate_chain(), hello.params.replies.ocsp(env));
        msgs::certificate(chain, ocsp).encode(&mut hello.transcript);
        let digest = certificate_verify_digest::<C>(&hello.transcript.hash());
        Ok(State::WaitSignature(WaitSignature {
            hello,
            stage,
            digest,
        }))
    }
}

/// SHA-256 of what CertificateVerify signs, RFC 8446 section 4.4.3.
fn certificate_verify_digest<C: Crypto>(transcript: &Digest) -> [u8; 32] {
    let mut hash = C::Sha256::new();
    hash.update(&[0x20; 64]);
    hash.update(b"TLS 1.3, server CertificateVerify\0");
    hash.update(transcript.bytes());
    hash.finish()
}

/// Waits for the signature of CertificateVerify.
pub struct WaitSignature<C: Crypto> {
    hello: Hello<C>,
    stage: Handshake,
    digest: [u8; 32],
}

impl<C: Crypto> WaitSignature<C> {
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub fn signature<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        signature: &[u8],
    ) -> Result<State<C>, Error> {
        let WaitSignature {
            mut hello, stage, ..
        } = self;
        let signature = Signature::new(signature).ok_or(Reason::CryptoFailed)?;
        msgs::certificate_verify(signature.bytes()).encode(&mut hello.transcript);
        Ok(SendFlight::enter(cx, env, hello, stage, Some(signature)))
    }
}

/// Sends ServerHello..Finished.
pub struct SendFlight<C: Crypto> {
    messages: ServerFlight<C>,
    stage: Master,
    cursor: Cursor,
}

struct ServerFlight<C: Crypto> {
    hello: Hello<C>,
    /// Of CertificateVerify; a resumed session has neither that nor a certificate.
    signature: Option<Signature>,
    /// Of Finished.
    verify_data: Digest,
    /// Hash of ClientHello..Finished.
    hash: Digest,
}

impl<C: Crypto> Flight for ServerFlight<C> {
    const NEW_KEYS: bool = true;

    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        self.hello.params.server_hello()
    }

    /// RFC 8446 appendix D.4: for clients in middlebox compatibility mode.
    fn change_cipher_spec(&self) -> bool {
        !self.hello.params.session_id.is_empty()
    }

    fn protected<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let replies = &self.hello.params.replies;
        let authentication = self.signature.as_ref().map(|signature| {
            (
                msgs::certificate(env.certificate_chain(), replies.ocsp(env)),
                msgs::certificate_verify(signature.bytes()),
            )
        });
        (
            msgs::encrypted_extensions(replies.answers(env, Version::Tls13)),
            authentication,
            msgs::finished(self.verify_data.bytes()),
        )
    }
}

impl<C: Crypto> SendFlight<C> {
    /// The transcript reaches up to what comes before Finished.
    fn enter<E: Environment<Crypto = C>>(
        cx: &mut Context,
        env: &mut E,
        mut hello: Hello<C>,
        stage: Handshake,
        signature: Option<Signature>,
    ) -> State<C> {
        let crypto = env.crypto();
        let transcript = &mut hello.transcript;
        stage.verify_data(crypto, &cx.write, &transcript.hash(), &mut cx.verify_data);
        let verify_data = Digest::of_slot(cx.verify_data.bytes(), hello.params.suite.hash());
        msgs::finished(verify_data.bytes()).encode(transcript);
        let hash = transcript.hash();
        stage.verify_data(crypto, &cx.read, &hash, &mut cx.verify_data);
        let stage = stage.master(crypto, &mut cx.keys);
        let messages = ServerFlight {
            hello,
            signature,
            verify_data,
            hash,
        };
        State::SendFlight(SendFlight {
            messages,
            stage,
            cursor: Cursor::new(),
        })
    }

    pub fn transmit<E: Environment<Crypto = C>>(
        &mut self,
        cx: &mut Context,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        self.cursor
            .transmit(&self.messages, &mut cx.write, cx.fragment_max, env, out)
    }

    pub fn sent<E: Environment<Crypto = C>>(self, cx: &mut Context, env: &mut E) -> State<C> {
        let SendFlight {
            messages, stage, ..
        } = self;
        let ServerFlight { hello, hash, .. } = messages;
        stage.server_application(env.crypto(), &cx.keys, &hash, &mut cx.write);
        State::WaitFinished(WaitFinished { hello, stage, hash })
    }
}

/// Waits for the client's Finished.
pub struct WaitFinished<C: Crypto> {
    hello: Hello<C>,
    stage: Master,
    /// Hash of ClientHello..server Finished.
    hash: Digest,
}

impl<C: Crypto> WaitFinished<C> {
    pub fn finished<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        message: &[u8],
    ) -> Result<State<C>, Error> {
        let WaitFinished {
            mut hello,
            stage,
            hash,
        } = self;
        let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]);
        let expected = key_schedule::first(cx.verify_data.bytes(), hello.params.suite.hash());
        if body.len() != expected.len() {
            return Err(Reason::DecodeError.into());
        }
        if !equal(body, expected) {
            return Err(Reason::BadFinished.into());
        }
        let boundary = cx.inbound.boundary()?;
        stage.client_application(env.crypto(), &cx.keys, &hash, boundary, &mut cx.read);
        hello.transcript.put(message);
        Ok(SendTicket::first(cx, env, &hello, stage))
    }
}
