// SPDX-License-Identifier: GPL-2.0

//! Children whose handshakes wait for a public-key operation: a queue per CPU, and who works on it.
//!
//! ```text
//!   data_ready(), …            queue of this CPU              softirq work (SoftIRQ)
//!   the engine asks for   ──>  begun: ─┐           ┌──────>  up to the budget ──┐
//!   an operation               new:   ─┴─> batch ──┤               │ the rest,  │ answers go on to
//!      │                        │                  │               v or blocked │ the client
//!      └── new, and too many ───┘ shed: reset      └──────>  thread (process)  ─┘
//!          or too old ones wait
//! ```
//!
//! A queue has at most one owner at a time: the bottom half or the thread. The owner, and nobody
//! else, touches the batch. A child that comes makes an owner if there is none, so that none is
//! left behind; an owner that finds queue and batch empty stops being it, both under the queue's
//! lock.
//!
//! In mode `softirq` the bottom half comes back for what is left when its budget is used up, in
//! `hybrid` the thread then takes over until the queue is empty, in `threads` it does all. In any
//! mode the thread takes over when a socket is owned by a process: it can wait for it.
//!
//! # Locking
//!
//! A queue's lock, taken with bottom halves disabled, protects its lists, the links of the children
//! on them, and who owns it. It nests inside the socket lock.
//!
//! The queue and the batch hold a reference to the socket, not to the child. A child that dies
//! takes itself off its queue. One that the batch has taken already is looked up again through its
//! socket, under the socket lock, and may be gone.

use super::batch::{Batch, Context};
use super::Child;
use crate::driver::Class;
use crate::kern::bindings::{
    self, kthread_work, kthread_worker, sock, work_struct, workqueue_struct,
};
use crate::kern::list::{Linked, Links, List};
use crate::kern::lock::BhLock;
use crate::kern::percpu::BhDisabled;
use crate::kern::rcu::RcuArc;
use crate::kern::sysctl::machine;
use crate::kern::work;
use crate::sysctl::Sysctl;
use core::cell::UnsafeCell;
use core::pin::Pin;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::types::Opaque;

/// A child's place in a queue.
pub(super) struct Place {
    links: Links<Child>,
    /// Where it was last; null if it never waited.
    queue: *const Queue,
    class: Class,
    /// Milliseconds.
    since: u32,
}

impl Place {
    pub(super) const fn new() -> Self {
        Self {
            links: Links::new(),
            queue: core::ptr::null(),
            class: Class::New,
            since: 0,
        }
    }
}

/// The kind of list that [`Queue`] has.
struct Waits;

// SAFETY: The links are the field `place.links`, which only lists of this kind change.
unsafe impl Linked<Waits> for Child {
    unsafe fn links(this: *mut Self) -> *mut Links<Self> {
        // SAFETY: By the requirement.
        unsafe { &raw mut (*this).place.links }
    }
}

/// Who works on a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    SoftIrq,
    Thread,
}

/// Who shall.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The bottom half, and again for what it does not manage.
    SoftIrq,
    /// The thread.
    Threads,
    /// The bottom half, and the thread for what it does not manage.
    Hybrid,
}

fn mode() -> Mode {
    match machine(Sysctl::Mode) {
        0 => Mode::SoftIrq,
        1 => Mode::Threads,
        _ => Mode::Hybrid,
    }
}

/// What is waiting on one CPU.
struct Waiting {
    begun: List<Child, Waits>,
    new: List<Child, Waits>,
    owner: Owner,
}

impl Waiting {
    const fn new() -> Self {
        Self {
            begun: List::new(),
            new: List::new(),
            owner: Owner::Nobody,
        }
    }

    fn list(&mut self, class: Class) -> &mut List<Child, Waits> {
        match class {
            Class::Begun => &mut self.begun,
            Class::New => &mut self.new,
        }
    }

