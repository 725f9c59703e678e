// SPDX-License-Identifier: GPL-2.0
//! Resumption: PSKs from tickets, RFC 8446 section 4.2.11, and tickets for the next time, section
//! 4.6.1.

use crate::codec::{Encode, Sink};
use crate::key_schedule::{Early, Master, Resumption};
use crate::msgs::client_hello::{ClientHello, OfferedPsks};
use crate::msgs::server as msgs;
use crate::secret::{equal, Secret};
use crate::server::flight::Flight;
use crate::server::hello::Summary;
use crate::server::negotiate::resumes_with_dhe;
use crate::server::{Context, Next, State};
use crate::ticket::{self, Scope, Session, Ticket, LIFETIME_MAX};
use crate::{Crypto, Environment, Error, Reason, Suite, Version};

/// Most tickets of a ClientHello that are looked at.
const TICKETS_TRIED: u16 = 4;

/// Chooses a PSK among those offered, if one is good for this connection, checks its binder, and
/// starts the key schedule; appends the ClientHello to the transcript.
pub fn choose<E: Environment>(
    cx: &mut Context<E::Crypto>,
    env: &mut E,
    hello: &ClientHello<'_>,
    message: &[u8],
    suite: Suite,
    alpn: Option<u8>,
) -> Result<(Option<u16>, Early), Error> {
    let mut secret = Secret::<48>::zero();
    cx.params.began = env.now();
    let found = find(env, hello, suite, alpn, &mut secret);
    let Some((psks, index, age, binder, session)) = found else {
        cx.transcript.put(message);
        return Ok((None, Early::new::<E::Crypto>(&mut cx.keys, suite, None)));
    };

    let early = Early::new::<E::Crypto>(&mut cx.keys, suite, Some(&secret));
    // The binders are over the ClientHello up to the length of their list.
    let front_len = message
        .len()
        .saturating_sub(psks.binders.len())
        .saturating_sub(2);
    let (front, binders) = message
        .split_at_checked(front_len)
        .ok_or(Reason::DecodeError)?;
    cx.transcript.put(front);
    let messages = cx.transcript.hash();
    early.binder::<E::Crypto>(&cx.keys, &messages, &mut cx.verify_data);
    let expected = crate::key_schedule::first(cx.verify_data.bytes(), suite.hash());
    if !equal(binder, expected) {
        return Err(Reason::BadBinder.into());
    }
    cx.transcript.put(binders);
    cx.params.began = session.began;
    // Section 4.2.11.1.
    cx.params.ticket_age = Some(age.wrapping_sub(session.age_add));
    Ok((Some(index), early))
}

/// Whether one of the PSKs offered is good for this connection, binders aside.
pub fn possible<E: Environment>(
    env: &mut E,
    hello: &ClientHello<'_>,
    suite: Suite,
    alpn: Option<u8>,
) -> bool {
    find(env, hello, suite, alpn, &mut Secret::zero()).is_some()
}

/// The first PSK offered that is good for this connection: all of them, the position and the binder
/// of this one, and when its session began. Its secret goes to `secret`.
fn find<'a, E: Environment>(
    env: &mut E,
    hello: &ClientHello<'a>,
    suite: Suite,
    alpn: Option<u8>,
    secret: &mut Secret<48>,
) -> Option<(OfferedPsks<'a>, u16, u32, &'a [u8], Session)> {
    let psks = hello.pre_shared_key.filter(|_| resumes_with_dhe(hello))?;
    let mut tickets = (0..TICKETS_TRIED).zip(psks.iter());
    tickets.find_map(|(index, (identity, age, binder))| {
        let scope = Scope {
            server_name: hello.server_name,
            alpn,
        };
        ticket::open(env, scope, identity, secret)
            .filter(|s| s.version == Version::Tls13 && s.suite == suite)
            .map(|session| (psks, index, age, binder, session))
    })
}

/// Sends NewSessionTickets, one after the other.
pub struct SendTicket {
    summary: Summary,
    stage: Resumption,
    message: NewSessionTicket,
    /// Tickets to send behind this one.
    left: u8,
}

struct NewSessionTicket {
    lifetime: u32,
    age_add: u32,
    /// Distinguishes the tickets of a connection.
    nonce: u8,
    ticket: Ticket,
}

impl Flight for NewSessionTicket {
    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        msgs::new_session_ticket(self.lifetime, self.age_add, self.nonce, &self.ticket.0)
    }
}

impl SendTicket {
    /// The state behind the client's Finished: the first ticket, or none.
    pub(super) fn first<E: Environment>(
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        summary: Summary,
        stage: Master,
    ) -> Next {
        let tickets = cx.params.tickets;
        let messages = cx.transcript.hash();
        let stage = stage.resumption::<E::Crypto>(&mut cx.keys, &messages);
        Self::next(cx, env, summary, stage, 0, tickets)
    }

    fn next<E: Environment>(
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        summary: Summary,
        stage: Resumption,
        nonce: u8,
        left: u8,
    ) -> Next {
        let message = match left.checked_sub(1) {
            Some(left) => NewSessionTicket::new(cx, env, &stage, nonce).zip(Some(left)),
            None => None,
        };
        let Some((message, left)) = message else {
            cx.wipe_secrets();
            return Ok(State::Connected(summary));
        };
        Ok(State::SendTicket(SendTicket {
            summary,
            stage,
            message,
            left,
        }))
    }

    pub fn flight(&self) -> &impl Flight {
        &self.message
    }

    #[inline(never)]
    pub fn sent<E: Environment>(self, cx: &mut Context<E::Crypto>, env: &mut E) -> Next {
        let SendTicket {
            summary,
            stage,
            message,
            left,
            ..
        } = self;
        Self::next(cx, env, summary, stage, message.nonce.wrapping_add(1), left)
    }
}

impl NewSessionTicket {
    fn new<E: Environment>(
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        stage: &Resumption,
        nonce: u8,
    ) -> Option<Self> {
        // Section 4.6.1 recommends a limit on how long one signature of the server is good for,
        // however often the session is resumed.
        let now = env.now();
        let end = cx.params.began.saturating_add(LIFETIME_MAX.into());
        let left = end.saturating_sub(now).min(LIFETIME_MAX.into()) as u32;
        let lifetime = env.config().ticket_lifetime.min(left);
        if lifetime == 0 {
            return None;
        }
        let mut psk = Secret::zero();
        stage.psk::<E::Crypto>(&cx.keys, nonce, &mut psk);
        let mut age_add = [0; 4];
        env.crypto().random(&mut age_add);
        let age_add = u32::from_be_bytes(age_add);
        let session = Session {
            version: Version::Tls13,
            suite: cx.params.suite,
            group: cx.params.group,
            extended_master_secret: true,
            began: cx.params.began,
            expiry: now.saturating_add(lifetime.into()),
            age_add,
        };
        let scope = Scope {
            server_name: cx.server_name.get(),
            alpn: cx.params.replies.alpn,
        };
        let ticket = ticket::seal(env, scope, &session, psk.bytes())?;
        Some(NewSessionTicket {
            lifetime,
            age_add,
            nonce,
            ticket,
        })
    }
}
