// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of what the glue needs of the kernel: sockets and their receive queues, the "tls"
//! ULP, keys, library cryptography, counters.
//!
//! All unsafe code of the glue is here. The modules below know *how* something is done in the
//! kernel; what is done, and when, is decided by their callers: [`crate::listener`] for what a
//! listening socket serves, [`crate::driver`] for what becomes of a connection.
//!
//! A socket's way through these modules:
//!
//! ```text
//!  TCP_ULP "tls"          ulp      the socket gets our proto_ops
//!  SOL_TLS/TLS_HS         listen   the socket gets our syn_recv_sock()
//!  SYN, ACK               listen   a child is made and kept off the accept queue
//!  data, space, FIN, RST  child    callbacks in SoftIRQ run the handshake on a stream
//!  handshake over         queue    the child goes on the accept queue
//!  accept()               ulp      ours comes off the child, ktls puts kTLS on it
//! ```

#![allow(unsafe_code)]

/// What bindgen makes of bindings_helper.h.
#[allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]
mod bindings {
    use kernel::ffi;
    type __kernel_size_t = usize;
    type __kernel_ssize_t = isize;
    type __kernel_ptrdiff_t = isize;
    include!(env!("TLS_HS_BINDINGS"));
}

pub(crate) mod child;
pub(crate) mod crypto;
mod diag;
mod disarm;
pub(crate) mod errno;
pub(crate) mod key;
pub(crate) mod ktls;
pub(crate) mod latency;
mod list;
pub(crate) mod listen;
mod lock;
mod log;
mod memory;
pub(crate) mod net;
pub(crate) mod percpu;
mod queue;
pub(crate) mod rcu;
pub(crate) mod session;
pub(crate) mod source;
pub(crate) mod stat;
pub(crate) mod stream;
pub(crate) mod sysctl;
mod trace;
pub(crate) mod uapi;
pub(crate) mod ulp;
pub(crate) mod work;

use core::cell::UnsafeCell;
use kernel::prelude::*;

/// A `static` that the kernel's C code writes to or keeps pointers into.
///
/// # Invariants
///
/// Rust code takes no reference to the contents: it goes through [`CStatic::get`] and observes the
/// locking of the C side.
#[repr(transparent)]
struct CStatic<T>(UnsafeCell<T>);

// SAFETY: Only raw pointers are handed out, see the invariants.
unsafe impl<T> Sync for CStatic<T> {}

impl<T> CStatic<T> {
    /// All bytes zero, as C's statics are.
    ///
    /// # Safety
    ///
    /// `T` is a C structure for which all zeros is a valid value.
    const unsafe fn zeroed() -> Self {
        // SAFETY: By the safety requirement.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    const fn get(&self) -> *mut T {
        self.0.get()
    }
}

/// `THIS_MODULE`, for the C structures that name their owner.
fn this_module() -> *mut bindings::module {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_this_module() }
}

/// Where public-key operations are done until the sysctl says otherwise: a module parameter.
pub(crate) fn initial_mode() -> u32 {
    // SAFETY: No requirement.
    unsafe { bindings::tls_hs_initial_mode() }
}

/// A message of the kernel's own, with one buffer that is read (ITER_SOURCE) or written (ITER_DEST).
///
/// # Safety
///
/// The message is used only while `vec` and its buffer live.
unsafe fn message(vec: &bindings::kvec, direction: u32) -> bindings::msghdr {
    // SAFETY: All zeros is a valid msghdr; the iterator keeps a pointer to `vec`, see the requirement.
    unsafe {
        let mut msg = core::mem::MaybeUninit::<bindings::msghdr>::zeroed().assume_init();
        bindings::iov_iter_kvec(&mut msg.msg_iter, direction, vec, 1, vec.iov_len);
        msg
    }
}

/// A negative errno as `Result`.
fn to_result(err: kernel::ffi::c_int) -> Result {
    kernel::error::to_result(err)
}