    /// Whether a new full handshake would have to wait too long.
    fn is_long(&self, now: u32) -> bool {
        let too_old = |first: core::ptr::NonNull<Child>| {
            // SAFETY: Members of the list are valid.
            let since = unsafe { (*first.as_ptr()).place.since };
            now.wrapping_sub(since) >= machine(Sysctl::MaxBacklogMs)
        };
        self.new.count() >= machine(Sysctl::MaxBacklog) || self.new.first().is_some_and(too_old)
    }

    /// Takes the next off its list. One that begins lets those that have begun go first, but for
    /// the `last` place of a batch, so that these can't keep it waiting for ever.
    ///
    /// The caller gets the list's reference to the socket.
    fn pop(&mut self, last: bool) -> Option<*mut sock> {
        let (begun, new) = (self.begun.first(), self.new.first());
        let child = match last {
            false => begun.or(new),
            true => new.or(begun),
        }?;
        // SAFETY: Members of the lists are valid.
        unsafe {
            let class = (*child.as_ptr()).place.class;
            self.list(class).remove(child.as_ptr());
            Some((*child.as_ptr()).sk)
        }
    }
}

/// The queue of one CPU.
///
/// # Invariants
///
/// If there is somebody on a list or in `batch`, the owner is not [`Owner::Nobody`]. If the owner is
/// the bottom half or the thread, its work is queued or running. `batch` is the owner's.
#[pin_data]
pub(super) struct Queue {
    #[pin]
    softirq_work: Opaque<work_struct>,
    #[pin]
    thread_work: Opaque<kthread_work>,
    #[pin]
    waiting: BhLock<Waiting>,
    batch: UnsafeCell<Batch>,
    softirq: *mut workqueue_struct,
    /// A reference to the thread.
    thread: *mut kthread_worker,
}

// SAFETY: The lists are behind the lock, the batch is its owner's, the pointers do not change.
unsafe impl Send for Queue {}
// SAFETY: As above.
unsafe impl Sync for Queue {}

impl Queue {
    fn new(softirq: *mut workqueue_struct, cpu: u32) -> Result<Pin<KBox<Self>>> {
        // SAFETY: No requirement; process context.
        let thread = unsafe { bindings::tls_hs_thread_create(cpu) };
        let thread = kernel::error::from_err_ptr(thread)?;
        let queue = KBox::pin_init(
            pin_init!(Self {
                softirq_work <- Opaque::ffi_init(|work| {
                    // SAFETY: `work` is writable and pinned.
                    unsafe { bindings::tls_hs_init_softirq_work(work, Some(softirq_work)) }
                }),
                thread_work <- Opaque::ffi_init(|work| {
                    // SAFETY: `work` is writable and pinned.
                    unsafe { bindings::tls_hs_init_thread_work(work, Some(thread_work)) }
                }),
                waiting <- BhLock::new(
                    Waiting::new(),
                    c"tls_hs_waiting",
                    kernel::static_lock_class!(),
                ),
                batch: UnsafeCell::new(Batch::new()),
                softirq,
                thread,
            }),
            GFP_KERNEL,
        );
        if queue.is_err() {
            // SAFETY: The thread is ours.
            unsafe { bindings::kthread_destroy_worker(thread) }
        }
        queue
    }

    /// Starts the owner's work.
    fn start(&self, owner: Owner) {
        // SAFETY: Both works are initialised and live until they have run: see `Queues::drop()`.
        unsafe {
            match owner {
                Owner::Nobody => {}
                Owner::SoftIrq => {
                    bindings::tls_hs_queue_work(self.softirq, self.softirq_work.get());
                }
                Owner::Thread => {
                    bindings::kthread_queue_work(self.thread, self.thread_work.get());
                }
            }
        }
    }

    /// Gives the queue to another owner. Owner only.
    fn pass(&self, owner: Owner) {
        self.waiting.lock().owner = owner;
        self.start(owner);
    }

