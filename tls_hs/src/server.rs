// SPDX-License-Identifier: GPL-2.0
//! One handshake, seen from the server.
//!
//! ```text
//!   Start ---------- ClientHello --+--------------> SendRetry --- sent ---> Retry
//!                                  |                                          |
//!   TLS 1.3                        |  +-------------- ClientHello ------------+
//!   RecvdCh        MakeShare  <----+--+
//!   Negotiated     Derive          |
//!   WaitSignature  Sign, unless    |
//!      |           resumed         |
//!   SendFlight     Transmit        |
//!   WaitFinished   Receive         |
//!   SendTicket     Transmit, as    |
//!      |           often as wanted |
//!   Connected      Established     |
//!                                  |
//!   TLS 1.2                        |
//!   Tls12RecvdCh       MakeShare <-+--- resumed ---> Tls12SendFinished      Transmit
//!   Tls12WaitSignature     Sign                      Tls12WaitChangeCipherSpec Receive
//!   Tls12SendFlight        Transmit                  Tls12WaitFinished         Receive
//!   Tls12WaitKeyExchange   Receive                   Connected                 Established
//!   Tls12Derive            Derive
//!   Tls12WaitChangeCipherSpec Receive
//!   Tls12WaitFinished      Receive
//!   Tls12SendFinished      Transmit
//!   Connected              Established
//! ```
//!
//! States are named after RFC 8446 appendix A.2. A state is a value that the transition out of it
//! consumes; `Failed` takes its place until the transition has succeeded, so that after an error
//! nothing but the alert goes out. Secrets are not part of states but stay in place in [`Context`].
//!
//! # Work
//!
//! Besides the steps, which the driver carries out at most once each, a connection costs at most: a
//! look at each of 2048 records and one copy, one parse and one hash of 16384 bytes for a
//! ClientHello, twice with a HelloRetryRequest; four tickets tried; and then, record by record, a
//! message of at most 72 bytes, 32 change_cipher_specs, 4 warnings, and 16384 bytes of early data in
//! at most 256 records.

mod flight;
mod hello;
mod negotiate;
mod receive;
mod tls12;
mod tls13;

use crate::codec::copy;
use crate::key_schedule::KeySchedule;
use crate::msgs::client_hello::ClientHello;
use crate::msgs::HandshakeType;
use crate::record::inbound::{Inbound, MESSAGE_HEADER_LEN};
use crate::record::{Boundary, ContentType, Traffic, PLAINTEXT_MAX};
use crate::secret::Secret;
use crate::transcript::Transcript;
use crate::{
    Crypto, Disposition, Environment, Error, Input, NamedGroup, Reason, Suite, Version, SCRATCH_LEN,
};
use flight::Cursor;
use hello::{Params, ServerName, Share, Summary};

/// Least room to give to [`Server::transmit`].
pub const MIN_TRANSMIT: usize = 128;
/// Room that suffices for [`Server::alert`].
pub const ALERT_MAX: usize = 64;

/// What the engine waits for.
pub enum Step<'a> {
    /// More bytes of the client: [`Server::receive`].
    Receive,
    /// A fresh key pair: [`Server::share_made`].
    MakeShare {
        /// Its group.
        group: NamedGroup,
    },
    /// A Diffie-Hellman shared secret: [`Server::derived`].
    Derive {
        /// The group.
        group: NamedGroup,
        /// The private key given to [`Server::share_made`].
        private: &'a [u8; 32],
        /// The client's public key as it came: of the length of the group, not validated.
        peer: &'a [u8],
    },
    /// A signature by the key of the identity selected: [`Server::signed`].
    Sign {
        /// SHA-256 of what is signed with ecdsa_secp256r1_sha256.
        digest: &'a [u8; 32],
    },
    /// Room to write to: [`Server::transmit`].
    Transmit,
    /// Nothing: [`Server::established`] has the keys.
    Established,
    /// Nothing: the handshake failed.
    Failed,
}

/// The result of a handshake.
pub struct Established<'a> {
    /// Protocol version.
    pub version: Version,
    /// Cipher suite.
    pub suite: Suite,
    /// Key exchange group; of a session resumed in TLS 1.2, that of its full handshake.
    pub group: NamedGroup,
    /// Whether a ticket was accepted.
    pub resumed: bool,
    /// Milliseconds since the client got that ticket, as it says; TLS 1.3 only.
    pub ticket_age: Option<u32>,
    /// Whether the secrets are bound to the transcript: always in TLS 1.3, by RFC 7627 in TLS 1.2.
    pub extended_master_secret: bool,
    /// The application protocol, as its position in [`Environment::alpn_protocols`].
    pub alpn: Option<u8>,
    /// Most content of a record to the client.
    pub fragment_max: u16,
    /// What the client writes.
    pub client: &'a Traffic,
    /// What the server writes.
    pub server: &'a Traffic,
    /// The server name that the client asked for.
    pub server_name: Option<&'a [u8]>,
}

