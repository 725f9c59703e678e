// SPDX-License-Identifier: GPL-2.0

//! Counters of a network namespace, and /proc/net/tls_hs_stat.

use super::bindings::{self, net, seq_file, sock};
use super::net::Namespace;
use crate::stat::Count;
use core::ffi::c_void;
use core::marker::PhantomData;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::seq_print;

const FILE: &CStr = c"tls_hs_stat";
const GAUGES_FILE: &CStr = c"tls_hs_sockets";

/// What there is at the moment, and keeps the module from being unloaded.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Gauge {
    /// Sockets with the ULP that are not connected.
    Listeners,
    /// Connections that `accept()` has not returned.
    Pending,
    /// Accepted connections whose handshake the kernel has done.
    Connections,
}

impl Gauge {
    /// How many there are.
    pub(super) const TOTAL: usize = 3;
    /// In the order of the values.
    pub(super) const NAMES: [&'static CStr; Self::TOTAL] =
        [c"listeners", c"pending", c"connections"];

    /// Place of the gauge behind the counters.
    const fn index(self) -> usize {
        Count::TOTAL + self as usize
    }
}

/// The gauges, of all network namespaces together. Process context.
pub(super) fn totals() -> [i64; Gauge::TOTAL] {
    let mut sum = Sum {
        visitor: bindings::tls_hs_net_visitor { visit: Some(add) },
        totals: [0; Gauge::TOTAL],
    };
    // SAFETY: The namespaces on the list are ones between our `init` and `exit`; add() gets what it
    // expects.
    unsafe { bindings::tls_hs_visit_nets((&raw mut sum).cast()) };
    sum.totals
}

#[repr(C)]
struct Sum {
    visitor: bindings::tls_hs_net_visitor,
    totals: [i64; Gauge::TOTAL],
}

/// # Safety
///
/// `visitor` is that of a [`Sum`]; `net` is on the list of namespaces.
unsafe extern "C" fn add(visitor: *mut bindings::tls_hs_net_visitor, net: *const net) {
    // SAFETY: By the requirement.
    unsafe {
        let sum = &mut *visitor.cast::<Sum>();
        let counters = (*Namespace::of(net)).counters.0;
        for (at, total) in sum.totals.iter_mut().enumerate() {
            *total = total.wrapping_add(gauge(counters, at));
        }
    }
}

/// # Safety
///
/// `counters` are a namespace's.
unsafe fn gauge(counters: *const u64, at: usize) -> i64 {
    // SAFETY: By the requirement. A gauge goes up on one CPU and down on another: only the sum, modulo
    // 2^64, has a meaning.
    unsafe { bindings::tls_hs_sum(counters, Count::TOTAL.wrapping_add(at) as c_uint) as i64 }
}

/// The counters and gauges of a network namespace, per CPU, and their files.
#[repr(transparent)]
pub(super) struct Counters(*mut u64);

impl Counters {
    /// Process context.
    ///
    /// # Safety
    ///
    /// `this` is writable; `net` is being set up.
    pub(super) unsafe fn init(this: *mut Self, net: *mut net) -> Result {
        // SAFETY: By the requirement.
        unsafe {
            let counters = bindings::tls_hs_alloc_counters((Count::TOTAL + Gauge::TOTAL) as c_uint);
            if counters.is_null() {
                return Err(ENOMEM);
            }
            this.write(Self(counters));
            let proc_net = bindings::tls_hs_proc_net(net);
            let create = |name: &CStr, show| {
                let name = name.as_char_ptr().cast();
                bindings::proc_create_net_single(name, 0o444, proc_net, show, core::ptr::null_mut())
            };
            let made = !create(FILE, Some(show)).is_null();
            if !made || create(GAUGES_FILE, Some(show_gauges)).is_null() {
                if made {
                    bindings::remove_proc_entry(FILE.as_char_ptr().cast(), proc_net);
                }
                bindings::free_percpu(counters.cast::<c_void>());
                return Err(ENOMEM);
            }
        }
        Ok(())
    }

    /// Process context.
    ///
    /// # Safety
    ///
    /// [`Counters::init`] succeeded, and nobody counts any more.
    pub(super) unsafe fn exit(this: *mut Self, net: *mut net) {
        // SAFETY: By the requirement.
        unsafe {
            for file in [FILE, GAUGES_FILE] {
                let proc_net = bindings::tls_hs_proc_net(net);
                bindings::remove_proc_entry(file.as_char_ptr().cast(), proc_net);
            }
            bindings::free_percpu((*this).0.cast());
        }
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
        let counters = (*Namespace::of(bindings::tls_hs_seq_net(m))).counters.0;
        let file = SeqFile::from_raw(m.cast());
        for count in 0..Count::TOTAL {
            let value = bindings::tls_hs_sum(counters, count as c_uint);
            seq_print!(file, "{:<32}\t{}\n", Count::name(count), value);
        }
    }
    0
}

/// Prints a line per gauge: name and value.
///
/// # Safety
///
/// seq_file calls this, for our file.
unsafe extern "C" fn show_gauges(m: *mut seq_file, _: *mut c_void) -> c_int {
    // SAFETY: seq_file passes a valid file of a namespace that is kept alive by its opener.
    unsafe {
        let counters = (*Namespace::of(bindings::tls_hs_seq_net(m))).counters.0;
        let file = SeqFile::from_raw(m.cast());
        for (at, name) in Gauge::NAMES.iter().enumerate() {
            let name = name.to_str().unwrap_or_default();
            seq_print!(file, "{:<32}\t{}\n", name, gauge(counters, at));
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
        let counters = unsafe { (*Namespace::of(bindings::tls_hs_sock_net(sk))).counters.0 };
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

    /// There is one more. Any context.
    pub(super) fn enter(&self, gauge: Gauge) {
        // SAFETY: By the type's construction; the gauges are behind the counters.
        unsafe { bindings::tls_hs_count(self.counters, gauge.index() as c_uint) }
    }

    /// There is one less. Any context.
    pub(super) fn leave(&self, gauge: Gauge) {
        // SAFETY: As above.
        unsafe { bindings::tls_hs_uncount(self.counters, gauge.index() as c_uint) }
    }
}
