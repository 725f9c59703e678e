// SPDX-License-Identifier: GPL-2.0

//! A listening socket with TLS_HS: its connections become children before `accept()` sees them.
//!
//! The listener of a socket is its `icsk_ulp_data`, under a ULP that is never registered, and goes
//! an RCU grace period after the socket has let it go. `icsk_af_ops` is no way to find it: TCP sets
//! that anew when an IPv6 socket connects to an IPv4 address.
//!
//! # Locking
//!
//! [`install`] and [`uninstall`] run in process context under the socket lock; admission runs in
//! SoftIRQ inside an RCU read-side critical section. The lock of the pending list nests inside a
//! child's socket lock.

use super::bindings::{
    self, delayed_work, dst_entry, inet_connection_sock_af_ops, request_sock, sk_buff, sock,
    tcp_ulp_ops, work_struct,
};
use super::child::{self, Pending, Prepared};
use super::lock::BhLock;
use super::memory::{self, Charge};
use super::queue::{self, inet_csk};
use super::rcu::RcuArc;
use super::source::Source;
use super::stat::Stats;
use super::sysctl::Sysctls;
use super::trace::Event;
use super::{log, this_module, work, CStatic};
use crate::listener::Config;
use crate::stat::Counter;
use crate::sysctl::Sysctl;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::{Arc, ArcBorrow};
use kernel::types::Opaque;

/// Our state of one listening socket.
///
/// # Invariants
///
/// `sk` is a TCP socket of which we hold a reference. While `sk`'s `icsk_ulp_data` or `icsk_af_ops`
/// points here, an RCU grace period has not passed since, or a child has a reference, the listener
/// lives.
#[pin_data(PinnedDrop)]
pub(super) struct Listener {
    #[pin]
    af: Opaque<inet_connection_sock_af_ops>,
    #[pin]
    reaper: Opaque<delayed_work>,
    /// Reads the keyrings again.
    #[pin]
    reader: Opaque<work_struct>,
    /// When that was done last.
    read: Atomic<u32>,
    #[pin]
    pending: BhLock<Pending>,
    /// How many calls are about to make the socket stop.
    stopping: Atomic<i32>,
    completed: Atomic<i64>,
    fell_back: Atomic<i64>,
    failed: Atomic<i64>,
    config: RcuArc<Config>,
    sk: *mut sock,
    original_af: *const inet_connection_sock_af_ops,
    original_data_ready: Option<unsafe extern "C" fn(sk: *mut sock)>,
}

// SAFETY: The raw pointers are to what the invariants keep alive, and never changed.
unsafe impl Send for Listener {}
// SAFETY: As above; the rest is behind locks, atomics and RCU.
unsafe impl Sync for Listener {}

impl Listener {
    /// What the socket serves now. Any context.
    pub(super) fn config(&self) -> Option<Arc<Config>> {
        self.config.get()
    }

    pub(super) fn pending(&self) -> &BhLock<Pending> {
        &self.pending
    }

    pub(super) fn socket(&self) -> *mut sock {
        self.sk
    }

    pub(super) fn is_dead(&self) -> bool {
        self.stopping.load(Relaxed) != 0
    }

    /// Counts what has become of a connection. Any context.
    pub(super) fn result(&self, event: Event) {
        match event {
            Event::Done => self.completed.add(1, Relaxed),
            Event::Fallback => self.fell_back.add(1, Relaxed),
            Event::Fail => self.failed.add(1, Relaxed),
            Event::Start | Event::Hello => {}
        }
    }

    /// Handshakes that were completed, fell back, or failed.
    pub(super) fn results(&self) -> [u64; 3] {
        [&self.completed, &self.fell_back, &self.failed].map(|count| count.load(Relaxed) as u64)
    }

    /// Looks at the deadlines in `ms` milliseconds, unless that is planned already. Any context.
    pub(super) fn reap_in(&self, ms: u32) {
        // SAFETY: Initialised, and cancelled before the listener's socket lets it go.
        unsafe { work::QUEUE.add_delayed(self.reaper.get(), ms) }
    }

    /// Looks at them in `ms` milliseconds though that may be planned for later. Any context.
    pub(super) fn reap_sooner(&self, ms: u32) {
        // SAFETY: As above.
        unsafe { work::QUEUE.set_delay(self.reaper.get(), ms) }
    }

    /// Has the keyrings read again, in a moment and not too often. Any context.
    pub(super) fn read_keys_again(&self) {
        let now = work::now_ms();
        if now.wrapping_sub(self.read.load(Relaxed)) >= READ_AGAIN_MS {
            self.read.store(now, Relaxed);
            // SAFETY: Initialised, and cancelled before the listener's socket lets it go.
            unsafe { work::SESSIONS.add(self.reader.get()) };
        }
    }

