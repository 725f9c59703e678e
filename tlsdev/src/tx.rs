// SPDX-License-Identifier: GPL-2.0

//! The transmit side of a session: who encrypts a packet.

use crate::kern::frag::{Entry, Prefix};
use crate::kern::lock::BhLock;
use crate::kern::socket::Socket;
use crate::kern::work::{Job, Queued};
use crate::stat::{Count, Counters};
use crate::{Direction, Nic, Offload, Position, Resync, Session, Skb};
use kernel::prelude::*;
use kernel::sync::Arc;
use offload_ndo::seq::before;
use offload_ndo::{Record, Tx, TxState, TxVerdict};

/// What becomes of a packet of a session.
pub(crate) enum Fate {
    /// It goes out as it is.
    Plain(Skb),
    /// Software has to encrypt it first.
    Software(Skb),
    /// The device has it, or nobody.
    Gone,
}

/// Under the lock.
struct State<N: Nic> {
    machine: Tx<KVec<Record>>,
    context: Option<N::Context>,
    /// A context that has left the device's service, to be deleted where it may sleep.
    retired: Option<N::Context>,
    /// A request that could not be made yet: the stack was still busy with the last.
    owed: Option<offload_ndo::Resync>,
}

/// The transmit side of a session.
#[pin_data]
pub(crate) struct TxSide<N: Nic> {
    offload: Arc<Offload<N>>,
    session: Session,
    #[pin]
    state: BhLock<State<N>>,
}

impl<N: Nic> TxSide<N> {
    /// Takes a session over; with a delay the driver does not hear of it yet. Process context.
    pub(crate) fn new(
        offload: Arc<Offload<N>>,
        session: Session,
        start: Position,
    ) -> Result<Pin<KBox<Queued<Self>>>> {
        let config = offload.nic.config();
        let memory = KVec::from_elem(Record::default(), config.records, GFP_KERNEL)?;
        let machine = Tx::new(
            session.protocol,
            memory,
            start.seq,
            start.number,
            config.policy,
        );
        let at_once = config.policy.delay == 0;
        let state = State {
            machine,
            context: None,
            retired: None,
            owed: None,
        };
        let side = try_pin_init!(Self {
            offload,
            session,
            state <- crate::new_bh_lock!(state),
        });
        let side = KBox::pin_init(Queued::new(side), GFP_KERNEL)?;
        let TxSide { offload, .. } = &side.job;
        if at_once {
            // Last, so that there is nobody to take the context from when something else fails.
            let context = offload.add(&side.job.session, Some(start))?;
            side.job.state.lock().context = Some(context);
        }
        offload.counters.count(Count::TxSession);
        Ok(side)
    }

    /// The stack says that it begins a record. Process context.
    pub(crate) fn resync(&self, at: Position) {
        let counters = &self.offload.counters;
        counters.count(Count::TxResync);
        let mut state = self.state.lock();
        if state.context.is_none() {
            drop(state);
            let added = self.offload.add(&self.session, Some(at));
            state = self.state.lock();
            match added {
                Ok(context) => state.context = Some(context),
                Err(_) => return state.machine.refuse(),
            }
        } else if let Some(context) = &mut state.context {
            let to = Resync::Transmit {
                at,
                prefix: &Prefix::empty(),
            };
            if self.offload.nic.resync(context, to).is_err() {
                counters.count(Count::TxFailed);
                return state.machine.refuse();
            }
        }
        state.machine.resync(at.seq, at.number);
    }
}

impl<N: Nic> Queued<TxSide<N>> {
    /// Decides about a packet. `post` gives it to the device.
    pub(crate) fn transmit(
        &self,
        socket: &Socket<'_>,
        skb: Skb,
        post: impl FnOnce(&mut N::Context, Skb) -> Result<(), Skb>,
    ) -> Fate {
        let side = &self.job;
        let counters = &side.offload.counters;
        let seq = skb.tcp_seq();
        let Some(len) = skb.len().checked_sub(skb.tcp_headers()) else {
            return Fate::Gone;
        };
        if len == 0 {
            return Fate::Plain(skb);
        }
        // What the stack encrypts comes in one piece, and what the device is to encrypt does not.
        let bytes = skb.linear_payload();
        if bytes.is_some_and(|bytes| socket.differs(seq, bytes)) {
            if socket.zerocopy() {
                // Or did the record change?
                counters.count(Count::TxDropPlaintext);
                return Fate::Gone;
            }
            counters.count(Count::TxPassed);
            return Fate::Plain(skb);
        }
        let len = len as u32;
        let mut state = side.state.lock();
        let state = &mut *state;
        state.learn(socket, seq.wrapping_add(len));
        let verdict = state.machine.segment(seq, len);
        let demoted = state.context.is_some()
            && state.retired.is_none()
            && matches!(state.machine.state(), TxState::Software(_));
        if demoted {
            counters.count(Count::TxDemoted);
            state.retired = state.context.take();
            self.queue();
        }
        match state.obey(side, socket, verdict, skb, post) {
            Ok(fate) => fate,
            Err(skb) => {
                counters.count(Count::TxFailed);
                match state.machine.failed(seq) {
                    TxVerdict::Software { request } => {
                        state.request(counters, socket, request);
                        counters.count(Count::TxSoftware);
                        Fate::Software(skb)
                    }
                    _ => Fate::Gone,
                }
            }
        }
    }
}