/// What stays in place while states change: secrets, so that no copy is left where a state was
/// moved, and what would make states large.
struct Context<C: Crypto> {
    inbound: Inbound,
    transcript: Transcript<C>,
    params: Params,
    read: Traffic,
    write: Traffic,
    keys: KeySchedule,
    /// Private key of the exchange under way.
    private: Secret<32>,
    /// The client's public key.
    peer: Share,
    /// verify_data that the client's Finished must have.
    verify_data: Secret<48>,
    server_name: ServerName,
    tolerance: receive::Tolerance,
    /// Most content of a protected record to the client.
    fragment_max: u16,
    /// How much of the flight under way has been sent.
    cursor: Cursor,
    /// Whether everything that the client sent is still unread.
    unread: bool,
}

impl<C: Crypto> Context<C> {
    fn derive(&self) -> Step<'_> {
        Step::Derive {
            group: self.params.group,
            private: self.private.bytes(),
            peer: self.peer.bytes(),
        }
    }

    /// Takes the driver's answer to [`Step::MakeShare`].
    fn set_share(&mut self, private: &[u8; 32], public: &[u8]) -> Result<(), Error> {
        let params = &mut self.params;
        params.share = Share::new(params.group, public).ok_or(Reason::CryptoFailed)?;
        *self.private.bytes_mut() = *private;
        Ok(())
    }

    fn wipe_secrets(&mut self) {
        self.keys.wipe();
        self.private.wipe();
        self.verify_data.wipe();
    }
}

enum State {
    /// An error occurred, or a transition is under way.
    Failed,
    /// Waits for the first ClientHello.
    Start,
    /// Sends a HelloRetryRequest.
    SendRetry(tls13::SendRetry),
    /// Waits for the second ClientHello.
    Retry(tls13::Retry),
    /// Has a ClientHello and waits for the server's share.
    RecvdCh(tls13::RecvdCh),
    /// Waits for the shared secret.
    Negotiated(tls13::Negotiated),
    /// Waits for the signature of CertificateVerify.
    WaitSignature(tls13::WaitSignature),
    /// Sends ServerHello..Finished.
    SendFlight(tls13::SendFlight),
    /// Waits for the client's Finished.
    WaitFinished(tls13::WaitFinished),
    /// Sends a NewSessionTicket.
    SendTicket(tls13::SendTicket),
    /// Has a ClientHello and waits for the server's share.
    Tls12RecvdCh(tls12::RecvdCh),
    /// Waits for the signature of ServerKeyExchange.
    Tls12WaitSignature(tls12::WaitSignature),
    /// Sends ServerHello..ServerHelloDone.
    Tls12SendFlight(tls12::SendFlight),
    /// Waits for ClientKeyExchange.
    Tls12WaitKeyExchange(tls12::WaitKeyExchange),
    /// Waits for the shared secret.
    Tls12Derive(tls12::Derive),
    /// Waits for change_cipher_spec.
    Tls12WaitChangeCipherSpec(tls12::WaitChangeCipherSpec),
    /// Waits for the client's Finished.
    Tls12WaitFinished(tls12::WaitFinished),
    /// Sends NewSessionTicket, change_cipher_spec and Finished.
    Tls12SendFinished(tls12::SendFinished),
    /// The handshake is complete.
    Connected(Summary),
}

/// Where a transition leads.
type Next = Result<State, Error>;

/// What a state waits for.
enum Expected {
    Message(HandshakeType),
    ChangeCipherSpec,
}

/// What a state can meet: a message of the client, or the driver's answer to a step.
enum Event<'a> {
    Message(HandshakeType, &'a [u8]),
    ChangeCipherSpec(Boundary),
    Share(&'a [u8; 32], &'a [u8]),
    SharedSecret(Option<&'a [u8]>),
    Signature(&'a [u8]),
    Sent,
}

/// The first ClientHello, with its header: which version it leads to.
fn start<E: Environment>(cx: &mut Context<E::Crypto>, env: &mut E, message: &[u8]) -> Next {
    let hello = ClientHello::parse(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]))?;
    let config = env.config();
    let version = negotiate::version(&hello, &config)?;
    match version {
        Version::Tls13 => {
            let selection = negotiate::select(&hello, &config)?;
            let replies = identify(cx, env, &hello, version)?;
            tls13::start(cx, env, &hello, message, selection, replies)
        }
        Version::Tls12 => {
            let selection = negotiate::select_tls12(&hello, &config)?;
            let replies = identify(cx, env, &hello, version)?;
            tls12::start(cx, env, &hello, message, selection, replies)
        }
    }
}