    /// The listener of a socket, if it has one.
    ///
    /// # Safety
    ///
    /// The caller holds the socket's lock or is in an RCU read-side critical section, and uses the
    /// reference only inside it.
    pub(super) unsafe fn of<'a>(sk: *const sock) -> Option<ArcBorrow<'a, Self>> {
        // SAFETY: By the requirement; the data of our ULP is a listener, and lives.
        unsafe {
            let data: *const Self = bindings::tls_hs_ulp_data(sk, ULP.get()).cast();
            (!data.is_null()).then(|| ArcBorrow::from_raw(data))
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Listener {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the invariants the reference is ours.
        unsafe { bindings::tls_hs_sock_put(self.sk) }
    }
}

/// ULP of a socket with TLS_HS. Never registered: sockets get it instead of the front's.
///
// SAFETY: All zeros is a valid tcp_ulp_ops.
static ULP: CStatic<tcp_ulp_ops> = unsafe { CStatic::zeroed() };

/// Process context, at load time, once; `front` is what sockets have before.
///
/// # Safety
///
/// `front` is valid.
pub(super) unsafe fn init(front: *const tcp_ulp_ops) {
    // SAFETY: Nobody uses the structure yet.
    unsafe {
        let ulp = ULP.get();
        (*ulp).name = (*front).name;
        (*ulp).owner = (*front).owner;
        (*ulp).clone = (*front).clone;
        (*ulp).get_info = (*front).get_info;
        (*ulp).get_info_size = (*front).get_info_size;
    }
}

/// Makes `sk` serve `config`, from now on or instead of what it served. Process context.
///
/// # Safety
///
/// The caller holds the lock of `sk`, a TCP socket that is not connected and has our `proto_ops`,
/// so that [`uninstall`] will be called.
pub(super) unsafe fn install(sk: *mut sock, config: Arc<Config>) -> Result {
    // SAFETY: The caller holds the lock.
    if let Some(listener) = unsafe { Listener::of(sk) } {
        listener.config.set(Some(config));
        return Ok(());
    }
    // SAFETY: The caller holds the lock.
    let (original_af, original_data_ready) =
        unsafe { ((*inet_csk(sk)).icsk_af_ops, (*sk).sk_data_ready) };
    let listener = Arc::pin_init(
        pin_init!(Listener {
            af <- Opaque::ffi_init(|af: *mut inet_connection_sock_af_ops| {
                // SAFETY: The original is valid and `af` is writable.
                unsafe {
                    af.write(core::ptr::read(original_af));
                    (*af).syn_recv_sock = Some(syn_recv_sock);
                }
            }),
            reaper <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is writable and pinned.
                unsafe { bindings::tls_hs_init_delayed_work(work, Some(reap_work)) }
            }),
            reader <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is writable and pinned.
                unsafe { bindings::tls_hs_init_work(work, Some(read_work)) }
            }),
            read: Atomic::new(work::now_ms()),
            pending <- BhLock::new(
                Pending::new(),
                c"tls_hs_pending",
                kernel::static_lock_class!(),
            ),
            stopping: Atomic::new(0),
            completed: Atomic::new(0),
            fell_back: Atomic::new(0),
            failed: Atomic::new(0),
            config: RcuArc::new(config),
            sk: {
                // SAFETY: The caller has a reference.
                unsafe { bindings::tls_hs_sock_hold(sk) };
                sk
            },
            original_af,
            original_data_ready,
        }),
        GFP_KERNEL_ACCOUNT,
    )?;
    // SAFETY: The caller holds the lock. The reference goes to the socket, with its module's that the
    // front had; uninstall() takes it back.
    unsafe {
        // Last what strip() has to undo: it may be copied meanwhile.
        let af = listener.af.get();
        bindings::tls_hs_set_ulp(sk, ULP.get(), listener.into_raw().cast_mut().cast());
        bindings::tls_hs_set_af_ops(sk, af);
        bindings::tls_hs_set_data_ready(sk, Some(data_ready));
    }
    Ok(())
}

/// A listener that takes no connection and has none any more, while its socket may listen still.
pub(super) struct Stopped(Arc<Listener>);

