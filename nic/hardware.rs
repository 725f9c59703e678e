// SPDX-License-Identifier: GPL-2.0

//! What would be silicon: contexts of connections, and what happens to a packet on its way out and
//! in.

use crate::engine::Engine;
use crate::kern::clock::now_ns;
use crate::kern::params::{self, Param};
use crate::packet::{self, Flow, Segment, HEADERS};
use crate::stat::{Stat, Statistics};
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNodeReservation};
use kernel::sync::Arc;
use offload_ndo::{Framer, Policy, Rx, RxVerdict};
use tlsdev::{
    new_bh_lock, BhLock, Config, Direction, Nic, Position, Request, Resync, Segments, Session, Skb,
};

/// The transmit side of a connection.
pub(crate) struct Transmit {
    engine: Engine,
    framer: Framer,
    /// The value of "forget" when this last had its state.
    forgets: u32,
}

/// The receive side of a connection.
#[pin_data]
pub(crate) struct Receive {
    flow: Flow,
    request: Arc<Request>,
    #[pin]
    state: BhLock<Decrypt>,
}

struct Decrypt {
    machine: Rx,
    engine: Engine,
    forgets: u32,
}

/// What the device knows of one direction of a connection.
pub(crate) enum Context {
    Transmit(KBox<Transmit>),
    Receive(Arc<Receive>),
}

/// The device.
#[pin_data]
pub(crate) struct Hardware {
    pub(crate) statistics: Statistics,
    /// Connections that are received, by what their packets have in their headers.
    #[pin]
    flows: BhLock<RBTree<Flow, Arc<Receive>>>,
}

impl Hardware {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            statistics: Statistics::new(),
            flows <- new_bh_lock!(RBTree::new()),
        })
    }

    /// What goes on the wire of a packet of a connection, if the device can encrypt it.
    pub(crate) fn encrypt(&self, context: &mut Context, skb: &Skb) -> Option<Segments> {
        let Context::Transmit(transmit) = context else {
            return None;
        };
        let transmit = &mut **transmit;
        let forgets = params::get(Param::Forget);
        if transmit.forgets != forgets {
            transmit.forgets = forgets;
            return None;
        }
        let begin = now_ns();
        // The stack keeps the bytes for a retransmission: what a device does in its own memory is
        // done in a copy.
        let mut segments = self.segments(skb)?;
        let sealed = segments.all_mut(|segment| {
            segment.set_decrypted(false);
            let headers = segment.tcp_headers();
            let payload = segment.bytes_mut().get_mut(headers..);
            payload.is_some_and(|payload| transmit.engine.seal(&mut transmit.framer, payload))
        });
        let took = now_ns().saturating_sub(begin);
        self.statistics.add(Stat::TxNanoseconds, took);
        sealed.then_some(segments)
    }

    /// A packet as it goes on the wire, in memory of the device.
    pub(crate) fn segments(&self, skb: &Skb) -> Option<Segments> {
        let segments = skb.segments();
        if segments.is_none() {
            self.statistics.count(Stat::NoMemory);
        }
        segments
    }

    /// Decrypts a packet if it belongs to a connection of ours and is in order; otherwise it comes
    /// back as it was.
    pub(crate) fn receive(&self, skb: Skb) -> Skb {
        let Some(segment) = segment(&skb) else {
            return skb;
        };
        if segment.payload.is_empty() {
            return skb;
        }
        let receive = self.flows.lock().get(&segment.flow).cloned();
        let Some(receive) = receive else {
            return skb;
        };
        let begin = now_ns();
        let Some(mut copy) = skb.private_copy() else {
            self.statistics.count(Stat::NoMemory);
            return skb;
        };
        let Some(payload) = copy.bytes_mut().get_mut(segment.payload) else {
            return skb;
        };
        let decrypted = self.decrypt(&receive, segment.seq, payload);
        let took = now_ns().saturating_sub(begin);
        self.statistics.add(Stat::RxNanoseconds, took);
        if decrypted {
            copy.set_decrypted(true);
            copy.into_skb()
        } else {
            skb
        }
    }

    /// True if the payload is plaintext now.
    fn decrypt(&self, receive: &Receive, seq: u32, payload: &mut [u8]) -> bool {
        let mut state = receive.state.lock();
        let state = &mut *state;
        let forgets = params::get(Param::Forget);
        if state.forgets != forgets {
            state.forgets = forgets;
            state.machine.forget();
        }
        let len = payload.len();
        let verdict = state.machine.packet(seq, payload);
        let (stat, opened) = match verdict {
            RxVerdict::Decrypt(mut framer) => {
                (Stat::RxDecrypted, state.engine.open(&mut framer, payload))
            }
            RxVerdict::Absorb { from, mut framer } => {
                let rest = payload.get_mut(from..).unwrap_or(&mut []);
                (Stat::RxAbsorbed, state.engine.open(&mut framer, rest))
            }
            RxVerdict::Pass => (Stat::RxPassed, true),
        };
        if !opened {
            state.machine.auth_failed();
            self.statistics.count(Stat::RxAuthFailed);
        } else {
            self.statistics.count(stat);
        }
        let request = state.machine.request();
        if let Some(seq) = request {
            self.statistics.count(Stat::RxRequest);
            receive.request.ask(seq);
        }
        let decrypted = opened && matches!(verdict, RxVerdict::Decrypt(_));
        if decrypted {
            self.statistics.add(Stat::RxDecryptedBytes, len as u64);
        }
        decrypted
    }

    fn add_receive(&self, session: &Session, start: Option<Position>) -> Result<Context> {
        let flow = Flow {
            from: session.remote(),
            to: session.local(),
        };
        let request = session.request().ok_or(EINVAL)?;
        let protocol = session.protocol();
        let machine = match start {
            Some(start) => Rx::new(protocol, start.seq, start.number),
            None => {
                let mut machine = Rx::new(protocol, 0, 0);
                machine.forget();
                machine
            }
        };
        let state = Decrypt {
            machine,
            engine: Engine::new(session)?,
            forgets: params::get(Param::Forget),
        };
        let receive = Arc::pin_init(
            pin_init!(Receive {
                flow,
                request,
                state <- new_bh_lock!(state),
            }),
            GFP_KERNEL,
        )?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?.into_node(flow, receive.clone());
        let before = self.flows.lock().insert(node);
        drop(before);
        Ok(Context::Receive(receive))
    }
}