/// Selects the identity, and what it decides.
fn identify<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    version: Version,
) -> Result<hello::Replies, Error> {
    if !env.select_identity(hello.server_name) {
        return Err(Reason::UnrecognizedName.into());
    }
    cx.server_name.set(hello.server_name);
    negotiate::replies(cx, env, hello, version)
}

/// The second ClientHello, with its header.
fn start_again<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    retry: tls13::Retry,
    message: &[u8],
) -> Next {
    let hello = ClientHello::parse(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]))?;
    let config = env.config();
    if negotiate::version(&hello, &config)? != Version::Tls13 {
        return Err(Reason::BadSecondClientHello.into());
    }
    let selection = negotiate::select(&hello, &config)?;
    let replies = negotiate::replies(cx, env, &hello, Version::Tls13)?;
    retry.client_hello(cx, env, &hello, message, selection, replies)
}

/// The driver's answer to [`Step::Derive`], if it is one.
fn shared_secret(shared: Option<&[u8]>) -> Result<&[u8], Error> {
    let shared = shared.ok_or(Reason::BadKeyShare)?;
    match shared.len() {
        32 => Ok(shared),
        _ => Err(Reason::CryptoFailed.into()),
    }
}

/// A server-side handshake of one connection.
///
/// # Size
///
/// Inline and at most [`Server::SIZE_MAX`] bytes, for whatever running hashes `C` has.
pub struct Server<C: Crypto> {
    state: State,
    context: Context<C>,
}

impl<C: Crypto> Default for Server<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Crypto> Server<C> {
    /// Most bytes that the context of a handshake takes.
    pub const SIZE_MAX: usize = 1536;

    const SIZE_HOLDS: () = assert!(size_of::<Self>() <= Self::SIZE_MAX);

    /// A handshake of which nothing has happened yet.
    pub const fn new() -> Self {
        let () = Self::SIZE_HOLDS;
        Server {
            state: State::Start,
            context: Context {
                inbound: Inbound::new(),
                transcript: Transcript::Empty,
                params: Params::NONE,
                read: Traffic::plain(),
                write: Traffic::plain(),
                keys: KeySchedule::new(),
                private: Secret::zero(),
                peer: Share::EMPTY,
                verify_data: Secret::zero(),
                server_name: ServerName::NONE,
                tolerance: receive::Tolerance::new(),
                fragment_max: PLAINTEXT_MAX as u16,
                cursor: Cursor::new(),
                unread: true,
            },
        }
    }

