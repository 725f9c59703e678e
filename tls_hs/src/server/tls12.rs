// SPDX-License-Identifier: GPL-2.0
//! The states of a TLS 1.2 handshake, RFC 5246 section 7.3: ECDHE_ECDSA, RFC 8422, and the
//! abbreviated handshake of a ticket, RFC 5077.

use super::flight::Flight;
use super::hello::{Params, Replies, SessionId, Share, Signature, Summary};
use super::{negotiate, Context, Next, State};
use crate::codec::{Encode, Reader, Sink, Window};
use crate::msgs::client_hello::ClientHello;
use crate::msgs::server as msgs;
use crate::prf::{self, MasterSeed, VERIFY_DATA_LEN};
use crate::record::inbound::MESSAGE_HEADER_LEN;
use crate::record::Boundary;
use crate::secret::equal;
use crate::ticket::{self, Scope, Session, Ticket, LIFETIME_MAX};
use crate::transcript::Transcript;
use crate::{Crypto, Environment, Error, Hash, NamedGroup, Reason, Suite, Version};

/// RFC 8446 section 4.1.3: the end of the Random of a server that could do better.
const DOWNGRADE: [u8; 8] = *b"DOWNGRD\x01";

impl Params {
    fn tls12_server_hello<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let answers = self.replies.answers(env, Version::Tls12);
        let id = self.session_id.bytes();
        msgs::tls12_server_hello(&self.random, id, self.suite, answers, self.tls12)
    }

    fn tls12_summary(&self) -> Summary {
        Summary {
            version: Version::Tls12,
            resumed: self.expiry.is_some(),
            extended_master_secret: self.tls12.extended_master_secret,
        }
    }
}

/// The ClientHello, parsed and with its header.
#[inline(never)]
pub fn start<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    message: &[u8],
    (suite, group): (Suite, NamedGroup),
    replies: Replies,
) -> Next {
    let resumed = resume(cx, env, hello, replies.alpn)?;
    cx.unread = false;

    let params = &mut cx.params;
    params.suite = suite;
    params.group = group;
    params.client_random = *hello.random;
    params.replies = replies.resumed(resumed.is_some());
    params.began = resumed.map_or(env.now(), |session| session.began);
    env.crypto().random(&mut params.random);
    if env.config().allows_version(Version::Tls13) {
        if let Some(tail) = params.random.last_chunk_mut() {
            *tail = DOWNGRADE;
        }
    }
    let renew = resumed.is_none()
        || hello
            .session_ticket
            .is_some_and(|ticket| !ticket::is_current(env, ticket));
    params.tls12 = msgs::Tls12Answers {
        renegotiation_info: negotiate::secure_renegotiation(hello),
        extended_master_secret: hello.extended_master_secret,
        point_formats: hello.point_formats.is_some(),
        session_ticket: hello.session_ticket.is_some() && renew && ticket::available(env),
        status_request: params.replies.status_request,
    };
    let Some(session) = resumed else {
        cx.transcript = Transcript::new(suite.hash());
        cx.transcript.put(message);
        return Ok(State::Tls12RecvdCh(RecvdCh(())));
    };
    params.suite = session.suite;
    params.group = session.group;
    params.session_id = SessionId::new(hello.session_id);
    params.expiry = Some(session.expiry);
    cx.transcript = Transcript::new(session.suite.hash());
    cx.transcript.put(message);
    prepare_keys(cx);
    cx.params.tls12_server_hello(env).encode(&mut cx.transcript);
    SendFinished::enter(cx, env)
}

/// The session of the client's ticket, if it can go on. Its master secret is then in place.
fn resume<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    alpn: Option<u8>,
) -> Result<Option<Session>, Error> {
    let config = env.config();
    let Some(ticket) = hello.session_ticket.filter(|ticket| !ticket.is_empty()) else {
        return Ok(None);
    };
    let scope = Scope {
        server_name: hello.server_name,
        alpn,
    };
    let Some(session) = ticket::open(env, scope, ticket, cx.keys.master()) else {
        return Ok(None);
    };
    let possible = session.version == Version::Tls12
        && config.allows_suite(Version::Tls12, session.suite)
        && hello
            .cipher_suites
            .contains(session.suite.code(Version::Tls12));
    // RFC 7627 section 5.3: a session without an extended master secret MUST NOT be resumed by a
    // client that asks for it; one that has it and is not asked for it MUST be refused.
    match (session.extended_master_secret, hello.extended_master_secret) {
        _ if !possible => Ok(None),
        (true, false) => Err(Reason::LostExtendedMasterSecret.into()),
        (false, true) => Ok(None),
        _ => Ok(Some(session)),
    }
}

