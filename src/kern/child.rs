// SPDX-License-Identifier: GPL-2.0

//! A connection that TCP has accepted and `accept()` does not see yet.
//!
//! ```text
//!   admitted ──SYN_RECV→ESTABLISHED──> handshaking ──complete or fall back──> delivered ──accept()──> gone
//!                                          │
//!                                          └──failed, reset, too late, listener closed──> dead ──> closed
//! ```
//!
//! While it is here the socket has no owner in user space. Its callbacks are ours and run the
//! handshake, in SoftIRQ as a rule, or in process context out of `release_sock()`. Where it needs a
//! public-key operation it waits in a queue of this CPU ([`waiting`]), is taken into a batch
//! ([`batch`]), and goes on from there, in a bottom half of its own or in a kernel thread. Callbacks
//! do nothing meanwhile: what they would look at is looked at when the result is there.
//!
//! # Locking
//!
//! The child's socket lock protects everything in [`Child`] but `member`, which the lock of the
//! listener's [`Pending`] lists protects, and the links in `place`, which a queue's lock does; these
//! locks nest inside the socket lock. Who takes a child
//! off the list owns the reference to the socket that the accept queue would own, and has to pass
//! it on or to close the socket.

mod batch;
mod hooks;
mod leave;
mod pending;
mod progress;
mod waiting;

pub(super) use leave::leave_all;
pub(super) use pending::{reap, Pending};

use self::hooks::{drop_stand_in, give_back, hook, unhook, Options, Saved};
use self::pending::{Member, Orphan};
use self::waiting::Place;
use super::bindings::{self, request_sock, sock, socket, tcp_ulp_ops, work_struct};
use super::listen::Listener;
use super::memory::Charge;
use super::queue::{inet_csk, Ticket};
use super::source::Source;
use super::stat::{Gauge, Stats};
use super::trace::{self, Event};
use super::ulp::stock_ops;
use super::{diag, this_module, work, CStatic};
use crate::driver::Handshake;
use crate::stat::Counter;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{rcu, Arc};

/// What has become of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Callbacks are hooked, the child is on the pending list.
    Handshaking,
    /// On the accept queue, keys ready.
    Complete,
    /// On the accept queue, nothing consumed.
    Fallback,
    /// To be closed by whoever took it off the pending list.
    Dead,
}

/// Our state of one connection, found through `icsk_ulp_data`.
///
/// # Invariants
///
/// `sk` is null until [`Prepared::attach`]; afterwards the socket's `icsk_ulp_data` points here
/// until [`detach`] or the ULP's release.
#[repr(C)]
pub(super) struct Child {
    /// First, where [`free`] looks for it.
    rcu: bindings::tls_hs_rcu_object,
    close: work_struct,
    member: Member,
    sk: *mut sock,
    /// Stands in for the socket that `accept()` will graft: TCP looks at its flags and wakes its
    /// wait queue. It must not go away while a caller further up the stack may look at it, so it
    /// stays until sock_graft(), kill() or sock_orphan().
    stand_in: socket,
    saved: MaybeUninit<Saved>,
    /// Since it is ESTABLISHED.
    options: Option<Options>,
    state: State,
    running: bool,
    /// For a public-key operation: in a queue, or in a batch.
    waiting: bool,
    place: Place,
    /// When it was admitted, in microseconds.
    began: u64,
    ticket: Option<Ticket>,
    /// Until the handshake is over.
    source: Option<Source>,
    memory: Option<Charge>,
    listener: Arc<Listener>,
    handshake: Handshake,
}

/// Slab of all children.
static CACHE: Atomic<*mut bindings::kmem_cache> = Atomic::new(ptr::null_mut());

/// ULP of a child. Never registered: no user can ask for it.
///
// SAFETY: All zeros is a valid tcp_ulp_ops.
static ULP: CStatic<tcp_ulp_ops> = unsafe { CStatic::zeroed() };

