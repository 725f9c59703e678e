// SPDX-License-Identifier: GPL-2.0
//! The states of a TLS 1.2 handshake, RFC 5246 section 7.3: ECDHE_ECDSA, RFC 8422, and the
//! abbreviated handshake of a ticket, RFC 5077.

use super::flight::{Cursor, Flight};
use super::hello::{Replies, SessionId, Signature, Summary};
use super::{negotiate, Context, Share, State};
use crate::codec::{Encode, Reader, Sink};
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

/// What has been negotiated, and the transcript.
struct Hello<C: Crypto> {
    transcript: Transcript<C>,
    params: Params,
}

struct Params {
    suite: Suite,
    group: NamedGroup,
    /// Empty but in an abbreviated handshake: sessions are not kept.
    session_id: SessionId,
    client_random: [u8; 32],
    random: [u8; 32],
    replies: Replies,
    tls12: msgs::Tls12Answers,
    /// When the session ends, if it is one that is resumed.
    expiry: Option<u64>,
}

impl Params {
    fn server_hello<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let answers = self.replies.answers(env, Version::Tls12);
        let id = self.session_id.bytes();
        msgs::tls12_server_hello(&self.random, id, self.suite, answers, self.tls12)
    }

    fn summary(&self) -> Summary {
        Summary {
            version: Version::Tls12,
            suite: self.suite,
            group: self.group,
            resumed: self.expiry.is_some(),
            extended_master_secret: self.tls12.extended_master_secret,
            alpn: self.replies.alpn,
        }
    }
}

/// The ClientHello, parsed and with its header.
pub fn start<E: Environment>(
    cx: &mut Context,
    env: &mut E,
    hello: &ClientHello<'_>,
    message: &[u8],
    (suite, group): (Suite, NamedGroup),
    replies: Replies,
) -> Result<State<E::Crypto>, Error> {
    let config = env.config();
    let scope = Scope::new(env, hello.server_name, replies.protocol(env));
    let resumed = resume(cx, env, hello, &scope)?;
    cx.unread = false;

    let mut random = [0; 32];
    env.crypto().random(&mut random);
    if let Some(tail) = random
        .last_chunk_mut()
        .filter(|_| config.allows_version(Version::Tls13))
    {
        *tail = DOWNGRADE;
    }
    let renew = resumed.is_none()
        || hello
            .session_ticket
            .is_some_and(|ticket| !ticket::is_current(env, ticket));
    let mut params = Params {
        suite,
        group,
        session_id: SessionId::EMPTY,
        client_random: *hello.random,
        random,
        replies,
        tls12: msgs::Tls12Answers {
            renegotiation_info: negotiate::secure_renegotiation(hello),
            extended_master_secret: hello.extended_master_secret,
            point_formats: hello.point_formats.is_some(),
            session_ticket: hello.session_ticket.is_some() && renew && ticket::available(env),
            status_request: replies.status_request && resumed.is_none(),
        },
        expiry: None,
    };
    let Some(session) = resumed else {
        let mut transcript = Transcript::new(suite.hash());
        transcript.put(message);
        return Ok(State::Tls12RecvdCh(RecvdCh(Hello { transcript, params })));
    };
    params.suite = session.suite;
    params.group = session.group;
    params.session_id = SessionId::new(hello.session_id);
    params.expiry = Some(session.expiry);
    let mut transcript = Transcript::new(session.suite.hash());
    transcript.put(message);
    prepare_keys(cx, env, &params);
    params.server_hello(env).encode(&mut transcript);
    Ok(SendFinished::enter(cx, env, Hello { transcript, params }))
}

