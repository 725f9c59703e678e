// SPDX-License-Identifier: GPL-2.0
//! HelloRetryRequest, RFC 8446 section 4.1.4.

use super::RecvdCh;
use crate::codec::Encode;
use crate::msgs::client_hello::ClientHello;
use crate::msgs::{server as msgs, HandshakeType};
use crate::server::flight::{Cursor, Flight};
use crate::server::hello::{Replies, SessionId};
use crate::server::negotiate::Selection;
use crate::server::{Context, State};
use crate::transcript::Transcript;
use crate::{Crypto, Environment, Error, NamedGroup, Reason, Suite};

/// Sends a HelloRetryRequest.
pub struct SendRetry<C: Crypto> {
    retry: Retry<C>,
    cursor: Cursor,
}

impl<C: Crypto> SendRetry<C> {
    /// `first` is the transcript of the first ClientHello.
    pub fn enter(hello: &ClientHello<'_>, selection: &Selection, first: Transcript<C>) -> State<C> {
        let Selection { suite, group, .. } = *selection;
        let session_id = SessionId::new(hello.session_id);
        // RFC 8446 section 4.4.1: the hash of the first ClientHello stands for it.
        let mut transcript = Transcript::new(suite.hash());
        msgs::message(HandshakeType::MessageHash, first.hash().bytes()).encode(&mut transcript);
        msgs::hello_retry_request(session_id.bytes(), suite, group).encode(&mut transcript);
        let client_random = *hello.random;
        let retry = Retry {
            transcript,
            suite,
            group,
            session_id,
            client_random,
        };
        State::SendRetry(SendRetry {
            retry,
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
            .transmit(&self.retry, &mut cx.write, cx.fragment_max, env, out)
    }

    pub fn sent(self) -> State<C> {
        State::Retry(self.retry)
    }
}

/// A HelloRetryRequest was sent and waits for its answer.
pub struct Retry<C: Crypto> {
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
        !self.session_id.is_empty()
    }

    fn protected<'a, E: Environment>(&'a self, _: &'a E) -> impl Encode + 'a {
        None::<u8>
    }
}

impl<C: Crypto> Retry<C> {
    /// The second ClientHello. RFC 8446 section 4.1.2 says what may differ from the first; whatever
    /// was chosen by the first must be chosen by the second, and there is no second retry.
    pub fn client_hello<E: Environment<Crypto = C>>(
        self,
        cx: &mut Context,
        env: &mut E,
        hello: &ClientHello<'_>,
        message: &[u8],
        selection: Selection,
        replies: Replies,
    ) -> Result<State<C>, Error> {
        let same = selection.share.is_some()
            && selection.suite == self.suite
            && selection.group == self.group
            && hello.server_name == cx.server_name.get()
            && hello.session_id == self.session_id.bytes()
            && *hello.random == self.client_random
            && !hello.early_data;
        if !same {
            return Err(Reason::BadSecondClientHello.into());
        }
        RecvdCh::enter(cx, env, hello, message, selection, replies, self.transcript)
    }
}
