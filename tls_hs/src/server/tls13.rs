// SPDX-License-Identifier: GPL-2.0
//! The states of a TLS 1.3 handshake, RFC 8446 section 2.

use super::flight::{Cursor, Flight};
use super::negotiate::{self, Selection};
use super::{Context, Share, State};
use crate::codec::{copy, Encode, Reader, Sink};
use crate::key_schedule::{Early, Master};
use crate::msgs::client_hello::ClientHello;
use crate::msgs::{server as msgs, HandshakeType};
use crate::record::inbound::MESSAGE_HEADER_LEN;
use crate::secret::equal;
use crate::transcript::{Digest, Transcript};
use crate::{Crypto, Environment, Error, Hash, NamedGroup, Reason, Suite, Version};

/// legacy_session_id, to be echoed.
struct SessionId {
    bytes: [u8; 32],
    len: u8,
}

impl SessionId {
    fn new(id: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let len = copy(id, &mut bytes) as u8;
        SessionId { bytes, len }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or(&self.bytes)
    }
}

/// What has been negotiated, and the transcript.
struct Hello<C: Crypto> {
    transcript: Transcript<C>,
    suite: Suite,
    group: NamedGroup,
    session_id: SessionId,
    /// Random of the ServerHello.
    random: [u8; 32],
    /// The server's share.
    share: Share,
}

impl<C: Crypto> Hello<C> {
    fn server_hello(&self) -> impl Encode + '_ {
        msgs::server_hello(
            &self.random,
            self.session_id.bytes(),
            self.suite,
            self.group,
            self.share.bytes(),
        )
    }
}

/// The first ClientHello, with its header.
pub(super) fn start<E: Environment>(
    cx: &mut Context,
    env: &mut E,
    message: &[u8],
) -> Result<State<E::Crypto>, Error> {
    let hello = ClientHello::parse(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]))?;
    let config = env.config();
    negotiate::version(&hello, &config)?;
    let selection = negotiate::select(&hello, &config)?;
    if !env.select_identity(hello.server_name) {
        return Err(Reason::UnrecognizedName.into());
    }
    cx.server_name.set(hello.server_name);
    cx.unread = false;
    if hello.early_data {
        cx.tolerance.expect_early_data();
    }
    let mut transcript = Transcript::new(selection.suite.hash());
    transcript.put(message);
    match selection.share {
        Some(share) => Ok(RecvdCh::enter(
            cx, env, &hello, &selection, share, transcript,
        )),
        None => Ok(SendRetry::enter(&hello, &selection, transcript)),
    }
}

/// Sends a HelloRetryRequest, RFC 8446 section 4.1.4.
pub(super) struct SendRetry<C: Crypto> {
    retry: Retry<C>,
    cursor: Cursor,
}

impl<C: Crypto> SendRetry<C> {
    fn enter(hello: &ClientHello<'_>, selection: &Selection, first: Transcript<C>) -> State<C> {
        // RFC 8446 section 4.4.1: the hash of the first ClientHello stands for it.
        let mut transcript = Transcript::new(selection.suite.hash());
        msgs::message(HandshakeType::MessageHash, first.hash().bytes()).encode(&mut transcript);
        let mut retry = Retry {
            transcript,
            suite: selection.suite,
            group: selection.group,
            session_id: SessionId::new(hello.session_id),
            client_random: *hello.random,
        };
        let Retry {
            suite,
            group,
            ref session_id,
            ..
        } = retry;
        msgs::hello_retry_request(session_id.bytes(), suite, group).encode(&mut retry.transcript);
        State::SendRetry(SendRetry {
            retry,
            cursor: Cursor::new(),
        })
    }

    pub(super) fn transmit<E: Environment<Crypto = C>>(
        &mut self,
        cx: &mut Context,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        self.cursor
            .transmit(&self.retry, &mut cx.write, cx.fragment_max.into(), env, out)
    }

    pub(super) fn sent(self) -> State<C> {
        State::Retry(self.retry)
    }
}

/// A HelloRetryRequest was sent and waits for its answer.
pub(super) struct Retry<C: Crypto> {
    transcript: Transcript<C>,
    suite: Suite,
    group: NamedGroup,
    session_id: SessionId,
    client_random: [u8; 32],
}

impl<C: Crypto> Flight for Retry<C> {
    const NEW_KEYS: bool = false;

    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        msgs::hello_retry_request(self.session_id.bytes(), self.suite, self.group)
    }

    fn change_cipher_spec(&self) -> bool {
        self.session_id.len != 0
    }

    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        [].as_slice()
    }
}