/// Takes `sk` out of its group of listening sockets, if it listens and has TLS_HS, and gives the
/// connections that `accept()` has not returned to others of the group, or closes them; stock does
/// the same with those that are not ours when `sk` stops listening. Process context.
///
/// # Safety
///
/// `sk` has our `proto_ops`, and is about to stop listening; its lock is not held.
pub(super) unsafe fn stop(sk: *mut sock) -> Option<Stopped> {
    // SAFETY: By the requirement.
    unsafe {
        bindings::tls_hs_lock_sock(sk);
        let listener: Option<Arc<Listener>> = Listener::of(sk).map(Arc::from);
        if let Some(listener) = &listener {
            // Until `sk` has stopped, ACKs are dropped: TCP finds another socket for the next one.
            // Whoever plans work outside of RCU looks under this lock.
            let pending = listener.pending().lock();
            listener.stopping.add(1, Relaxed);
            drop(pending);
            let listens = u32::from((*sk).__sk_common.skc_state) == bindings::TCP_LISTEN;
            if let (true, Some(unhash)) = (listens, (*(*sk).__sk_common.skc_prot).unhash) {
                unhash(sk);
            }
        }
        bindings::release_sock(sk);
        let listener = listener?;

        // No SoftIRQ is in syn_recv_sock() with the listener thought alive after this, and nobody is
        // giving it connections of others.
        bindings::synchronize_net();
        child::leave_all(&listener);
        Some(Stopped(listener))
    }
}

impl Stopped {
    /// The socket has stopped listening, and may be told to listen again, as far as this call goes.
    pub(super) fn resume(self) {
        self.0.stopping.add(-1, Relaxed);
    }

    /// Lets the socket go, which has been released. Process context.
    ///
    /// # Safety
    ///
    /// Nobody uses the socket but those who still have references to it.
    pub(super) unsafe fn uninstall(self) {
        let listener = self.0;
        // SAFETY: By the requirement nobody installs any more; the listener has a reference to the
        // socket. The reference that install() gave to the socket is taken back after the last
        // reader has gone.
        unsafe {
            bindings::tls_hs_set_data_ready(listener.sk, listener.original_data_ready);
            bindings::tls_hs_set_af_ops(listener.sk, listener.original_af);
            bindings::tls_hs_forget_ulp_data(listener.sk);
            bindings::synchronize_net();
            bindings::cancel_delayed_work_sync(listener.reaper.get());
            bindings::cancel_work_sync(listener.reader.get());
            drop(Arc::from_raw(Arc::as_ptr(&listener)));
        }
    }
}

/// Makes a socket that was cloned from a listener an ordinary one again: ULP clone callback.
///
/// # Safety
///
/// SoftIRQ, inside RCU, `sk` new and locked.
pub(super) unsafe fn strip(sk: *mut sock) {
    // SAFETY: By the requirement.
    unsafe {
        // What was copied while TLS_HS was set need not be all of it.
        let af = (*inet_csk(sk)).icsk_af_ops;
        let ours = (*af)
            .syn_recv_sock
            .is_some_and(|f| f as usize == syn_recv_sock as usize);
        let listener = if ours {
            let af = Opaque::cast_from(af);
            let listener: *const Listener = kernel::container_of!(af, Listener, af);
            Some(ArcBorrow::from_raw(listener))
        } else {
            Listener::of(sk)
        };
        if let Some(listener) = listener {
            bindings::tls_hs_set_af_ops(sk, listener.original_af);
            bindings::tls_hs_set_data_ready(sk, listener.original_data_ready);
        }
        bindings::tls_hs_set_ulp(sk, core::ptr::null(), core::ptr::null_mut());
    }
}

/// # Safety
///
/// The workqueue calls this, with a listener's work.
unsafe extern "C" fn reap_work(work: *mut work_struct) {
    // SAFETY: The work is the first member of the listener's delayed_work; the listener lives until
    // the work was cancelled.
    let listener = unsafe {
        let delayed = kernel::container_of!(work, delayed_work, work);
        let listener: *const Listener =
            kernel::container_of!(Opaque::cast_from(delayed), Listener, reaper);
        ArcBorrow::from_raw(listener)
    };
    if let Some(ms) = child::reap(&listener) {
        if !listener.is_dead() {
            listener.reap_in(ms);
        }
    }
}

/// Keyrings are read again after this time at the earliest.
const READ_AGAIN_MS: u32 = 100;