/// The session of the client's ticket, if it can go on. Its master secret is then in place.
fn resume<E: Environment>(
    cx: &mut Context,
    env: &mut E,
    hello: &ClientHello<'_>,
    scope: &Scope,
) -> Result<Option<Session>, Error> {
    let config = env.config();
    let Some(ticket) = hello.session_ticket.filter(|ticket| !ticket.is_empty()) else {
        return Ok(None);
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

fn prepare_keys<E: Environment>(cx: &mut Context, env: &mut E, params: &Params) {
    let Params {
        suite,
        client_random,
        random,
        ..
    } = params;
    let Context {
        keys, read, write, ..
    } = cx;
    prf::prepare_keys(
        env.crypto(),
        *suite,
        keys.master(),
        client_random,
        random,
        read,
        write,
    );
}

/// Has a ClientHello that is not resumed.
pub struct RecvdCh<C: Crypto>(Hello<C>);

impl<C: Crypto> RecvdCh<C> {
    pub fn group(&self) -> NamedGroup {
        self.0.params.group
    }

    pub fn share(
        self,
        cx: &mut Context,
        private: &[u8; 32],
        public: &[u8],
    ) -> Result<State<C>, Error> {
        let RecvdCh(hello) = self;
        let params = &hello.params;
        let share = Share::new(params.group, public).ok_or(Reason::CryptoFailed)?;
        *cx.private.bytes_mut() = *private;
        // RFC 8422 section 5.4.
        let mut signed = Transcript::<C>::Sha256(C::Sha256::new());
        let randoms = (&params.client_random[..], &params.random[..]);
        (randoms, msgs::ecdh_params(params.group, share.bytes())).encode(&mut signed);
        let mut digest = [0; 32];
        crate::codec::copy(signed.hash().bytes(), &mut digest);
        Ok(State::Tls12WaitSignature(WaitSignature {
            hello,
            share,
            digest,
        }))
    }
}

/// Waits for the signature of ServerKeyExchange.
pub struct WaitSignature<C: Crypto> {
    hello: Hello<C>,
    share: Share,
    digest: [u8; 32],
}

impl<C: Crypto> WaitSignature<C> {
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub fn signature<E: Environment<Crypto = C>>(
        self,
        env: &mut E,
        signature: &[u8],
    ) -> Result<State<C>, Error> {
        let WaitSignature { hello, share, .. } = self;
        let Hello {
            mut transcript,
            params,
        } = hello;
        let signature = Signature::new(signature).ok_or(Reason::CryptoFailed)?;
        let messages = ServerFlight {
            params,
            share,
            signature,
        };
        messages.plain(env).encode(&mut transcript);
        Ok(State::Tls12SendFlight(SendFlight {
            transcript,
            messages,
            cursor: Cursor::new(),
        }))
    }
}

/// Sends ServerHello..ServerHelloDone.
pub struct SendFlight<C: Crypto> {
    transcript: Transcript<C>,
    messages: ServerFlight,
    cursor: Cursor,
}

struct ServerFlight {
    params: Params,
    share: Share,
    signature: Signature,
}

impl Flight for ServerFlight {
    const NEW_KEYS: bool = false;

    fn plain<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let Params { group, replies, .. } = &self.params;
        (
            self.params.server_hello(env),
            msgs::tls12_certificate(env.certificate_chain()),
            replies.ocsp(env).map(msgs::certificate_status),
            msgs::server_key_exchange(*group, self.share.bytes(), self.signature.bytes()),
            msgs::server_hello_done(),
        )
    }

    fn change_cipher_spec(&self) -> bool {
        false
    }

    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        None::<u8>
    }
}

impl<C: Crypto> SendFlight<C> {
    pub fn transmit<E: Environment<Crypto = C>>(
        &mut self,
        cx: &mut Context,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<(usize, bool), Error> {
        self.cursor
            .transmit(&self.messages, &mut cx.write, cx.fragment_max, env, out)
    }

    pub fn sent(self) -> State<C> {
        let SendFlight {
            transcript,
            messages,
            ..
        } = self;
        let hello = Hello {
            transcript,
            params: messages.params,
        };
        State::Tls12WaitKeyExchange(WaitKeyExchange(hello))
    }
}

/// Waits for ClientKeyExchange.
pub struct WaitKeyExchange<C: Crypto>(Hello<C>);

impl<C: Crypto> WaitKeyExchange<C> {
    /// RFC 8422 section 5.7: the client's public key behind a uint8 length.
    pub fn key_exchange(self, cx: &mut Context, message: &[u8]) -> Result<State<C>, Error> {
        let WaitKeyExchange(mut hello) = self;
        let mut body = Reader::new(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]));
        let share = body.vec8(1)?;
        body.finish()?;
        cx.peer = Share::new(hello.params.group, share).ok_or(Reason::BadKeyShare)?;
        hello.transcript.put(message);
        Ok(State::Tls12Derive(Derive(hello)))
    }
}

/// Has both shares.
pub struct Derive<C: Crypto>(Hello<C>);

impl<C: Crypto> Derive<C> {
    pub fn group(&self) -> NamedGroup {
        self.0.params.group
    }

    pub fn shared_secret<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        shared: Option<&[u8]>,
    ) -> Result<State<C>, Error> {
        let Derive(hello) = self;
        cx.private.wipe();
        let premaster = super::shared_secret(shared)?;
        let Params {
            suite,
            client_random,
            random,
            tls12,
            ..
        } = &hello.params;
        let session_hash = hello.transcript.hash();
        let seed = match tls12.extended_master_secret {
            true => MasterSeed::SessionHash(&session_hash),
            false => MasterSeed::Randoms(client_random, random),
        };
        prf::master_secret(
            env.crypto(),
            suite.hash(),
            premaster,
            seed,
            cx.keys.master(),
        );
        prepare_keys(cx, env, &hello.params);
        Ok(State::Tls12WaitChangeCipherSpec(WaitChangeCipherSpec(
            WaitFinished(hello),
        )))
    }
}

/// Waits for the client's change_cipher_spec, in the full and in the abbreviated handshake.
pub struct WaitChangeCipherSpec<C: Crypto>(WaitFinished<C>);

