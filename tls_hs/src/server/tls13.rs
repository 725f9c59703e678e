// SPDX-License-Identifier: GPL-2.0
//! The states of a TLS 1.3 handshake, RFC 8446 section 2.

mod resume;
mod retry;

pub use resume::SendTicket;
pub use retry::{Retry, SendRetry};

use super::flight::Flight;
use super::hello::{Params, Replies, SessionId, Share, Signature, Summary};
use super::negotiate::{resumes_with_dhe, Selection};
use super::{Context, Next, State};
use crate::codec::{Encode, Sink};
use crate::key_schedule::{self, Early, Handshake, Master};
use crate::msgs::client_hello::ClientHello;
use crate::msgs::server as msgs;
use crate::record::inbound::MESSAGE_HEADER_LEN;
use crate::secret::equal;
use crate::ticket;
use crate::transcript::{Digest, Transcript};
use crate::{Crypto, Environment, Hash, Reason, Version};

impl Params {
    fn server_hello(&self) -> impl Encode + '_ {
        let id = self.session_id.bytes();
        let share = self.share.bytes();
        msgs::server_hello(&self.random, id, self.suite, self.group, share, self.psk)
    }
}

/// The first ClientHello, parsed and with its header.
#[inline(never)]
pub fn start<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    message: &[u8],
    selection: Selection,
    replies: Replies,
) -> Next {
    if hello.early_data {
        let with_psk = hello.pre_shared_key.is_some();
        cx.tolerance.expect_early_data(with_psk);
    }
    // For clients in middlebox compatibility mode.
    cx.params.change_cipher_spec = !hello.session_id.is_empty();
    cx.transcript = Transcript::new(selection.suite.hash());
    match selection.share {
        Some(_) => RecvdCh::enter(cx, env, hello, message, selection, replies),
        // A ticket may yet make up for it.
        None => {
            let resumes = resume::possible(env, hello, selection.suite, replies.alpn);
            if !resumes {
                selection.signature?;
            }
            cx.transcript.put(message);
            SendRetry::enter(cx, hello, message, &selection, resumes)
        }
    }
}

/// Has a ClientHello with a usable share.
pub struct RecvdCh {
    stage: Early,
}

impl RecvdCh {
    /// The transcript is that of the messages before this ClientHello.
    fn enter<E: Environment>(
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        hello: &ClientHello<'_>,
        message: &[u8],
        selection: Selection,
        replies: Replies,
    ) -> Next {
        let Selection {
            suite,
            group,
            share,
            signature,
        } = selection;
        let (psk, stage) = resume::choose(cx, env, hello, message, suite, replies.alpn)?;
        if psk.is_none() {
            signature?;
        }
        cx.unread = false;
        cx.peer = share.unwrap_or(Share::EMPTY);
        let params = &mut cx.params;
        params.suite = suite;
        params.group = group;
        params.session_id = SessionId::new(hello.session_id);
        params.replies = replies.resumed(psk.is_some());
        params.psk = psk;
        params.tickets = match resumes_with_dhe(hello) && ticket::available(env) {
            true => env.config().tickets,
            false => 0,
        };
        env.crypto().random(&mut params.random);
        Ok(State::RecvdCh(RecvdCh { stage }))
    }

    pub fn share<C: Crypto>(self, cx: &mut Context<C>, private: &[u8; 32], public: &[u8]) -> Next {
        cx.set_share(private, public)?;
        Ok(State::Negotiated(Negotiated { stage: self.stage }))
    }
}

/// Has both shares.
pub struct Negotiated {
    stage: Early,
}