impl<C: Crypto> Retry<C> {
    /// The second ClientHello. RFC 8446 section 4.1.2 says what may differ from the first; whatever
    /// was chosen by the first must be chosen by the second, and there is no second retry.
    pub(super) fn client_hello<E: Environment<Crypto = C>>(
        mut self,
        cx: &mut Context,
        env: &mut E,
        message: &[u8],
    ) -> Result<State<C>, Error> {
        let hello = ClientHello::parse(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]))?;
        let config = env.config();
        let version = negotiate::version(&hello, &config)?;
        let selection = negotiate::select(&hello, &config)?;
        let same = version == Version::Tls13
            && selection.suite == self.suite
            && selection.group == self.group
            && hello.server_name == cx.server_name.get()
            && hello.session_id == self.session_id.bytes()
            && *hello.random == self.client_random
            && !hello.early_data;
        let (Some(share), true) = (selection.share, same) else {
            return Err(Reason::BadSecondClientHello.into());
        };
        self.transcript.put(message);
        Ok(RecvdCh::enter(
            cx,
            env,
            &hello,
            &selection,
            share,
            self.transcript,
        ))
    }
}

/// Has a ClientHello with a usable share.
pub(super) struct RecvdCh<C: Crypto>(Hello<C>);

impl<C: Crypto> RecvdCh<C> {
    fn enter<E: Environment<Crypto = C>>(
        cx: &mut Context,
        env: &mut E,
        hello: &ClientHello<'_>,
        selection: &Selection,
        peer: Share,
        transcript: Transcript<C>,
    ) -> State<C> {
        cx.peer = peer;
        let mut random = [0; 32];
        env.crypto().random(&mut random);
        State::RecvdCh(RecvdCh(Hello {
            transcript,
            suite: selection.suite,
            group: selection.group,
            session_id: SessionId::new(hello.session_id),
            random,
            share: Share::EMPTY,
        }))
    }

    pub(super) fn group(&self) -> NamedGroup {
        self.0.group
    }

    pub(super) fn share(
        self,
        cx: &mut Context,
        private: &[u8; 32],
        public: &[u8],
    ) -> Result<State<C>, Error> {
        let RecvdCh(mut hello) = self;
        hello.share = Share::new(hello.group, public).ok_or(Reason::CryptoFailed)?;
        *cx.private.bytes_mut() = *private;
        Ok(State::Negotiated(Negotiated(hello)))
    }
}

/// Has both shares.
pub(super) struct Negotiated<C: Crypto>(Hello<C>);

impl<C: Crypto> Negotiated<C> {
    pub(super) fn group(&self) -> NamedGroup {
        self.0.group
    }