/// # Safety
///
/// The workqueue calls this, with a listener's work.
unsafe extern "C" fn read_work(work: *mut work_struct) {
    // SAFETY: The listener lives until the work was cancelled.
    let listener = unsafe {
        let listener: *const Listener =
            kernel::container_of!(Opaque::cast_from(work), Listener, reader);
        ArcBorrow::from_raw(listener)
    };
    let Some(config) = listener.config() else {
        return;
    };
    if !config.store.is_stale() {
        // It was a handshake that has begun before they were read last.
        return;
    }
    // SAFETY: The listener has a reference to its socket.
    let read = unsafe { memory::charged_to(listener.sk, || config.reload()) };
    // If it can't be read, what is linked in it no more is not used all the same.
    let Ok(new) = read else { return };
    // The old configuration goes when the socket is released: accept() does not wait for RCU.
    let mut _old = None;
    // SAFETY: The listener has a reference to its socket.
    unsafe {
        bindings::tls_hs_lock_sock(listener.sk);
        // A process may have set TLS_HS meanwhile.
        if listener
            .config()
            .is_some_and(|now| Arc::ptr_eq(&now, &config))
        {
            _old = Some(listener.config.replace(Some(new)));
        }
        bindings::release_sock(listener.sk);
    }
}

/// `sk_data_ready` of a listener. TCP also calls it for every child that it has made; those are not
/// on the accept queue yet, and nobody shall be woken for them.
///
/// # Safety
///
/// TCP calls this, for a listener.
unsafe extern "C" fn data_ready(sk: *mut sock) {
    // SAFETY: The caller holds a reference to the socket or is inside RCU.
    unsafe {
        if let Some(listener) = Listener::of(sk) {
            if let Some(original) = listener.original_data_ready {
                if !queue::is_empty(sk) {
                    original(sk);
                }
            }
        }
    }
}

type CopyOptions = Option<unsafe extern "C" fn(newsk: *mut sock, sk: *const sock)>;

/// `icsk_af_ops->syn_recv_sock` of a listener: makes the socket of a connection whose three-way
/// handshake is over, and keeps it off the accept queue.
///
/// # Safety
///
/// TCP calls this, for a listener.
unsafe extern "C" fn syn_recv_sock(
    sk: *const sock,
    skb: *mut sk_buff,
    req: *mut request_sock,
    dst: *mut dst_entry,
    req_unhash: *mut request_sock,
    own_req: *mut bool,
    opt_child_init: CopyOptions,
) -> *mut sock {
    // SAFETY: TCP calls this in SoftIRQ, inside RCU, with valid arguments.
    unsafe {
        let Some(listener) = Listener::of(sk) else {
            return refuse(sk, dst, Counter::ListenerClosed);
        };
        let Some(original) = (*listener.original_af).syn_recv_sock else {
            return refuse(sk, dst, Counter::ListenerClosed);
        };
        if listener.is_dead() {
            return refuse(sk, dst, Counter::ListenerClosed);
        }
        if bindings::tls_hs_is_syn(skb) {
            // TCP fast open: the data would come before the three-way handshake is over. Without a
            // socket TCP goes on as if the option had not been there.
            bindings::dst_release(dst);
            return core::ptr::null_mut();
        }
        if listener.pending().lock().count() >= Sysctls::of(sk).get(Sysctl::MaxPending) {
            return refuse(sk, dst, Counter::PendingFull);
        }
        // What is refused below is given back by drops.
        let source = match Source::admit(sk, req) {
            Ok(source) => source,
            Err(why) => return refuse(sk, dst, why),
        };
        let Some(memory) = Charge::new(sk, Prepared::memory(req)) else {
            return refuse(sk, dst, Counter::MemoryFull);
        };
        let Some(prepared) = Prepared::new(listener.into(), req, source, memory) else {
            return refuse(sk, dst, Counter::NoMemory);
        };
        if !bindings::try_module_get(this_module()) {
            return refuse(sk, dst, Counter::NoMemory);
        }
        let child = original(sk, skb, req, dst, req_unhash, own_req, opt_child_init);
        if child.is_null() || !*own_req {
            bindings::module_put(this_module());
            return child;
        }
        prepared.attach(child);
        // Stock code then leaves the child off the accept queue.
        if req_unhash.is_null() {
            // Of a syncookie: nobody else has the request.
            bindings::tls_hs_keep_off_queue(req);
        } else {
            // Another CPU may be answering a copy of the SYN with the request, so it may not be
            // marked. It is over, though, and TCP is told that another CPU was faster to end it:
            // it unlocks the child, puts its own reference, and looks up again whose segment this
            // is. The reference of the accept queue stays.
            bindings::tls_hs_request_done(req);
            *own_req = false;
        }
        child
    }
}

/// Drops the connection's ACK, as TCP does on its own overflows: the client sends it again.
///
/// # Safety
///
/// As in [`syn_recv_sock`].
unsafe fn refuse(sk: *const sock, dst: *mut dst_entry, why: Counter) -> *mut sock {
    // SAFETY: By the requirement.
    unsafe {
        Stats::of(sk).count(why);
        log::limit(sk, why);
        bindings::tls_hs_listendrop(sk);
        bindings::dst_release(dst);
    }
    core::ptr::null_mut()
}
