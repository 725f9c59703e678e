// SPDX-License-Identifier: GPL-2.0

//! One handshake: takes bytes off the connection, gives them to the engine, and sends what it
//! writes. It stops before each public-key operation: the caller does that, at a time of its own
//! choice, and comes back with what came out.
//!
//! Runs in SoftIRQ, or in process context with bottom halves disabled, under the connection's
//! socket lock. It allocates nothing and does not sleep.

use crate::crypto::Lib;
use crate::kern::crypto::{now, sha256};
use crate::kern::percpu::{BhDisabled, PerCpu};
use crate::kern::rcu::RcuArc;
use crate::kern::stat::Stats;
use crate::kern::stream::Stream;
use crate::keyring::{Identity, Protocols, Staple};
use crate::listener::Config;
use crate::operation::{Operation, Outcome};
use crate::stat::{Count, Counter};
use kernel::prelude::*;
use kernel::sync::Arc;
use tls_hs::{
    Disposition, Environment, Established, Input, Reason, Server, Step, TicketKey, ALERT_MAX,
    MIN_TRANSMIT, SCRATCH_LEN,
};

/// Bytes of records on their way to TCP: about one segment. TCP takes them all as a rule; what it
/// does not take waits here.
const OUT_LEN: usize = 1408;

const _: () = assert!(OUT_LEN >= MIN_TRANSMIT && OUT_LEN >= ALERT_MAX);

/// Room for the message that the engine looks at, one per CPU.
type Scratch = PerCpu<[u8; SCRATCH_LEN]>;

static SCRATCH: RcuArc<Scratch> = RcuArc::none();

/// The memory of the drivers.
pub(crate) struct Registration(());

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        let scratch = Scratch::new(|| {
            KBox::<[u8; SCRATCH_LEN]>::init(pin_init::init_array_from_fn(|_| 0u8), GFP_KERNEL)
        })?;
        SCRATCH.set(Some(Arc::new(scratch, GFP_KERNEL)?));
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        SCRATCH.set(None);
    }
}

/// How far a handshake has come.
pub(crate) enum Progress {
    /// It waits for the client, or for room in the send buffer.
    Pending,
    /// It waits for a public-key operation: see [`Handshake::operation`].
    Operation(Class),
    /// It is over, and everything was sent: see [`Handshake::established`].
    Complete,
    /// The kernel can't serve this client. Nothing was consumed.
    Fallback,
    /// The connection is to be closed.
    Failed,
}

/// How urgent an operation is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Of a handshake that resumes a session, or that has come further than its first operation.
    Begun,
    /// The first of a full handshake, of which nothing was answered yet.
    New,
}

/// The handshake of one connection.
pub(crate) struct Handshake {
    core: Core,
    /// The alert in `out` is the last that is sent.
    failed: bool,
    /// [`Handshake::greeted`] has said so.
    greeted: bool,
    /// Index of the counter that says why it ends.
    why: Option<u16>,
    sent: usize,
    filled: usize,
    out: [u8; OUT_LEN],
}

/// The engine, and what it may ask about the connection.
struct Core {
    server: Server<Lib>,
    config: Arc<Config>,
    identity: Option<Identity>,
}

impl Core {
    fn split(&mut self) -> (&mut Server<Lib>, Env<'_>) {
        let env = Env {
            crypto: Lib,
            config: &self.config,
            identity: &mut self.identity,
        };
        (&mut self.server, env)
    }
}

/// Why a handshake stops.
enum Stop {
    /// The engine says so.
    Protocol(Reason),
    /// The kernel says so: nobody is left to tell.
    Local(Counter),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Protocol(reason)
    }
}

impl From<tls_hs::Error> for Stop {
    fn from(error: tls_hs::Error) -> Self {
        Self::Protocol(error.0)
    }
}

/// What the engine may ask about the connection.
struct Env<'a> {
    crypto: Lib,
    config: &'a Config,
    identity: &'a mut Option<Identity>,
}

