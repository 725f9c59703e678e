// SPDX-License-Identifier: GPL-2.0
//! HelloRetryRequest, RFC 8446 section 4.1.4.

use super::RecvdCh;
use crate::codec::Encode;
use crate::msgs::client_hello::{ClientHello, KeyShares};
use crate::msgs::{server as msgs, HandshakeType};
use crate::record::inbound::MESSAGE_HEADER_LEN;
use crate::server::flight::Flight;
use crate::server::hello::{Params, Replies, SessionId};
use crate::server::negotiate::Selection;
use crate::server::{Context, Next, State};
use crate::transcript::Transcript;
use crate::{Crypto, Environment, Reason};

/// What is remembered of the first ClientHello beside what was chosen.
struct First {
    /// [`ClientHello::constant_parts`].
    parts: u64,
    /// Whether it offered a PSK that is good.
    resumes: bool,
}

fn constant_parts(message: &[u8]) -> u64 {
    ClientHello::constant_parts(message.get(MESSAGE_HEADER_LEN..).unwrap_or(&[]))
}

/// Sends a HelloRetryRequest.
pub struct SendRetry {
    first: First,
}

struct RetryFlight<'a>(&'a Params);

impl Flight for RetryFlight<'_> {
    fn plain<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        let Params {
            session_id,
            suite,
            group,
            ..
        } = self.0;
        msgs::hello_retry_request(session_id.bytes(), *suite, *group)
    }

    fn change_cipher_spec(&self) -> bool {
        self.0.change_cipher_spec
    }
}

impl SendRetry {
    /// The transcript is that of the first ClientHello, which is `message`. `resumes` tells whether
    /// one of its PSKs is good.
    pub fn enter<C: Crypto>(
        cx: &mut Context<C>,
        hello: &ClientHello<'_>,
        message: &[u8],
        selection: &Selection,
        resumes: bool,
    ) -> Next {
        let Selection { suite, group, .. } = *selection;
        let params = &mut cx.params;
        params.suite = suite;
        params.group = group;
        params.session_id = SessionId::new(hello.session_id);
        cx.unread = false;
        // RFC 8446 section 4.4.1: the hash of the first ClientHello stands for it.
        let first = cx.transcript.hash();
        cx.transcript = Transcript::new(suite.hash());
        let transcript = &mut cx.transcript;
        msgs::message(HandshakeType::MessageHash, first.bytes()).encode(transcript);
        msgs::hello_retry_request(params.session_id.bytes(), suite, group).encode(transcript);
        Ok(State::SendRetry(SendRetry {
            first: First {
                parts: constant_parts(message),
                resumes,
            },
        }))
    }

    pub fn flight<'a>(&'a self, params: &'a Params) -> impl Flight + 'a {
        RetryFlight(params)
    }

    pub fn sent<C: Crypto>(self, cx: &mut Context<C>) -> Next {
        // The server sends one, behind its first message.
        cx.params.change_cipher_spec = false;
        Ok(State::Retry(Retry(self.first)))
    }
}

/// A HelloRetryRequest was sent and waits for its answer.
pub struct Retry(First);

impl Retry {
    /// The second ClientHello. RFC 8446 section 4.1.2 says what may differ from the first; whatever
    /// was chosen by the first must be chosen by the second, and there is no second retry.
    #[inline(never)]
    pub fn client_hello<E: Environment>(
        self,
        cx: &mut Context<E::Crypto>,
        env: &mut E,
        hello: &ClientHello<'_>,
        message: &[u8],
        selection: Selection,
        replies: Replies,
    ) -> Next {
        let first = &cx.params;
        // The list of shares is replaced by the one share that was asked for.
        let alone = |shares: KeyShares<'_>| shares.iter().nth(1).is_none();
        let same = selection.share.is_some()
            && hello.key_shares.is_some_and(alone)
            && selection.suite == first.suite
            && selection.group == first.group
            && constant_parts(message) == self.0.parts;
        // A PSK may be dropped only if it does not suit what was chosen.
        let lost = self.0.resumes && hello.pre_shared_key.is_none();
        // Section 4.2.10: no early data behind a HelloRetryRequest.
        if !same || lost || hello.early_data {
            return Err(Reason::BadSecondClientHello.into());
        }
        cx.tolerance.expect_no_early_data();
        RecvdCh::enter(cx, env, hello, message, selection, replies)
    }
}