    /// The table of all transitions. What is not in it fails.
    fn advance<E>(&mut self, env: &mut E, event: Event<'_>) -> Result<(), Error>
    where
        E: Environment<Crypto = C>,
    {
        use Event as Ev;
        use HandshakeType as M;
        use State as S;
        let cx = &mut self.context;
        let next = match (core::mem::replace(&mut self.state, S::Failed), event) {
            (S::Start, Ev::Message(M::ClientHello, m)) => start(cx, env, m),
            (S::SendRetry(s), Ev::Sent) => s.sent(cx),
            (S::Retry(s), Ev::Message(M::ClientHello, m)) => start_again(cx, env, s, m),

            (S::RecvdCh(s), Ev::Share(d, q)) => s.share(cx, d, q),
            (S::Negotiated(s), Ev::SharedSecret(z)) => s.shared_secret(cx, env, z),
            (S::WaitSignature(s), Ev::Signature(sig)) => s.signature(cx, sig),
            (S::SendFlight(s), Ev::Sent) => s.sent(cx),
            (S::WaitFinished(s), Ev::Message(M::Finished, m)) => s.finished(cx, env, m),
            (S::SendTicket(s), Ev::Sent) => s.sent(cx, env),

            (S::Tls12RecvdCh(s), Ev::Share(d, q)) => s.share(cx, d, q),
            (S::Tls12WaitSignature(s), Ev::Signature(sig)) => s.signature(cx, env, sig),
            (S::Tls12SendFlight(s), Ev::Sent) => s.sent(),
            (S::Tls12WaitKeyExchange(s), Ev::Message(M::ClientKeyExchange, m)) => {
                s.key_exchange(cx, m)
            }
            (S::Tls12Derive(s), Ev::SharedSecret(z)) => s.shared_secret(cx, z),
            (S::Tls12WaitChangeCipherSpec(s), Ev::ChangeCipherSpec(boundary)) => {
                s.change_cipher_spec(cx, boundary)
            }
            (S::Tls12WaitFinished(s), Ev::Message(M::Finished, m)) => s.finished(cx, env, m),
            (S::Tls12SendFinished(s), Ev::Sent) => s.sent(cx),

            (_, Ev::Message(..)) => Err(Reason::UnexpectedMessage.into()),
            (_, Ev::ChangeCipherSpec(_)) => Err(Reason::UnexpectedRecord.into()),
            (_, Ev::Share(..) | Ev::SharedSecret(_) | Ev::Signature(_) | Ev::Sent) => {
                Err(Reason::OutOfOrder.into())
            }
        };
        self.state = next?;
        Ok(())
    }

    /// The only thing that the client may send in this state, beside what is always skipped.
    fn expected(&self) -> Result<Expected, Error> {
        Ok(match self.state {
            State::Start | State::Retry(_) => Expected::Message(HandshakeType::ClientHello),
            State::Tls12WaitKeyExchange(_) => Expected::Message(HandshakeType::ClientKeyExchange),
            State::Tls12WaitChangeCipherSpec(_) => Expected::ChangeCipherSpec,
            State::WaitFinished(_) | State::Tls12WaitFinished(_) => {
                Expected::Message(HandshakeType::Finished)
            }
            _ => return Err(Reason::OutOfOrder.into()),
        })
    }

    /// What the engine waits for.
    pub fn step(&self) -> Step<'_> {
        use State as S;
        let cx = &self.context;
        match &self.state {
            S::Failed => Step::Failed,
            S::Start | S::Retry(_) | S::WaitFinished(_) => Step::Receive,
            S::Tls12WaitKeyExchange(_)
            | S::Tls12WaitChangeCipherSpec(_)
            | S::Tls12WaitFinished(_) => Step::Receive,
            S::SendRetry(_) | S::SendFlight(_) | S::SendTicket(_) => Step::Transmit,
            S::Tls12SendFlight(_) | S::Tls12SendFinished(_) => Step::Transmit,
            S::RecvdCh(_) | S::Tls12RecvdCh(_) => Step::MakeShare {
                group: cx.params.group,
            },
            S::Negotiated(_) | S::Tls12Derive(_) => cx.derive(),
            S::WaitSignature(s) => Step::Sign { digest: s.digest() },
            S::Tls12WaitSignature(s) => Step::Sign { digest: s.digest() },
            S::Connected(_) => Step::Established,
        }
    }

    /// Looks at the bytes that the client sent. Returns how many of them the driver must consume
    /// before it calls again: 0 as long as nothing new is complete, and never a part of a record.
    /// One call takes at most one record, or one ClientHello. Until the ClientHello is accepted
    /// nothing is consumed.
    ///
    /// Any context; O(new records) for incomplete input, O(n) once for a complete message.
    pub fn receive<E: Environment<Crypto = C>, I: Input + ?Sized>(
        &mut self,
        env: &mut E,
        input: &I,
        scratch: &mut [u8; SCRATCH_LEN],
    ) -> Result<usize, Error> {
        let result = match self.state {
            State::Start => self.receive_client_hello(env, input, scratch),
            State::Retry(_) => self.receive_second_client_hello(env, input, scratch),
            _ => self.receive_record(env, input, scratch),
        };
        self.poisoned_on_error(result)
    }

    /// Answers [`Step::MakeShare`] with a fresh key pair: the private key, and the public key as
    /// it goes on the wire (65 bytes of an uncompressed point, or 32 bytes of X25519). The engine
    /// keeps and wipes its own copy of the private key.
    pub fn share_made<E: Environment<Crypto = C>>(
        &mut self,
        env: &mut E,
        private: &[u8; 32],
        public: &[u8],
    ) -> Result<(), Error> {
        self.advance(env, Event::Share(private, public))
    }

    /// Answers [`Step::Derive`] with the shared secret (32 bytes: the x-coordinate, or the output
    /// of X25519), or with `None` if the client's share is not a valid public key or the result is
    /// zero.
    pub fn derived<E: Environment<Crypto = C>>(
        &mut self,
        env: &mut E,
        shared: Option<&[u8]>,
    ) -> Result<(), Error> {
        self.advance(env, Event::SharedSecret(shared))
    }