impl Environment for Env<'_> {
    type Crypto = Lib;

    fn crypto(&mut self) -> &mut Lib {
        &mut self.crypto
    }

    fn config(&self) -> tls_hs::Config {
        self.config.engine
    }

    fn select_identity(&mut self, server_name: Option<&[u8]>) -> bool {
        *self.identity = self.config.store.select(server_name);
        self.identity.is_some()
    }

    fn certificate_chain(&self) -> &[u8] {
        self.identity
            .as_ref()
            .map_or(&[], |identity| identity.chain.entries())
    }

    fn alpn_protocols(&self) -> &[u8] {
        protocols(self.identity).map_or(&[], Protocols::names)
    }

    fn ocsp_response(&self) -> &[u8] {
        let staple = self
            .identity
            .as_ref()
            .and_then(|identity| identity.staple.as_deref());
        staple.map_or(&[], Staple::response)
    }

    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        let tickets = self
            .identity
            .as_ref()
            .and_then(|identity| identity.tickets.as_deref());
        tickets.is_some_and(|tickets| tickets.find(name, key))
    }

    fn ticket_scope(&self) -> [u8; 32] {
        let Some(identity) = self.identity.as_ref() else {
            return [0; 32];
        };
        let tls_hs::Config {
            versions,
            tls_12_cipher_suites,
            tls_13_ciphersuites,
            ecurves,
            ..
        } = self.config.engine;
        sha256(&[
            identity.digest(),
            &versions.to_be_bytes(),
            &tls_12_cipher_suites.to_be_bytes(),
            &tls_13_ciphersuites.to_be_bytes(),
            &ecurves.to_be_bytes(),
        ])
    }

    fn now(&self) -> u64 {
        now()
    }
}

/// The application protocols of the identity selected.
fn protocols(identity: &Option<Identity>) -> Option<&Protocols> {
    identity.as_ref()?.protocols.as_deref()
}

impl Input for Stream<'_> {
    fn available(&self) -> usize {
        Stream::available(self)
    }

    fn peek(&self, at: usize, out: &mut [u8]) -> usize {
        Stream::peek(self, at, out)
    }
}

impl Handshake {
    /// Bytes that may have to wait in the receive queue, since nothing of a message is consumed
    /// before all of it is there: the longest that the engine takes, with some records around it.
    pub(crate) const RECEIVE_MAX: i32 = 2 * SCRATCH_LEN as i32;