impl<N: Nic> State<N> {
    /// Tells the machine of the records up to a sequence number.
    fn learn(&mut self, socket: &Socket<'_>, end: u32) {
        self.machine.acknowledge(socket.unacknowledged());
        while before(self.machine.unknown(), end) {
            let unknown = self.machine.unknown();
            let Entry::Record(record) = socket.record_at(unknown) else {
                return;
            };
            let Ok(len) = u16::try_from(record.len) else {
                return;
            };
            if record.start != unknown || self.machine.announce(len, 0).is_err() {
                return;
            }
        }
    }

    /// Does what the machine says. The packet comes back if that was not possible.
    fn obey(
        &mut self,
        side: &TxSide<N>,
        socket: &Socket<'_>,
        verdict: TxVerdict,
        skb: Skb,
        post: impl FnOnce(&mut N::Context, Skb) -> Result<(), Skb>,
    ) -> Result<Fate, Skb> {
        let counters = &side.offload.counters;
        let len = skb.len().saturating_sub(skb.tcp_headers());
        match verdict {
            TxVerdict::Plain => {
                counters.count(Count::TxPlain);
                return Ok(Fate::Plain(skb));
            }
            TxVerdict::Software { request } => {
                self.request(counters, socket, request);
                counters.count(Count::TxSoftware);
                return Ok(Fate::Software(skb));
            }
            TxVerdict::Drop(reason) => {
                counters.count(match reason {
                    offload_ndo::DropReason::Acknowledged => Count::TxDropAcknowledged,
                    offload_ndo::DropReason::Straddles => Count::TxDropStraddling,
                });
                return Ok(Fate::Gone);
            }
            TxVerdict::Fast { .. } => {}
            TxVerdict::Rebuild(rebuild) => {
                let record = rebuild.record;
                let len = rebuild.prefix as usize;
                let Some(context) = &mut self.context else {
                    return Err(skb);
                };
                let Some(prefix) = socket.prefix(record.start, record.number, len) else {
                    return Err(skb);
                };
                let to = Resync::Transmit {
                    at: Position {
                        seq: record.start,
                        number: record.number,
                    },
                    prefix: &prefix,
                };
                if side.offload.nic.resync(context, to).is_err() {
                    return Err(skb);
                }
                counters.count(Count::TxOutOfOrder);
                counters.add(Count::TxPrefixBytes, u64::from(rebuild.prefix));
            }
        }
        let Some(context) = &mut self.context else {
            return Err(skb);
        };
        post(context, skb)?;
        counters.count(Count::TxPackets);
        counters.add(Count::TxBytes, len as u64);
        Ok(Fate::Gone)
    }

    /// Asks the stack where the next record begins, now or as soon as it can be asked again.
    fn request(
        &mut self,
        counters: &Counters,
        socket: &Socket<'_>,
        request: Option<offload_ndo::Resync>,
    ) {
        if request.is_some() {
            counters.count(Count::TxRequest);
            self.owed = request;
        }
        if let Some(request) = self.owed.take() {
            if !socket.request_resync(request.got, request.expected) {
                self.owed = Some(request);
            }
        }
    }
}

impl<N: Nic> Job for TxSide<N> {
    fn run(&self) {
        let retired = self.state.lock().retired.take();
        if let Some(context) = retired {
            self.offload.del(Direction::Transmit, context);
        }
    }

    fn end(&self) {
        let mut state = self.state.lock();
        let contexts = [state.context.take(), state.retired.take()];
        drop(state);
        for context in contexts.into_iter().flatten() {
            self.offload.del(Direction::Transmit, context);
        }
    }
}