impl Negotiated {
    #[inline(never)]
    pub fn shared_secret<E: Environment>(
        self,
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        shared: Option<&[u8]>,
    ) -> Next {
        cx.private.wipe();
        let shared = super::shared_secret(shared)?;
        cx.params.server_hello().encode(&mut cx.transcript);
        let boundary = cx.inbound.boundary()?;
        let stage = self.stage.handshake::<E::Crypto>(
            &mut cx.keys,
            shared,
            &cx.transcript.hash(),
            boundary,
            &mut cx.read,
            &mut cx.write,
        );
        let replies = cx.params.replies;
        let answers = replies.answers(env, Version::Tls13);
        msgs::encrypted_extensions(answers).encode(&mut cx.transcript);
        if cx.params.psk.is_some() {
            return SendFlight::enter(cx, stage, None);
        }
        let (chain, ocsp) = (env.certificate_chain(), replies.ocsp(env));
        msgs::certificate(chain, ocsp).encode(&mut cx.transcript);
        let digest = certificate_verify_digest::<E::Crypto>(&cx.transcript.hash());
        Ok(State::WaitSignature(WaitSignature { stage, digest }))
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
pub struct WaitSignature {
    stage: Handshake,
    digest: [u8; 32],
}

impl WaitSignature {
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    #[inline(never)]
    pub fn signature<C: Crypto>(self, cx: &mut Context<C>, signature: &[u8]) -> Next {
        let signature = Signature::new(signature).ok_or(Reason::CryptoFailed)?;
        msgs::certificate_verify(signature.bytes()).encode(&mut cx.transcript);
        SendFlight::enter(cx, self.stage, Some(signature))
    }
}

/// Sends ServerHello..Finished.
pub struct SendFlight {
    stage: Master,
    /// Of CertificateVerify; a resumed session has neither that nor a certificate.
    signature: Option<Signature>,
    /// Of Finished.
    verify_data: Digest,
    /// Hash of ClientHello..Finished.
    hash: Digest,
}

struct ServerFlight<'a> {
    params: &'a Params,
    signature: Option<&'a Signature>,
    verify_data: &'a Digest,
}

impl Flight for ServerFlight<'_> {
    const NEW_KEYS: bool = true;

    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        self.params.server_hello()
    }

    fn change_cipher_spec(&self) -> bool {
        self.params.change_cipher_spec
    }

    fn protected<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let replies = &self.params.replies;
        let authentication = self.signature.map(|signature| {
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

impl SendFlight {
    /// The transcript reaches up to what comes before Finished.
    fn enter<C: Crypto>(
        cx: &mut Context<C>,
        stage: Handshake,
        signature: Option<Signature>,
    ) -> Next {
        stage.verify_data::<C>(&cx.write, &cx.transcript.hash(), &mut cx.verify_data);
        let hash = cx.params.suite.hash();
        let verify_data = Digest::new(key_schedule::first(cx.verify_data.bytes(), hash));
        msgs::finished(verify_data.bytes()).encode(&mut cx.transcript);
        let hash = cx.transcript.hash();
        stage.verify_data::<C>(&cx.read, &hash, &mut cx.verify_data);
        let stage = stage.master::<C>(&mut cx.keys);
        Ok(State::SendFlight(SendFlight {
            stage,
            signature,
            verify_data,
            hash,
        }))
    }

    pub fn flight<'a>(&'a self, params: &'a Params) -> impl Flight + 'a {
        ServerFlight {
            params,
            signature: self.signature.as_ref(),
            verify_data: &self.verify_data,
        }
    }

    #[inline(never)]
    pub fn sent<C: Crypto>(self, cx: &mut Context<C>) -> Next {
        let SendFlight { stage, hash, .. } = self;
        stage.server_application::<C>(&cx.keys, &hash, &mut cx.write);
        Ok(State::WaitFinished(WaitFinished { stage, hash }))
    }
}

/// Waits for the client's Finished.
pub struct WaitFinished {
    stage: Master,
    /// Hash of ClientHello..server Finished.
    hash: Digest,
}

impl WaitFinished {
    #[inline(never)]
    pub fn finished<E: Environment>(
        self,
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        message: &[u8],
    ) -> Next {
        let WaitFinished { stage, hash } = self;
        let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]);
        let expected = key_schedule::first(cx.verify_data.bytes(), cx.params.suite.hash());
        // RFC 8446 section 4.4.4 has decrypt_error for incorrect contents, section 6.2 decode_error
        // for an incorrect length.
        if body.len() != expected.len() {
            return Err(Reason::DecodeError.into());
        }
        if !equal(body, expected) {
            return Err(Reason::BadFinished.into());
        }
        let boundary = cx.inbound.boundary()?;
        stage.client_application::<E::Crypto>(&cx.keys, &hash, boundary, &mut cx.read);
        cx.transcript.put(message);
        let summary = Summary {
            version: Version::Tls13,
            resumed: cx.params.psk.is_some(),
            // The key schedule binds all secrets to the transcript, as RFC 7627 does in TLS 1.2.
            extended_master_secret: true,
        };
        SendTicket::first(cx, env, summary, stage)
    }
}