    /// Fills the free places of the batch; false if nobody is left: then the caller is the owner no
    /// more. Owner only.
    fn fill(&self) -> bool {
        let mut waiting = self.waiting.lock();
        // SAFETY: The caller is the owner.
        let batch = unsafe { &mut *self.batch.get() };
        let some = batch.fill(|last| waiting.pop(last));
        if !some {
            waiting.owner = Owner::Nobody;
        }
        some
    }

    /// Puts the child at the end of the queue; false if it is to be refused.
    ///
    /// # Safety
    ///
    /// Bottom halves are disabled. The child is attached, in no queue, and its socket locked.
    unsafe fn push(&self, child: *mut Child, class: Class) -> bool {
        let now = work::now_ms();
        let owner = {
            let mut waiting = self.waiting.lock();
            if class == Class::New && waiting.is_long(now) {
                return false;
            }
            // SAFETY: By the requirement. The reference is the queue's.
            let owned = unsafe {
                let place = &mut (*child).place;
                place.queue = self;
                place.class = class;
                place.since = now;
                bindings::tls_hs_sock_hold((*child).sk);
                waiting.list(class).push(child);
                bindings::tls_hs_sock_owned((*child).sk)
            };
            if waiting.owner != Owner::Nobody {
                return true;
            }
            waiting.owner = match owned || mode() == Mode::Threads {
                true => Owner::Thread,
                false => Owner::SoftIrq,
            };
            waiting.owner
        };
        self.start(owner);
        true
    }

    /// Works in SoftIRQ until the queue is empty or the time is up.
    fn run_softirq(&self) {
        let start = work::now_us();
        let budget = machine(Sysctl::SoftirqBudgetUs);
        let mut begun = false;
        let mut go_on =
            || !core::mem::replace(&mut begun, true) || work::now_us().wrapping_sub(start) < budget;
        let mut over = false;
        // Nobody is woken for an empty queue.
        while self.fill() {
            match mode() {
                Mode::Threads => return self.pass(Owner::Thread),
                Mode::Hybrid if over => return self.pass(Owner::Thread),
                Mode::SoftIrq if over => return self.pass(Owner::SoftIrq),
                Mode::SoftIrq | Mode::Hybrid => {}
            }
            // SAFETY: We are the owner.
            let batch = unsafe { &mut *self.batch.get() };
            // SAFETY: SoftIRQ; the references in the batch are its own.
            if unsafe { batch.run(Context::SoftIrq, &mut go_on) } {
                return self.pass(Owner::Thread);
            }
            over = !go_on();
        }
    }

    /// Works in the thread until the queue is empty.
    fn run_thread(&self) {
        while self.fill() {
            // SAFETY: We are the owner.
            let batch = unsafe { &mut *self.batch.get() };
            // SAFETY: Process context, no lock held; the references in the batch are its own.
            unsafe { batch.run(Context::Thread, &mut || true) };
            work::relax();
            if mode() == Mode::SoftIrq {
                return self.pass(Owner::SoftIrq);
            }
        }
    }
}

/// # Safety
///
/// The workqueue calls this in SoftIRQ, with the work of a queue that the bottom half owns.
unsafe extern "C" fn softirq_work(work: *mut work_struct) {
    // SAFETY: The work is a field of a queue, which lives until its works have run.
    unsafe {
        let queue: *const Queue =
            kernel::container_of!(Opaque::cast_from(work), Queue, softirq_work);
        (*queue).run_softirq();
    }
}

/// # Safety
///
/// The queue's thread calls this, with the work of a queue that the thread owns.
unsafe extern "C" fn thread_work(work: *mut kthread_work) {
    // SAFETY: The work is a field of a queue, which lives until its works have run.
    unsafe {
        let queue: *const Queue =
            kernel::container_of!(Opaque::cast_from(work), Queue, thread_work);
        (*queue).run_thread();
    }
}

/// The queues of all possible CPUs.
pub(super) struct Queues {
    softirq: *mut workqueue_struct,
    queues: KVec<Option<Pin<KBox<Queue>>>>,
}