    /// Any context.
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            core: Core {
                server: Server::new(),
                config,
                identity: None,
            },
            failed: false,
            greeted: false,
            why: None,
            sent: 0,
            filled: 0,
            out: [0; OUT_LEN],
        }
    }

    /// Whether there are records that TCP has not taken.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.filled
    }

    /// What was agreed on, once the handshake is complete.
    pub(crate) fn established(&self) -> Option<Established<'_>> {
        self.core.server.established()
    }

    /// Whether the keyrings have changed since they were read.
    pub(crate) fn is_stale(&self) -> bool {
        self.core.config.store.is_stale()
    }

    /// The application protocol that was agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        protocols(&self.core.identity)?.name(self.established()?.alpn?)
    }

    /// The server name that the client asked for, once its ClientHello was taken.
    pub(crate) fn server_name(&self) -> Option<&[u8]> {
        self.core.server.server_name()
    }

    /// Whether the ClientHello was taken since the last call.
    pub(crate) fn greeted(&mut self) -> bool {
        !self.greeted && {
            self.greeted = self.core.server.has_consumed();
            self.greeted
        }
    }

    /// Remembers why the handshake ends; the first reason counts.
    pub(crate) fn note(&mut self, why: impl Into<Count>) {
        self.why.get_or_insert(why.into().index() as u16);
    }

    /// Name of the counter that says why it has ended, "" if it has not.
    pub(crate) fn why(&self) -> &'static str {
        self.why.map_or("", |why| Count::name(why.into()))
    }

    /// Goes on as far as the bytes that have arrived and the send buffer allow.
    ///
    /// The work is bounded: the engine takes each byte once, and asks for three public-key
    /// operations in a connection's whole life.
    pub(crate) fn drive(
        &mut self,
        stream: &mut Stream<'_>,
        stats: &Stats<'_>,
        bh: &BhDisabled,
    ) -> Progress {
        let result = self.advance(stream, bh);
        self.conclude(result, stream, stats)
    }

    /// Goes on with what came out of the operation that it waits for.
    pub(crate) fn answer(
        &mut self,
        operation: &Operation,
        stream: &mut Stream<'_>,
        stats: &Stats<'_>,
        bh: &BhDisabled,
    ) -> Progress {
        let result = self.take(operation).and_then(|()| self.advance(stream, bh));
        self.conclude(result, stream, stats)
    }

    fn conclude(
        &mut self,
        result: Result<Progress, Stop>,
        stream: &mut Stream<'_>,
        stats: &Stats<'_>,
    ) -> Progress {
        match result {
            Ok(progress) => progress,
            Err(Stop::Protocol(reason)) => {
                stats.count(reason);
                self.note(reason);
                self.stop(reason, stream)
            }
            Err(Stop::Local(counter)) => {
                stats.count(counter);
                self.note(counter);
                Progress::Failed
            }
        }
    }

    fn advance(&mut self, stream: &mut Stream<'_>, bh: &BhDisabled) -> Result<Progress, Stop> {
        loop {
            if !self.flush(stream)? {
                return Ok(Progress::Pending);
            }
            if self.failed {
                return Ok(Progress::Failed);
            }
            match self.core.server.step() {
                Step::Receive => {
                    if self.receive(stream, bh)? == 0 {
                        return Ok(Progress::Pending);
                    }
                }
                Step::Transmit => self.fill()?,
                Step::Established => return Ok(Progress::Complete),
                Step::Failed => return Ok(Progress::Failed),
                Step::MakeShare { .. } if !self.core.server.resumes() => {
                    return Ok(Progress::Operation(Class::New));
                }
                Step::MakeShare { .. } | Step::Derive { .. } | Step::Sign { .. } => {
                    return Ok(Progress::Operation(Class::Begun));
                }
            }
        }
    }

    /// Shows the engine what has arrived; returns how many bytes it was done with.
    fn receive(&mut self, stream: &mut Stream<'_>, bh: &BhDisabled) -> Result<usize, Stop> {
        let (server, mut env) = self.core.split();
        let len = SCRATCH
            .with(|all| all.with(bh, |scratch| server.receive(&mut env, &*stream, scratch)))
            .flatten()
            .ok_or(Reason::OutOfOrder)??;
        match stream.consume(len) {
            0 => Ok(len),
            _ => Err(Reason::OutOfOrder.into()),
        }
    }

    /// Copies the public-key operation that it waits for to `operation`; nothing if it waits for
    /// none. Any context.
    pub(crate) fn operation(&self, operation: &mut Operation) {
        match self.core.server.step() {
            Step::MakeShare { group } => operation.make_share(group),
            Step::Derive {
                group,
                private,
                peer,
            } => operation.derive(group, private, peer),
            Step::Sign { digest } => match &self.core.identity {
                Some(identity) => operation.sign(identity.key.clone(), digest),
                None => operation.clear(),
            },
            _ => operation.clear(),
        }
    }

    /// Gives the engine what came out of an operation.
    fn take(&mut self, operation: &Operation) -> Result<(), Stop> {
        let (server, mut env) = self.core.split();
        match operation.outcome()? {
            Outcome::Share(private, public) => server.share_made(&mut env, private, public)?,
            Outcome::SharedSecret(shared) => {
                server.derived(&mut env, shared.map(|shared| shared.as_slice()))?;
            }
            Outcome::Signature(der) => server.signed(&mut env, der)?,
        }
        Ok(())
    }

    /// Fills `out` with the next records. Everything that was in it has been sent.
    fn fill(&mut self) -> Result<(), Stop> {
        let (server, mut env) = self.core.split();
        self.sent = 0;
        self.filled = 0;
        self.filled = server.transmit(&mut env, &mut self.out)?;
        match self.filled {
            0 => Err(Reason::OutOfOrder.into()),
            _ => Ok(()),
        }
    }

    /// Sends what is in `out`; false if TCP does not take all of it now.
    fn flush(&mut self, stream: &mut Stream<'_>) -> Result<bool, Stop> {
        while self.sent < self.filled {
            let more = matches!(self.core.server.step(), Step::Transmit);
            let rest = self.out.get(self.sent..self.filled).unwrap_or_default();
            match stream.send(rest, more) {
                Ok(0) => return Ok(false),
                Ok(len) => self.sent = self.sent.saturating_add(len),
                Err(_) => return Err(Stop::Local(Counter::SendFailed)),
            }
        }
        Ok(true)
    }

    /// Ends the handshake for `reason`: leaves the client to user space, or tells it and closes.
    fn stop(&mut self, reason: Reason, stream: &mut Stream<'_>) -> Progress {
        let disposition = self.core.server.disposition(reason);
        if disposition == Disposition::Fallback {
            return Progress::Fallback;
        }
        self.failed = true;
        if disposition == Disposition::Alert {
            // What TCP has not taken of earlier records would end in the middle of one.
            let whole = self.sent == self.filled;
            let (server, mut env) = self.core.split();
            let len = server.alert(&mut env, reason, &mut self.out);
            self.sent = 0;
            self.filled = if whole { len } else { 0 };
        }
        // Unread bytes would turn the close into a reset, which may overtake the alert.
        stream.consume(stream.available());
        match self.flush(stream) {
            Ok(false) => Progress::Pending,
            _ => Progress::Failed,
        }
    }
}