/// Makes the slab and the child's ULP. Process context, at load time.
pub(super) fn init() -> Result {
    // SAFETY: The name is a C string.
    let cache = unsafe {
        bindings::tls_hs_cache_create(
            c"tls_hs_child".as_char_ptr().cast(),
            size_of::<Child>() as u32,
            align_of::<Child>() as u32,
        )
    };
    if cache.is_null() {
        return Err(ENOMEM);
    }
    CACHE.store(cache, Relaxed);
    waiting::init()?;
    // SAFETY: Nobody uses the structure yet.
    unsafe {
        let ulp = ULP.get();
        for (to, from) in (*ulp).name.iter_mut().zip(b"tls\0") {
            *to = *from;
        }
        (*ulp).owner = this_module();
        (*ulp).release = Some(release);
        (*ulp).get_info = Some(diag::child);
        (*ulp).get_info_size = Some(diag::size);
    }
    Ok(())
}

/// Frees the slab. Process context, at unload time: no child is left.
pub(super) fn exit() {
    waiting::exit();
    let cache = CACHE.xchg(ptr::null_mut(), kernel::sync::atomic::Full);
    if !cache.is_null() {
        // SAFETY: The cache is ours; it waits for the objects that RCU still holds.
        unsafe { bindings::kmem_cache_destroy(cache) }
    }
}

/// All that a connection will need, allocated before TCP makes its socket. Dropped unless attached.
pub(super) struct Prepared(NonNull<Child>);

impl Prepared {
    /// SoftIRQ.
    ///
    /// # Safety
    ///
    /// `req` is a valid request of the listener.
    pub(super) unsafe fn new(
        listener: Arc<Listener>,
        req: *const request_sock,
        source: Source,
        memory: Charge,
    ) -> Option<Self> {
        let config = listener.config()?;
        // SAFETY: By the requirement.
        let ticket = unsafe { Ticket::like(req) }?;
        // SAFETY: The cache exists while the module serves sockets, with objects of this type.
        let child = NonNull::new(unsafe {
            bindings::tls_hs_cache_alloc_atomic(CACHE.load(Relaxed)).cast::<Child>()
        })?;
        config.store.look();
        if config.store.is_stale() {
            listener.read_keys_again();
        }
        // SAFETY: Fresh memory of the right size and alignment; every field is written.
        unsafe {
            let child = child.as_ptr();
            (&raw mut (*child).rcu).write(Default::default());
            bindings::tls_hs_init_work(&raw mut (*child).close, Some(close_work));
            (&raw mut (*child).member).write(Member::new());
            (&raw mut (*child).sk).write(ptr::null_mut());
            (&raw mut (*child).stand_in).write_bytes(0, 1);
            bindings::tls_hs_waitqueue_init(&raw mut (*child).stand_in);
            (&raw mut (*child).options).write(None);
            (&raw mut (*child).state).write(State::Handshaking);
            (&raw mut (*child).running).write(false);
            (&raw mut (*child).waiting).write(false);
            (&raw mut (*child).place).write(Place::new());
            (&raw mut (*child).began).write(trace::now_us());
            (&raw mut (*child).ticket).write(Some(ticket));
            (&raw mut (*child).source).write(Some(source));
            (&raw mut (*child).memory).write(Some(memory));
            (&raw mut (*child).listener).write(listener);
            (&raw mut (*child).handshake).write(Handshake::new(config));
        }
        Some(Self(child))
    }

    /// Bytes that a connection of `req` takes before its client has sent anything.
    ///
    /// # Safety
    ///
    /// `req` is valid.
    pub(super) unsafe fn memory(req: *const request_sock) -> u32 {
        // SAFETY: By the requirement.
        let ticket = unsafe { (*(*req).rsk_ops).obj_size };
        ticket.saturating_add(size_of::<Child>() as u32)
    }