impl<C: Crypto> WaitChangeCipherSpec<C> {
    pub fn change_cipher_spec(self, cx: &mut Context, boundary: Boundary) -> State<C> {
        cx.read.activate_read(boundary);
        State::Tls12WaitFinished(self.0)
    }
}

/// Waits for the client's Finished.
pub struct WaitFinished<C: Crypto>(Hello<C>);

impl<C: Crypto> WaitFinished<C> {
    pub fn finished<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        message: &[u8],
    ) -> Result<State<C>, Error> {
        let WaitFinished(mut hello) = self;
        let mut expected = [0; VERIFY_DATA_LEN];
        let (hash, messages) = (hello.params.suite.hash(), hello.transcript.hash());
        let (crypto, label) = (env.crypto(), b"client finished");
        prf::verify_data(
            crypto,
            hash,
            cx.keys.master(),
            label,
            &messages,
            &mut expected,
        );
        let body = message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]);
        if body.len() != expected.len() {
            return Err(Reason::DecodeError.into());
        }
        if !equal(body, &expected) {
            return Err(Reason::BadFinished.into());
        }
        if hello.params.expiry.is_some() {
            cx.wipe_secrets();
            return Ok(State::Connected(hello.params.summary()));
        }
        hello.transcript.put(message);
        Ok(SendFinished::enter(cx, env, hello))
    }
}

/// Sends NewSessionTicket, change_cipher_spec and Finished, behind the ServerHello if the session is
/// resumed.
pub struct SendFinished<C: Crypto> {
    transcript: Transcript<C>,
    messages: LastFlight,
    cursor: Cursor,
}

struct LastFlight {
    params: Params,
    lifetime: u32,
    ticket: Option<Ticket>,
    verify_data: [u8; VERIFY_DATA_LEN],
}

impl LastFlight {
    /// RFC 5077 section 3.3: sent if it was announced; empty if there is no ticket after all.
    fn new_session_ticket(&self) -> Option<impl Encode + '_> {
        let ticket = self.ticket.as_ref().map_or(&[][..], |ticket| &ticket.0);
        let announced = self.params.tls12.session_ticket;
        announced.then(|| msgs::tls12_new_session_ticket(self.lifetime, ticket))
    }
}

impl Flight for LastFlight {
    const NEW_KEYS: bool = true;

    fn plain<'a, E: Environment>(&'a self, env: &'a E) -> impl Encode + 'a {
        let resumed = self.params.expiry.is_some();
        (
            resumed.then(|| self.params.server_hello(env)),
            self.new_session_ticket(),
        )
    }

    fn change_cipher_spec(&self) -> bool {
        true
    }

    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        msgs::finished(&self.verify_data)
    }
}

impl<C: Crypto> SendFinished<C> {
    /// The transcript reaches up to the client's Finished, or the ServerHello of a resumed session.
    fn enter<E: Environment<Crypto = C>>(
        cx: &mut Context,
        env: &mut E,
        hello: Hello<C>,
    ) -> State<C> {
        let Hello {
            mut transcript,
            params,
        } = hello;
        let now = env.now();
        let lifetime = u64::from(env.config().ticket_lifetime.min(LIFETIME_MAX));
        // Tickets of a resumed session end with it.
        let expiry = params.expiry.unwrap_or(now.saturating_add(lifetime));
        let session = Session {
            version: Version::Tls12,
            suite: params.suite,
            group: params.group,
            extended_master_secret: params.tls12.extended_master_secret,
            expiry,
        };
        let protocol = params.replies.protocol(env);
        let scope = Scope::new(env, cx.server_name.get(), protocol);
        let master = cx.keys.master();
        let announced = params.tls12.session_ticket;
        let ticket = announced
            .then(|| ticket::seal(env, &scope, &session, master.bytes()))
            .flatten();
        let lifetime = expiry.saturating_sub(now) as u32;
        let verify_data = [0; VERIFY_DATA_LEN];
        let mut messages = LastFlight {
            params,
            lifetime,
            ticket,
            verify_data,
        };
        messages.new_session_ticket().encode(&mut transcript);
        let (hash, so_far) = (messages.params.suite.hash(), transcript.hash());
        let (crypto, label) = (env.crypto(), b"server finished");
        prf::verify_data(
            crypto,
            hash,
            master,
            label,
            &so_far,
            &mut messages.verify_data,
        );
        msgs::finished(&messages.verify_data).encode(&mut transcript);
        State::Tls12SendFinished(SendFinished {
            transcript,
            messages,
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

    pub fn sent(self, cx: &mut Context) -> State<C> {
        let SendFinished {
            transcript,
            messages,
            ..
        } = self;
        let params = messages.params;
        if params.expiry.is_none() {
            cx.wipe_secrets();
            return State::Connected(params.summary());
        }
        let hello = Hello { transcript, params };
        State::Tls12WaitChangeCipherSpec(WaitChangeCipherSpec(WaitFinished(hello)))
    }
}
