// SPDX-License-Identifier: GPL-2.0

//! What the module keeps in each network namespace.

use super::bindings::{self, net, pernet_operations};
use super::stat::Counters;
use super::sysctl::Settings;
use super::{to_result, CStatic};
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::Atomic;

// SAFETY: All zeros is a valid pernet_operations.
static OPS: CStatic<pernet_operations> = unsafe { CStatic::zeroed() };

/// Where a namespace keeps our [`Namespace`]; written by register_pernet_subsys().
static ID: CStatic<c_uint> = CStatic(core::cell::UnsafeCell::new(0));

/// What we keep in a network namespace. It does not move, and all of it is zero at first.
#[repr(C)]
pub(super) struct Namespace {
    pub(super) counters: Counters,
    pub(super) settings: Settings,
    /// Bytes that handshakes hold.
    pub(super) memory: Atomic<i64>,
}

impl Namespace {
    /// # Safety
    ///
    /// `net` is valid, between our `init` and `exit` for it.
    pub(super) unsafe fn of(net: *const net) -> *mut Self {
        // SAFETY: By the requirement; the identity does not change after registration.
        unsafe { bindings::tls_hs_net_generic(net, *ID.get()).cast() }
    }
}

/// Every network namespace has a [`Namespace`] while this lives.
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
        // SAFETY: Registered by new(); no socket of ours is left.
        unsafe { bindings::unregister_pernet_subsys(OPS.get()) }
    }
}

/// # Safety
///
/// The network namespace code calls this.
unsafe extern "C" fn init(net: *mut net) -> c_int {
    // SAFETY: The namespace is being set up; what we store there is ours, and stays.
    unsafe {
        let this = Namespace::of(net);
        if let Err(err) = Counters::init(&raw mut (*this).counters, net) {
            return err.to_errno();
        }
        if let Err(err) = Settings::init(&raw mut (*this).settings, net) {
            Counters::exit(&raw mut (*this).counters, net);
            return err.to_errno();
        }
    }
    0
}

/// # Safety
///
/// The network namespace code calls this.
unsafe extern "C" fn exit(net: *mut net) {
    // SAFETY: The namespace's sockets are gone; init() succeeded.
    unsafe {
        let this = Namespace::of(net);
        Settings::exit(&raw mut (*this).settings);
        Counters::exit(&raw mut (*this).counters, net);
    }
}