    /// Hooks the new socket `sk` and puts the child on the listener's pending list. SoftIRQ.
    ///
    /// # Safety
    ///
    /// `sk` was just made for this child's request, is locked, and the caller owns the reference
    /// that the accept queue would own. The caller passes a reference to this module on.
    pub(super) unsafe fn attach(self, sk: *mut sock) {
        let child = self.0.as_ptr();
        core::mem::forget(self);
        // SAFETY: By the requirement the socket is ours to change; the child is valid, and stays
        // so while the socket's lock is held and it is on the list.
        unsafe {
            (*child).sk = sk;
            // TCP asks the table of a socket about its buffers.
            (*child).stand_in.ops = stock_ops(sk);
            (*child).stand_in.type_ = bindings::sock_type_SOCK_STREAM as i16;
            if let Some(source) = &mut (*child).source {
                source.spend();
            }
            hook(child);
            bindings::tls_hs_set_ulp(sk, ULP.get(), child.cast());

            // Whoever closes the listener waits for us before it empties the list.
            let listener = &(*child).listener;
            if listener.pending().lock().push(child) {
                listener.reap_in(pending::first_look(listener));
            }
            Stats::of(sk).count(Counter::Admitted);
            tell(child, Event::Start);
            Stats::of(sk).enter(Gauge::Pending);
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // SAFETY: Never attached: nobody else knows the child.
        unsafe { free(self.0.as_ptr()) }
    }
}

/// # Safety
///
/// `child` is initialised, and nobody finds it any more but RCU readers of `stand_in`.
unsafe fn free(child: *mut Child) {
    // SAFETY: By the requirement. What RCU readers may still look at has no destructor.
    unsafe {
        ptr::drop_in_place(child);
        bindings::tls_hs_free_rcu(child.cast());
    }
}

/// The child of a socket, if it is one.
///
/// # Safety
///
/// The socket is locked, and the pointer is not used after it is unlocked or detached.
unsafe fn child_of(sk: *mut sock) -> Option<NonNull<Child>> {
    // SAFETY: By the requirement.
    unsafe { NonNull::new(bindings::tls_hs_ulp_data(sk, ULP.get()).cast_mut().cast()) }
}

/// Takes the ULP off the socket; its reference to this module is the caller's to put.
///
/// # Safety
///
/// The socket is a child's, and locked.
unsafe fn detach(sk: *mut sock) {
    // SAFETY: By the requirement.
    unsafe { bindings::tls_hs_set_ulp(sk, ptr::null(), ptr::null_mut()) }
}

/// Takes the child off the pending list; true if that was us.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn unlink(child: *mut Child) -> bool {
    // SAFETY: By the requirement.
    unsafe { (*child).listener.pending().lock().remove(child) }
}

/// Ends the handshake, if it still goes on, without a result; it waits for nothing any more.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn die(child: *mut Child) {
    // SAFETY: By the requirement.
    unsafe {
        if core::mem::replace(&mut (*child).state, State::Dead) == State::Handshaking {
            Stats::of((*child).sk).count(Counter::Failed);
            tell(child, Event::Fail);
        }
        (*child).source = None;
        waiting::leave(child);
    }
}

/// Tells tracers and the listener's statistics what happened.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn tell(child: *mut Child, event: Event) {
    // SAFETY: By the requirement.
    unsafe {
        trace::event(event, (*child).sk, (*child).began, &(*child).handshake);
        (*child).listener.result(event);
    }
}

/// What can be seen of a child without its socket's lock.
pub(super) struct Glance {
    /// TLS_HS_DIAG_STATE_*
    pub(super) state: u8,
    /// Since it was admitted.
    pub(super) age_us: u64,
}

impl Glance {
    /// `None` if the socket is no child, or none any more.
    ///
    /// # Safety
    ///
    /// The socket is valid, and the caller in an RCU read-side critical section.
    pub(super) unsafe fn at(sk: *const sock) -> Option<Self> {
        // SAFETY: The data of our ULP is a child, whose memory is valid until a grace period after
        // the socket has let it go, and what is read of it has no destructor.
        unsafe {
            let child = bindings::tls_hs_ulp_data(sk, ULP.get()).cast::<Child>();
            if child.is_null() {
                return None;
            }
            let state = match (&raw const (*child).state).read_volatile() {
                State::Handshaking => bindings::TLS_HS_DIAG_STATE_HANDSHAKE,
                State::Complete => bindings::TLS_HS_DIAG_STATE_COMPLETE,
                State::Fallback => bindings::TLS_HS_DIAG_STATE_FALLBACK,
                State::Dead => bindings::TLS_HS_DIAG_STATE_DEAD,
            };
            let began = (&raw const (*child).began).read_volatile();
            Some(Self {
                state: state as u8,
                age_us: trace::now_us().saturating_sub(began),
            })
        }
    }
}

/// Gives up on the connection.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn fail(child: *mut Child) {
    // SAFETY: By the requirement; the work owns the socket's reference and so the child.
    unsafe {
        die(child);
        if unlink(child) {
            work::QUEUE.add(&raw mut (*child).close);
        }
    }
}

