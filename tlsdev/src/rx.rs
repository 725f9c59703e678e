// SPDX-License-Identifier: GPL-2.0

//! The receive side of a session: whether the device has it, and the stack's answers to it.

use crate::kern::lock::BhLock;
use crate::kern::work::{Job, Queued};
use crate::stat::Count;
use crate::{Direction, Nic, Offload, Position, Resync, Session};
use kernel::prelude::*;
use kernel::sync::Arc;

/// Whether the driver has heard of the session.
enum State<N: Nic> {
    /// Not before so many bytes were received.
    Delayed(u64),
    /// It is being asked.
    Asked,
    /// It has a context.
    Added(N::Context),
    /// It was asked, and refused.
    Refused,
}

/// The receive side of a session.
#[pin_data]
pub(crate) struct RxSide<N: Nic> {
    offload: Arc<Offload<N>>,
    session: Session,
    #[pin]
    state: BhLock<State<N>>,
}

impl<N: Nic> RxSide<N> {
    /// Takes a session over; with a delay the driver does not hear of it yet. Process context.
    pub(crate) fn new(
        offload: Arc<Offload<N>>,
        session: Session,
        start: Position,
        received: u64,
    ) -> Result<Pin<KBox<Queued<Self>>>> {
        let state = match offload.nic.config().rx_delay {
            0 => State::Asked,
            delay => {
                offload.watch_received();
                State::Delayed(received.saturating_add(u64::from(delay)))
            }
        };
        let at_once = matches!(state, State::Asked);
        let side = try_pin_init!(Self {
            offload,
            session,
            state <- crate::new_bh_lock!(state),
        });
        let side = KBox::pin_init(Queued::new(side), GFP_KERNEL)?;
        let RxSide { offload, .. } = &side.job;
        if at_once {
            // Last, so that there is nobody to take the context from when something else fails.
            let context = offload.add(&side.job.session, Some(start))?;
            *side.job.state.lock() = State::Added(context);
        }
        offload.counters.count(Count::RxSession);
        Ok(side)
    }

    /// The stack says that a record begins there. Any context but that of a hard interrupt.
    pub(crate) fn resync(&self, at: Position) {
        let mut useful = false;
        if let State::Added(context) = &mut *self.state.lock() {
            let to = Resync::Receive { at };
            useful = self.offload.nic.resync(context, to).is_ok();
        }
        self.offload.counters.count(if useful {
            Count::RxResyncOk
        } else {
            Count::RxResyncSkip
        });
    }

    /// Stops the device's questions.
    pub(crate) fn silence(&self) {
        if let Some(request) = &self.session.request {
            request.end();
        }
    }
}

impl<N: Nic> Queued<RxSide<N>> {
    /// So many bytes were received so far.
    pub(crate) fn received(&self, bytes: u64) {
        let mut state = self.job.state.lock();
        if matches!(*state, State::Delayed(until) if bytes >= until) {
            *state = State::Asked;
            self.queue();
        }
    }
}

impl<N: Nic> Job for RxSide<N> {
    fn run(&self) {
        let added = self.offload.add(&self.session, None);
        *self.state.lock() = match added {
            Ok(context) => State::Added(context),
            Err(_) => State::Refused,
        };
    }

    fn end(&self) {
        let state = core::mem::replace(&mut *self.state.lock(), State::Refused);
        if let State::Added(context) = state {
            self.offload.del(Direction::Receive, context);
        }
    }
}