    /// Answers [`Step::Sign`] with a signature: the DER of an ECDSA-Sig-Value, 8 to 72 bytes.
    pub fn signed<E: Environment<Crypto = C>>(
        &mut self,
        env: &mut E,
        signature: &[u8],
    ) -> Result<(), Error> {
        self.advance(env, Event::Signature(signature))
    }

    /// Writes as many whole records as fit in `out` and returns their length. What does not fit
    /// comes with the next call; everything must reach the client in order. 0 means that `out` has
    /// less than [`MIN_TRANSMIT`] bytes.
    pub fn transmit<E: Environment<Crypto = C>>(
        &mut self,
        env: &mut E,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let Context {
            params,
            write,
            cursor,
            fragment_max,
            ..
        } = &mut self.context;
        let max = *fragment_max;
        let result = match &self.state {
            State::SendRetry(s) => cursor.transmit(&s.flight(params), write, max, env, out),
            State::SendFlight(s) => cursor.transmit(&s.flight(params), write, max, env, out),
            State::SendTicket(s) => cursor.transmit(s.flight(), write, max, env, out),
            State::Tls12SendFlight(s) => cursor.transmit(&s.flight(params), write, max, env, out),
            State::Tls12SendFinished(s) => cursor.transmit(&s.flight(params), write, max, env, out),
            _ => Err(Reason::OutOfOrder.into()),
        };
        let (len, complete) = self.poisoned_on_error(result)?;
        if complete {
            self.context.cursor = Cursor::new();
            self.advance(env, Event::Sent)?;
        }
        Ok(len)
    }

    /// Writes the alert of `reason` as one record under the current write keys and returns its
    /// length; 0 if the reason has no alert or `out` is shorter than [`ALERT_MAX`]. Ends the
    /// handshake and wipes it.
    pub fn alert<E: Environment<Crypto = C>>(
        &mut self,
        env: &mut E,
        reason: Reason,
        out: &mut [u8],
    ) -> usize {
        const FATAL: u8 = 2;
        let len = match reason.alert() {
            Some(alert) if out.len() >= ALERT_MAX => self
                .context
                .write
                .write(env, ContentType::Alert, 2, out, |_, content| {
                    copy(&[FATAL, alert as u8], content)
                })
                .unwrap_or(0),
            _ => 0,
        };
        self.wipe();
        len
    }

    /// What becomes of the connection after `reason`: a fallback is possible only as long as
    /// nothing was consumed.
    pub fn disposition(&self, reason: Reason) -> Disposition {
        match reason.disposition() {
            Disposition::Fallback if !self.context.unread => Disposition::Alert,
            disposition => disposition,
        }
    }

    /// The result, in [`Step::Established`].
    pub fn established(&self) -> Option<Established<'_>> {
        let State::Connected(summary) = &self.state else {
            return None;
        };
        let params = &self.context.params;
        Some(Established {
            version: summary.version,
            suite: params.suite,
            group: params.group,
            resumed: summary.resumed,
            ticket_age: params.ticket_age,
            extended_master_secret: summary.extended_master_secret,
            alpn: params.replies.alpn,
            fragment_max: self.context.fragment_max,
            client: &self.context.read,
            server: &self.context.write,
            server_name: self.server_name(),
        })
    }

    /// Whether a ticket was accepted, known once the ClientHello has been: such a handshake needs no
    /// signature.
    pub fn resumes(&self) -> bool {
        self.context.params.psk.is_some() || self.context.params.expiry.is_some()
    }

    /// Whether anything of what the client sent was consumed: there is no fallback any more.
    pub fn has_consumed(&self) -> bool {
        !self.context.unread
    }

    /// The server name that the client asked for, once a ClientHello has been accepted.
    pub fn server_name(&self) -> Option<&[u8]> {
        self.context.server_name.get()
    }

    /// AlertDescription of the last alert that came behind the ClientHello: what the client meant
    /// by [`Reason::AlertReceived`].
    pub fn alert_received(&self) -> Option<u8> {
        self.context.tolerance.received()
    }

    /// Overwrites all secrets with zeros and ends the handshake. Dropping does the same.
    pub fn wipe(&mut self) {
        self.state = State::Failed;
        self.context.wipe_secrets();
        self.context.read.wipe();
        self.context.write.wipe();
    }

    fn poisoned_on_error<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }
}