    pub(super) fn shared_secret<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        shared: Option<&[u8]>,
    ) -> Result<State<C>, Error> {
        let Negotiated(mut hello) = self;
        cx.private.wipe();
        let shared = shared.ok_or(Reason::BadKeyShare)?;
        if shared.len() != 32 {
            return Err(Reason::CryptoFailed.into());
        }
        let Hello {
            ref mut transcript,
            suite,
            group,
            ref session_id,
            ref random,
            ref share,
        } = hello;
        msgs::server_hello(random, session_id.bytes(), suite, group, share.bytes())
            .encode(transcript);
        let boundary = cx.inbound.boundary()?;
        let stage = Early::new(env.crypto(), &mut cx.keys, suite, None).handshake(
            env.crypto(),
            &mut cx.keys,
            shared,
            &transcript.hash(),
            boundary,
            &mut cx.read,
            &mut cx.write,
        );
        let server_name = cx.server_name.get().is_some();
        (
            msgs::encrypted_extensions(server_name),
            msgs::certificate(env.certificate_chain()),
        )
            .encode(transcript);
        let digest = certificate_verify_digest::<C>(&transcript.hash());
        Ok(State::WaitSignature(WaitSignature {
            hello,
            stage,
            server_name,
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
pub(super) struct WaitSignature<C: Crypto> {
    hello: Hello<C>,
    stage: crate::key_schedule::Handshake,
    server_name: bool,
    digest: [u8; 32],
}

impl<C: Crypto> WaitSignature<C> {
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn signature<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        signature: &[u8],
    ) -> Result<State<C>, Error> {
        let WaitSignature {
            mut hello,
            stage,
            server_name,
            ..
        } = self;
        let signature = Signature::new(signature).ok_or(Reason::CryptoFailed)?;
        let crypto = env.crypto();
        let transcript = &mut hello.transcript;
        msgs::certificate_verify(signature.bytes()).encode(transcript);
        stage.verify_data(crypto, &cx.write, &transcript.hash(), &mut cx.verify_data);
        let verify_data = Digest::of_slot(cx.verify_data.bytes(), hello.suite.hash());
        msgs::finished(verify_data.bytes()).encode(transcript);
        let messages = transcript.hash();
        stage.verify_data(crypto, &cx.read, &messages, &mut cx.verify_data);
        let stage = stage.master(crypto, &mut cx.keys);
        Ok(State::SendFlight(SendFlight {
            hello,
            stage,
            server_name,
            signature,
            verify_data,
            messages,
            cursor: Cursor::new(),
        }))
    }
}

/// An ECDSA-Sig-Value in DER.
struct Signature {
    bytes: [u8; 72],
    len: u8,
}

impl Signature {
    /// 72 bytes are the most that two 256-bit integers take.
    fn new(der: &[u8]) -> Option<Self> {
        let mut bytes = [0; 72];
        let len = copy(der, &mut bytes);
        let mut sequence = Reader::new(der);
        let is_sequence = sequence.u8() == Ok(0x30) && sequence.vec8(6).is_ok();
        (is_sequence && sequence.is_empty() && len == der.len()).then_some(Signature {
            bytes,
            len: len as u8,
        })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or(&self.bytes)
    }
}

/// Sends ServerHello..Finished.
pub(super) struct SendFlight<C: Crypto> {
    hello: Hello<C>,
    stage: Master,
    server_name: bool,
    signature: Signature,
    verify_data: Digest,
    /// Hash of ClientHello..server Finished.
    messages: Digest,
    cursor: Cursor,
}

/// The messages of [`SendFlight`].
struct ServerFlight<'a, C: Crypto>(&'a SendFlight<C>);

impl<C: Crypto> Flight for ServerFlight<'_, C> {
    const NEW_KEYS: bool = true;

    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        self.0.hello.server_hello()
    }

    /// RFC 8446 appendix D.4: for clients in middlebox compatibility mode.
    fn change_cipher_spec(&self) -> bool {
        self.0.hello.session_id.len != 0
    }

    fn protected<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        (
            msgs::encrypted_extensions(self.0.server_name),
            msgs::certificate(env.certificate_chain()),
            msgs::certificate_verify(self.0.signature.bytes()),
            msgs::finished(self.0.verify_data.bytes()),
        )
    }
}

impl<C: Crypto> SendFlight<C> {
    pub(super) fn transmit<E: Environment<Crypto = C>>(
        &mut self,
        cx: &mut Context,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        let mut cursor = core::mem::replace(&mut self.cursor, Cursor::new());
        let limit = cx.fragment_max.into();
        let result = cursor.transmit(&ServerFlight(self), &mut cx.write, limit, env, out);
        self.cursor = cursor;
        result
    }

    pub(super) fn sent<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
    ) -> State<C> {
        let SendFlight {
            hello,
            stage,
            messages,
            ..
        } = self;
        stage.server_application(env.crypto(), &cx.keys, &messages, &mut cx.write);
        State::WaitFinished(WaitFinished {
            suite: hello.suite,
            group: hello.group,
            stage,
            messages,
        })
    }
}

/// Waits for the client's Finished.
pub(super) struct WaitFinished {
    suite: Suite,
    group: NamedGroup,
    stage: Master,
    messages: Digest,
}

impl WaitFinished {
    pub(super) fn finished<E: Environment>(
        self,
        cx: &mut Context,
        env: &mut E,
        message: &[u8],
    ) -> Result<State<E::Crypto>, Error> {
        let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]);
        let expected = crate::key_schedule::first(cx.verify_data.bytes(), self.suite.hash());
        if body.len() != expected.len() {
            return Err(Reason::DecodeError.into());
        }
        if !equal(body, expected) {
            return Err(Reason::BadFinished.into());
        }
        let boundary = cx.inbound.boundary()?;
        let WaitFinished {
            suite,
            group,
            stage,
            messages,
        } = self;
        stage.client_application(env.crypto(), &cx.keys, &messages, boundary, &mut cx.read);
        cx.wipe_secrets();
        Ok(State::Connected(Version::Tls13, suite, group))
    }
}