/// Gives up on the connection because of `why`, which is counted; nothing happens if somebody else is
/// about to close it, for a reason that counts instead.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn give_up(child: *mut Child, why: Counter) {
    // SAFETY: By the requirement; the work owns the socket's reference and so the child.
    unsafe {
        if unlink(child) {
            (*child).handshake.note(why);
            Stats::of((*child).sk).count(why);
            die(child);
            work::QUEUE.add(&raw mut (*child).close);
        }
    }
}

/// # Safety
///
/// The workqueue calls this, with what [`fail`], [`give_up`] or [`finish`] queued.
unsafe extern "C" fn close_work(work: *mut work_struct) {
    // SAFETY: The work is a field of a child that who queued it made ours.
    let child = unsafe { kernel::container_of!(work, Child, close) };
    if let Some(child) = NonNull::new(child) {
        Orphan(child).kill();
    }
}

/// The handshake is over: puts the child on the accept queue.
///
/// # Safety
///
/// `child` is attached and its socket locked.
unsafe fn finish(child: *mut Child, state: State) {
    // SAFETY: By the requirement; if we took the child off the list, the reference that the queue
    // is given is ours. The listener's socket lives as long as its `Listener`.
    unsafe {
        if !unlink(child) {
            die(child);
            return;
        }
        (*child).state = state;
        (*child).source = None;
        unhook(child);
        let sk = (*child).sk;
        Stats::of(sk).count(match state {
            State::Complete => Counter::Completed,
            _ => Counter::FellBack,
        });
        tell(
            child,
            match state {
                State::Complete => Event::Done,
                _ => Event::Fallback,
            },
        );
        // A listener that stops waits for this before it empties its queue, which nobody may come to
        // afterwards; and it takes children off that are locked, of which it may be the last hold.
        let _guard = rcu::read_lock();
        let lsk = (*child).listener.socket();
        let stops = (*child).listener.is_dead();
        let Some(ticket) = (*child).ticket.take() else {
            return;
        };
        let queued = match stops {
            true => Err(ticket),
            false => ticket.enqueue(lsk, sk),
        };
        let ticket = match queued {
            Ok(()) => return bindings::tls_hs_call_data_ready(lsk),
            Err(ticket) => ticket,
        };
        match leave::to_successor(child, lsk, ticket) {
            Ok(()) => {}
            Err(ticket) => {
                (*child).ticket = Some(ticket);
                (*child).state = State::Dead;
                Stats::of(sk).count(Counter::ListenerClosed);
                work::QUEUE.add(&raw mut (*child).close);
            }
        }
    }
}

/// ULP release: the socket is destroyed with our state on it, out of the accept queue of a closed
/// listener. The caller puts the module.
///
/// # Safety
///
/// TCP calls this, with the socket locked.
unsafe extern "C" fn release(sk: *mut sock) {
    // SAFETY: Nobody else has the socket any more.
    unsafe {
        if let Some(child) = child_of(sk) {
            (*inet_csk(sk)).icsk_ulp_data = ptr::null_mut();
            Stats::of(sk).leave(Gauge::Pending);
            free(child.as_ptr());
        }
    }
}

/// A child that `accept()` has taken off the accept queue.
///
/// # Invariants
///
/// Detached from its socket, so that nobody else finds it.
pub(super) struct Accepted(NonNull<Child>);

impl Accepted {
    /// Takes our state off the accepted socket `sk`; `None` if it had none.
    ///
    /// # Safety
    ///
    /// The caller holds the socket's lock, in process context, and grafted the socket.
    pub(super) unsafe fn take(sk: *mut sock) -> Option<Self> {
        // SAFETY: By the requirement.
        unsafe {
            let child = child_of(sk)?;
            give_back(child.as_ptr());
            detach(sk);
            Stats::of(sk).leave(Gauge::Pending);
            Some(Self(child))
        }
    }

    pub(super) fn state(&self) -> State {
        // SAFETY: By the invariants.
        unsafe { (*self.0.as_ptr()).state }
    }

    pub(super) fn handshake(&self) -> &Handshake {
        // SAFETY: By the invariants.
        unsafe { &(*self.0.as_ptr()).handshake }
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        // SAFETY: By the invariants; the ULP's reference to this module is ours since detach().
        unsafe {
            free(self.0.as_ptr());
            bindings::module_put(this_module());
        }
    }
}