fn prepare_keys<C: Crypto>(cx: &mut Context<C>) {
    let Context {
        keys,
        read,
        write,
        params,
        ..
    } = cx;
    let Params {
        suite,
        client_random,
        random,
        ..
    } = params;
    prf::prepare_keys::<C>(*suite, keys.master(), client_random, random, read, write);
}

/// Has a ClientHello that is not resumed.
pub struct RecvdCh(());

impl RecvdCh {
    #[inline(never)]
    pub fn share<C: Crypto>(self, cx: &mut Context<C>, private: &[u8; 32], public: &[u8]) -> Next {
        cx.set_share(private, public)?;
        let Params {
            client_random,
            random,
            group,
            share,
            ..
        } = &cx.params;
        // RFC 8422 section 5.4.
        let mut hash = C::Sha256::new();
        hash.update(client_random);
        hash.update(random);
        let mut params = [0; ECDH_PARAMS_MAX];
        let mut window = Window::new(0, &mut params);
        msgs::ecdh_params(*group, share.bytes()).encode(&mut window);
        let len = window.filled();
        hash.update(params.get(..len).unwrap_or(&params));
        Ok(State::Tls12WaitSignature(WaitSignature {
            digest: hash.finish(),
        }))
    }
}

/// Longest ServerECDHParams: curve type, group, length, uncompressed point.
const ECDH_PARAMS_MAX: usize = 1 + 2 + 1 + 65;

/// Waits for the signature of ServerKeyExchange.
pub struct WaitSignature {
    digest: [u8; 32],
}

impl WaitSignature {
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    #[inline(never)]
    pub fn signature<E: Environment>(
        self,
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        signature: &[u8],
    ) -> Next {
        let signature = Signature::new(signature).ok_or(Reason::CryptoFailed)?;
        let messages = ServerFlight {
            params: &cx.params,
            signature: &signature,
        };
        messages.plain(env).encode(&mut cx.transcript);
        Ok(State::Tls12SendFlight(SendFlight { signature }))
    }
}

/// Sends ServerHello..ServerHelloDone.
pub struct SendFlight {
    signature: Signature,
}

struct ServerFlight<'a> {
    params: &'a Params,
    signature: &'a Signature,
}

impl Flight for ServerFlight<'_> {
    fn plain<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let Params {
            group,
            share,
            replies,
            ..
        } = self.params;
        (
            self.params.tls12_server_hello(env),
            msgs::tls12_certificate(env.certificate_chain()),
            replies.ocsp(env).map(msgs::certificate_status),
            msgs::server_key_exchange(*group, share.bytes(), self.signature.bytes()),
            msgs::server_hello_done(),
        )
    }
}

impl SendFlight {
    pub fn flight<'a>(&'a self, params: &'a Params) -> impl Flight + 'a {
        ServerFlight {
            params,
            signature: &self.signature,
        }
    }

    pub fn sent(self) -> Next {
        Ok(State::Tls12WaitKeyExchange(WaitKeyExchange(())))
    }
}

/// Waits for ClientKeyExchange.
pub struct WaitKeyExchange(());

impl WaitKeyExchange {
    /// RFC 8422 section 5.7: the client's public key behind a uint8 length.
    #[inline(never)]
    pub fn key_exchange<C: Crypto>(self, cx: &mut Context<C>, message: &[u8]) -> Next {
        let mut body = Reader::new(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]));
        let share = body.vec8(1)?;
        body.finish()?;
        cx.peer = Share::new(cx.params.group, share).ok_or(Reason::BadKeyShare)?;
        cx.transcript.put(message);
        Ok(State::Tls12Derive(Derive(())))
    }
}

/// Has both shares.
pub struct Derive(());

impl Derive {
    #[inline(never)]
    pub fn shared_secret<C: Crypto>(self, cx: &mut Context<C>, shared: Option<&[u8]>) -> Next {
        cx.private.wipe();
        let premaster = super::shared_secret(shared)?;
        let Params {
            suite,
            client_random,
            random,
            tls12,
            ..
        } = &cx.params;
        let session_hash = cx.transcript.hash();
        let seed = match tls12.extended_master_secret {
            true => MasterSeed::SessionHash(&session_hash),
            false => MasterSeed::Randoms(client_random, random),
        };
        let master = cx.keys.master();
        prf::master_secret::<C>(suite.hash(), premaster, seed, master);
        prepare_keys(cx);
        Ok(State::Tls12WaitChangeCipherSpec(WaitChangeCipherSpec(())))
    }
}

/// Waits for the client's change_cipher_spec, in the full and in the abbreviated handshake.
pub struct WaitChangeCipherSpec(());

impl WaitChangeCipherSpec {
    pub fn change_cipher_spec<C: Crypto>(self, cx: &mut Context<C>, boundary: Boundary) -> Next {
        cx.read.activate_read(boundary);
        Ok(State::Tls12WaitFinished(WaitFinished(())))
    }
}

