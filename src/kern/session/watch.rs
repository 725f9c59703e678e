// SPDX-License-Identifier: GPL-2.0

//! What the client sends to a program that reads no more: taken in when it comes.
//!
//! An entry in the socket's wait queue, as epoll's, queues work that does what a read would do. Only
//! sockets that are shut down for reading have one.
//!
//! # Locking
//!
//! The entry's function runs in any context, under the lock of the wait queue.

use super::super::bindings::{self, delayed_work, socket, wait_queue_entry, work_struct};
use super::super::work;
use super::{SessionSocket, RETRY_MS};
use core::ffi::c_void;
use core::ptr::NonNull;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Full};
use kernel::types::Opaque;

/// What waits for a socket to be readable.
///
/// # Invariants
///
/// `entry` is in the socket's wait queue if `on` is not 0. It is taken out and `work` cancelled
/// before the socket is released.
#[pin_data]
pub(super) struct Watch {
    #[pin]
    entry: Opaque<wait_queue_entry>,
    #[pin]
    work: Opaque<delayed_work>,
    socket: *mut socket,
    on: Atomic<i32>,
}

impl Watch {
    pub(super) fn new(socket: *mut socket) -> impl PinInit<Self> {
        pin_init!(Self {
            entry <- Opaque::uninit(),
            work <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is writable and pinned.
                unsafe { bindings::tls_hs_init_session_work(work, Some(discard_work)) }
            }),
            socket,
            on: Atomic::new(0),
        })
    }

    /// From here on what comes is discarded. What is there already is the caller's business.
    pub(super) fn start(&self) {
        if self.on.xchg(1, Full) == 0 {
            // SAFETY: The entry is pinned, and taken out before the socket is released.
            unsafe { bindings::tls_hs_watch(self.socket, self.entry.get(), Some(wake)) };
        }
    }

    /// Nothing is discarded any more. Process context, before the socket is released.
    pub(super) fn stop(&self) {
        // SAFETY: By the invariants; nobody can queue the work once the entry is out.
        unsafe {
            if self.on.xchg(0, Full) != 0 {
                bindings::tls_hs_unwatch(self.socket, self.entry.get());
            }
            bindings::cancel_delayed_work_sync(self.work.get());
        }
    }
}

/// A reference to a socket's file.
struct File(NonNull<bindings::file>);

impl File {
    /// `None` if the last reference is gone.
    ///
    /// # Safety
    ///
    /// `socket` is not freed.
    unsafe fn of(socket: *mut socket) -> Option<Self> {
        // SAFETY: By the requirement; the reference is only taken while there is another.
        NonNull::new(unsafe { bindings::get_file_active(&raw mut (*socket).file) }).map(Self)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: The reference is ours. In a kernel thread the last one is put later, by another.
        unsafe { bindings::fput(self.0.as_ptr()) }
    }
}

/// # Safety
///
/// The wait queue calls this, with the entry of a [`Watch`].
unsafe extern "C" fn wake(
    entry: *mut wait_queue_entry,
    _mode: c_uint,
    _flags: c_int,
    key: *mut c_void,
) -> c_int {
    // SAFETY: The entry is a field of a `Watch` that lives as long as the entry is in the queue.
    unsafe {
        if bindings::tls_hs_wakes_reader(key) {
            let watch: *const Watch = kernel::container_of!(Opaque::cast_from(entry), Watch, entry);
            work::SESSIONS.add_delayed((*watch).work.get(), 0);
        }
    }
    0
}

/// # Safety
///
/// The workqueue calls this, with the work of a [`Watch`].
unsafe extern "C" fn discard_work(work: *mut work_struct) {
    // SAFETY: The work is the first member of a watch's delayed_work; the socket is not released
    // before the work was cancelled.
    unsafe {
        let delayed = kernel::container_of!(work, delayed_work, work);
        let watch: *const Watch = kernel::container_of!(Opaque::cast_from(delayed), Watch, work);
        // Keys may change here, and kTLS's table be in the socket for a moment: as in a call of the
        // program's, nobody may release it then. Who is about to, does by himself what this does.
        let Some(_file) = File::of((*watch).socket) else {
            return;
        };
        let socket = SessionSocket::of((*watch).socket);
        match socket.keep_error(|| socket.session().discard_some(&socket)) {
            Ok(true) => work::SESSIONS.add_delayed(delayed, 0),
            Err(err) if err == ENOMEM => work::SESSIONS.add_delayed(delayed, RETRY_MS),
            // What is wrong is said by the next call.
            _ => {}
        }
    }
}
