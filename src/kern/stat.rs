// SPDX-License-Identifier: GPL-2.0

//! Counters of a network namespace, and /proc/net/tls_hs_stat.

use super::bindings::{self, net, pernet_operations, seq_file, sock};
use super::{to_result, CStatic};
use crate::stat::Count;
use core::ffi::c_void;
use core::marker::PhantomData;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

// SAFETY: All zeros is a valid pernet_operations.
static OPS: CStatic<pernet_operations> = unsafe { CStatic::zeroed() };

/// Where a namespace keeps our [`Namespace`]; written by register_pernet_subsys().
static ID: CStatic<c_uint> = CStatic(core::cell::UnsafeCell::new(0));

const FILE: &CStr = c"tls_hs_stat";

/// What we keep in a network namespace.
#[repr(C)]
struct Namespace {
    counters: *mut u64,
}

/// # Safety
///
/// `net` is valid, between our `init` and `exit` for it.
unsafe fn namespace(net: *const net) -> *mut Namespace {
    // SAFETY: By the requirement; the identity does not change after registration.
    unsafe { bindings::tls_hs_net_generic(net, *ID.get()).cast() }
}

/// The counters are there for every network namespace while this lives.
pub(crate) struct Registration(());

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Nobody uses the structures before they are registered.
        unsafe {
            let ops = OPS.get();
            (*ops).init = Some(init);
            (*ops).exit = Some(exit);
            (*ops).id = ID.get();
            (*ops).size = size_of::<Namespace>();
            to_result(bindings::register_pernet_subsys(ops))?;
        }
        Ok(Self(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: Registered by new(); no socket is left that counts.
        unsafe { bindings::unregister_pernet_subsys(OPS.get()) }
    }
}

/// # Safety
///
/// The network namespace code calls this.
unsafe extern "C" fn init(net: *mut net) -> c_int {
    // SAFETY: The namespace is being set up; what we store there is ours.
    unsafe {
        let counters = bindings::tls_hs_alloc_counters(Count::TOTAL as c_uint);
        if counters.is_null() {
            return ENOMEM.to_errno();
        }
        (*namespace(net)).counters = counters;
        let file = bindings::proc_create_net_single(
            FILE.as_char_ptr().cast(),
            0o444,
            bindings::tls_hs_proc_net(net),
            Some(show),
            core::ptr::null_mut(),
        );
        if file.is_null() {
            bindings::free_percpu(counters.cast::<c_void>());
            return ENOMEM.to_errno();
        }
    }
    0
}

/// # Safety
///
/// The network namespace code calls this.
unsafe extern "C" fn exit(net: *mut net) {
    // SAFETY: The namespace's sockets are gone; init() made both.
    unsafe {
        bindings::remove_proc_entry(FILE.as_char_ptr().cast(), bindings::tls_hs_proc_net(net));
        bindings::free_percpu((*namespace(net)).counters.cast());
    }
}

/// Prints a line per counter: name and value.
///
/// # Safety
///
/// seq_file calls this, for our file.
unsafe extern "C" fn show(m: *mut seq_file, _: *mut c_void) -> c_int {
    // SAFETY: seq_file passes a valid file of a namespace that is kept alive by its opener.
    unsafe {
        let counters = (*namespace(bindings::tls_hs_seq_net(m))).counters;
        let file = SeqFile::from_raw(m.cast());
        for count in 0..Count::TOTAL {
            let value = bindings::tls_hs_sum(counters, count as c_uint);
            seq_print!(file, "{:<32}\t{}\n", Count::name(count), value);
        }
    }
    0
}

/// The counters of a socket's namespace.
pub(crate) struct Stats<'a> {
    counters: *mut u64,
    socket: PhantomData<&'a sock>,
}

impl<'a> Stats<'a> {
    /// # Safety
    ///
    /// `sk` is valid during `'a`, and so its namespace.
    pub(super) unsafe fn of(sk: *const sock) -> Self {
        // SAFETY: By the requirement.
        let counters = unsafe { (*namespace(bindings::tls_hs_sock_net(sk))).counters };
        Self {
            counters,
            socket: PhantomData,
        }
    }

    /// Adds one. Any context.
    pub(crate) fn count(&self, what: impl Into<Count>) {
        // SAFETY: By the type's construction; `Count` is below its total.
        unsafe { bindings::tls_hs_count(self.counters, what.into().index() as c_uint) }
    }
}