/// The TCP segment in a packet.
pub(crate) fn segment(skb: &Skb) -> Option<Segment> {
    let mut head = [0; HEADERS];
    let len = skb.len();
    let head = head.get_mut(..len.min(HEADERS))?;
    if !skb.copy_bits(0, head) {
        return None;
    }
    packet::parse(head, len)
}

/// The most that "records" may ask for: 256 KiB for a session.
const RECORDS_MAX: u32 = 16_384;

/// The part of a device that `tlsdev` talks to.
pub(crate) struct Device(pub(crate) Pin<KBox<Hardware>>);

impl Nic for Device {
    type Context = Context;

    fn config(&self) -> Config {
        Config {
            policy: Policy {
                delay: params::get(Param::Delay),
                credit: params::get(Param::Credit),
                backoff: params::get(Param::Backoff),
            },
            records: params::get(Param::Records).min(RECORDS_MAX) as usize,
            rx_delay: params::get(Param::RxDelay),
        }
    }

    fn ktls_dev_add(&self, session: &Session, start: Option<Position>) -> Result<Context> {
        let refuse = params::get(Param::Refuse);
        match session.direction() {
            Direction::Transmit if refuse & 1 == 0 => {
                let start = start.ok_or(EINVAL)?;
                let transmit = Transmit {
                    engine: Engine::new(session)?,
                    framer: Framer::new(session.protocol(), start.number),
                    forgets: params::get(Param::Forget),
                };
                Ok(Context::Transmit(KBox::new(transmit, GFP_KERNEL)?))
            }
            Direction::Receive if refuse & 2 == 0 => self.0.add_receive(session, start),
            _ => Err(ENOSPC),
        }
    }

    fn ktls_dev_del(&self, _: Direction, context: Context) {
        if let Context::Receive(receive) = context {
            let removed = self.0.flows.lock().remove_node(&receive.flow);
            drop(removed);
        }
    }

    fn resync(&self, context: &mut Context, to: Resync<'_>) -> Result {
        match (context, to) {
            (Context::Transmit(transmit), Resync::Transmit { at, prefix }) => {
                let begin = now_ns();
                let transmit = &mut **transmit;
                let mut framer = Framer::new(transmit.engine.protocol(), at.number);
                let mut scratch = [0; 256];
                for piece in prefix.pieces() {
                    for from in piece.chunks(scratch.len()) {
                        let Some(to) = scratch.get_mut(..from.len()) else {
                            return Err(EINVAL);
                        };
                        to.copy_from_slice(from);
                        if !transmit.engine.seal(&mut framer, to) {
                            return Err(EINVAL);
                        }
                    }
                }
                transmit.framer = framer;
                transmit.forgets = params::get(Param::Forget);
                let took = now_ns().saturating_sub(begin);
                self.0.statistics.add(Stat::TxNanoseconds, took);
                Ok(())
            }
            (Context::Receive(receive), Resync::Receive { at }) => {
                let useful = receive.state.lock().machine.confirm(at.seq, at.number);
                useful.then_some(()).ok_or(EINVAL)
            }
            _ => Err(EINVAL),
        }
    }
}