/// Waits for the client's Finished.
pub struct WaitFinished(());

impl WaitFinished {
    #[inline(never)]
    pub fn finished<E: Environment>(
        self,
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        message: &[u8],
    ) -> Next {
        let mut expected = [0; VERIFY_DATA_LEN];
        let (hash, messages) = (cx.params.suite.hash(), cx.transcript.hash());
        let master = cx.keys.master();
        let label = b"client finished";
        prf::verify_data::<E::Crypto>(hash, master, label, &messages, &mut expected);
        let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]);
        // RFC 5246 section 7.2.2: decrypt_error if it cannot be validated, of whatever length.
        if !equal(body, &expected) {
            return Err(Reason::BadFinished.into());
        }
        if cx.params.expiry.is_some() {
            cx.wipe_secrets();
            return Ok(State::Connected(cx.params.tls12_summary()));
        }
        cx.transcript.put(message);
        SendFinished::enter(cx, env)
    }
}

/// Sends NewSessionTicket, change_cipher_spec and Finished, behind the ServerHello if the session is
/// resumed.
pub struct SendFinished {
    lifetime: u32,
    ticket: Option<Ticket>,
    verify_data: [u8; VERIFY_DATA_LEN],
}

struct LastFlight<'a> {
    params: &'a Params,
    lifetime: u32,
    ticket: Option<&'a Ticket>,
    verify_data: &'a [u8],
}

impl LastFlight<'_> {
    /// RFC 5077 section 3.3: sent if it was announced; empty if there is no ticket after all.
    fn new_session_ticket(&self) -> Option<impl Encode + '_> {
        let ticket = self.ticket.map_or(&[][..], |ticket| &ticket.0);
        let announced = self.params.tls12.session_ticket;
        announced.then(|| msgs::tls12_new_session_ticket(self.lifetime, ticket))
    }
}

impl Flight for LastFlight<'_> {
    const NEW_KEYS: bool = true;

    fn plain<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let resumed = self.params.expiry.is_some();
        (
            resumed.then(|| self.params.tls12_server_hello(env)),
            self.new_session_ticket(),
        )
    }

    fn change_cipher_spec(&self) -> bool {
        true
    }

    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        msgs::finished(self.verify_data)
    }
}

impl SendFinished {
    /// The transcript reaches up to the client's Finished, or the ServerHello of a resumed session.
    fn enter<E: Environment>(cx: &mut Context<E::Crypto>, env: &mut E) -> Next {
        let params = &cx.params;
        let now = env.now();
        let lifetime = u64::from(env.config().ticket_lifetime.min(LIFETIME_MAX));
        // Tickets of a resumed session end with it.
        let expiry = params.expiry.unwrap_or(now.saturating_add(lifetime));
        let session = Session {
            version: Version::Tls12,
            suite: params.suite,
            group: params.group,
            extended_master_secret: params.tls12.extended_master_secret,
            began: params.began,
            expiry,
            age_add: 0,
        };
        let scope = Scope {
            server_name: cx.server_name.get(),
            alpn: params.replies.alpn,
        };
        let master = cx.keys.master();
        let announced = params.tls12.session_ticket;
        let ticket = announced
            .then(|| ticket::seal(env, scope, &session, master.bytes()))
            .flatten();
        let lifetime = expiry.saturating_sub(now) as u32;
        let flight = LastFlight {
            params,
            lifetime,
            ticket: ticket.as_ref(),
            verify_data: &[],
        };
        flight.new_session_ticket().encode(&mut cx.transcript);

        let mut verify_data = [0; VERIFY_DATA_LEN];
        let (hash, messages) = (params.suite.hash(), cx.transcript.hash());
        let label = b"server finished";
        prf::verify_data::<E::Crypto>(hash, master, label, &messages, &mut verify_data);
        msgs::finished(&verify_data).encode(&mut cx.transcript);
        Ok(State::Tls12SendFinished(SendFinished {
            lifetime,
            ticket,
            verify_data,
        }))
    }

    pub fn flight<'a>(&'a self, params: &'a Params) -> impl Flight + 'a {
        LastFlight {
            params,
            lifetime: self.lifetime,
            ticket: self.ticket.as_ref(),
            verify_data: &self.verify_data,
        }
    }

    pub fn sent<C: Crypto>(self, cx: &mut Context<C>) -> Next {
        if cx.params.expiry.is_none() {
            cx.wipe_secrets();
            return Ok(State::Connected(cx.params.tls12_summary()));
        }
        Ok(State::Tls12WaitChangeCipherSpec(WaitChangeCipherSpec(())))
    }
}