// SAFETY: The pointer does not change.
unsafe impl Send for Queues {}
// SAFETY: As above.
unsafe impl Sync for Queues {}

static QUEUES: RcuArc<Queues> = RcuArc::none();

impl Queues {
    fn new() -> Result<Self> {
        // SAFETY: The name is a C string; no other requirement.
        let (softirq, cpus) = unsafe {
            (
                bindings::tls_hs_alloc_bh_workqueue(c"tls_hs_softirq".as_char_ptr().cast()),
                bindings::tls_hs_cpu_ids(),
            )
        };
        if softirq.is_null() {
            return Err(ENOMEM);
        }
        let mut this = Self {
            softirq,
            queues: KVec::new(),
        };
        for cpu in 0..cpus {
            // SAFETY: No requirement.
            let queue = match unsafe { bindings::tls_hs_cpu_possible(cpu) } {
                true => Some(Queue::new(softirq, cpu)?),
                false => None,
            };
            this.queues.push(queue, GFP_KERNEL)?;
        }
        Ok(this)
    }

    /// The queue of this CPU.
    fn this_cpu(&self, _bh: &BhDisabled) -> Option<&Queue> {
        // SAFETY: No requirement; bottom halves are disabled, so the CPU does not change.
        let cpu = unsafe { bindings::tls_hs_cpu() } as usize;
        Some(self.queues.get(cpu)?.as_ref()?)
    }
}

impl Drop for Queues {
    /// Process context. No child is left, but a batch may still hold sockets.
    fn drop(&mut self) {
        for queue in self.queues.iter().flatten() {
            // SAFETY: Works and thread are valid; nobody starts them any more but they one another.
            unsafe {
                while queue.waiting.lock().owner != Owner::Nobody {
                    bindings::flush_work(queue.softirq_work.get());
                    bindings::kthread_flush_work(queue.thread_work.get());
                }
            }
        }
        // SAFETY: All is ours, and idle; waits for the last instructions of the works.
        unsafe {
            bindings::destroy_workqueue(self.softirq);
            for queue in self.queues.iter().flatten() {
                bindings::kthread_destroy_worker(queue.thread);
            }
        }
    }
}

/// Makes the queues and their threads. Process context, at load time.
pub(super) fn init() -> Result {
    QUEUES.set(Some(Arc::new(Queues::new()?, GFP_KERNEL)?));
    Ok(())
}

/// Waits for what the queues still do, and frees them. Process context, at unload time: no child is
/// left.
pub(super) fn exit() {
    QUEUES.set(None);
}

/// Lets the child wait for its public-key operation; false if it has to be refused because too many
/// do.
///
/// # Safety
///
/// `child` is attached, in no queue and no batch, and its socket locked.
pub(super) unsafe fn wait(child: *mut Child, class: Class) -> bool {
    // With bottom halves disabled the CPU stays the same, and the one that is started runs when
    // they are enabled again.
    let bh = BhDisabled::new();
    QUEUES
        .with(|queues| {
            let queue = queues.this_cpu(&bh)?;
            // SAFETY: By the requirement.
            Some(unsafe { queue.push(child, class) })
        })
        .flatten()
        .unwrap_or(false)
}

/// Takes the child off the queue that it waits in, if it does.
///
/// # Safety
///
/// `child` is attached, its socket locked, and the caller has a reference to the socket.
pub(super) unsafe fn leave(child: *mut Child) {
    // SAFETY: By the requirement; queues live as long as there are children. If the child was on a
    // list, so was a reference to its socket, which is not the last.
    unsafe {
        let Some(queue) = (*child).place.queue.as_ref() else {
            return;
        };
        let mut waiting = queue.waiting.lock();
        let class = (*child).place.class;
        if waiting.list(class).remove(child) {
            bindings::tls_hs_sock_put((*child).sk);
        }
    }
}
