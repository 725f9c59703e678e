// SPDX-License-Identifier: GPL-2.0

//! The files of /proc/sys/net/tls_hs, and their values.

use super::bindings::{self, ctl_table, ctl_table_header, net, sock};
use super::net::Namespace;
use super::CStatic;
use crate::sysctl::{Scope, Sysctl, ENTRIES};
use core::ffi::c_void;
use core::marker::PhantomData;
use kernel::prelude::*;

const PATH: &CStr = c"net/tls_hs";

/// The values of [`Scope::Machine`].
static MACHINE: CStatic<[u32; ENTRIES.len()]> = {
    // SAFETY: All zeros is a valid array of integers.
    unsafe { CStatic::zeroed() }
};

/// The settings of a network namespace, and their files.
///
/// # Invariants
///
/// While `header` is not null the files are there, and refer to `values` and `files`.
#[repr(C)]
pub(super) struct Settings {
    values: [u32; ENTRIES.len()],
    files: [ctl_table; ENTRIES.len()],
    header: *mut ctl_table_header,
}

impl Settings {
    /// Gives everything its default and makes the files. Process context.
    ///
    /// # Safety
    ///
    /// `this` is writable and stays where it is until [`Settings::exit`]; `net` is being set up.
    pub(super) unsafe fn init(this: *mut Self, net: *mut net) -> Result {
        // SAFETY: By the requirement; nobody else knows the memory yet. What the files point to
        // lives as long as they: the namespace's values, and statics, which proc_douintvec_minmax()
        // only reads as far as they are bounds.
        unsafe {
            let initial = net == &raw mut bindings::init_net;
            let mut files = (&raw mut (*this).files).cast::<ctl_table>();
            let mut value = (&raw mut (*this).values).cast::<u32>();
            let mut machine = MACHINE.get().cast::<u32>();
            let mut len = 0usize;
            for entry in &ENTRIES {
                value.write(entry.default);
                let data = match entry.scope {
                    Scope::Namespace => Some(value),
                    Scope::Machine if initial => {
                        machine.write_volatile(entry.default);
                        Some(machine)
                    }
                    Scope::Machine => None,
                };
                if let Some(data) = data {
                    files.write(ctl_table {
                        procname: entry.name.as_char_ptr().cast(),
                        data: data.cast(),
                        maxlen: size_of::<u32>() as i32,
                        mode: 0o644,
                        proc_handler: Some(bindings::proc_douintvec_minmax),
                        extra1: (&raw const entry.min).cast::<c_void>().cast_mut(),
                        extra2: (&raw const entry.max).cast::<c_void>().cast_mut(),
                        ..Default::default()
                    });
                    files = files.wrapping_add(1);
                    len = len.wrapping_add(1);
                }
                value = value.wrapping_add(1);
                machine = machine.wrapping_add(1);
            }
            let header = bindings::register_net_sysctl_sz(
                net,
                PATH.as_char_ptr().cast(),
                (&raw mut (*this).files).cast(),
                len,
            );
            (*this).header = header;
            if header.is_null() {
                return Err(ENOMEM);
            }
        }
        Ok(())
    }

    /// Removes the files, and waits for who is using them. Process context.
    ///
    /// # Safety
    ///
    /// [`Settings::init`] succeeded.
    pub(super) unsafe fn exit(this: *mut Self) {
        // SAFETY: By the requirement.
        unsafe { bindings::unregister_net_sysctl_table((*this).header) }
    }
}

/// Reads the settings that count for a socket.
pub(crate) struct Sysctls<'a> {
    values: *const u32,
    socket: PhantomData<&'a sock>,
}

impl<'a> Sysctls<'a> {
    /// # Safety
    ///
    /// `sk` is valid during `'a`, and so its namespace.
    pub(super) unsafe fn of(sk: *const sock) -> Self {
        // SAFETY: By the requirement.
        let values = unsafe {
            let namespace = Namespace::of(bindings::tls_hs_sock_net(sk));
            (&raw const (*namespace).settings.values).cast()
        };
        Self {
            values,
            socket: PhantomData,
        }
    }

    /// The present value. Any context.
    pub(crate) fn get(&self, what: Sysctl) -> u32 {
        let index = what as usize;
        if let Some(Scope::Machine) = ENTRIES.get(index).map(|entry| entry.scope) {
            return machine(what);
        }
        // SAFETY: `index` is below the number of entries; files are written to at any time, a word
        // at once.
        unsafe { self.values.wrapping_add(index).read_volatile() }
    }
}

/// The place of a value of [`Scope::Machine`].
fn machine_value(what: Sysctl) -> *mut u32 {
    MACHINE.get().cast::<u32>().wrapping_add(what as usize)
}

/// The present value of a setting of [`Scope::Machine`]. Any context.
pub(crate) fn machine(what: Sysctl) -> u32 {
    // SAFETY: The array has all entries; files are written to at any time, a word at once.
    unsafe { machine_value(what).read_volatile() }
}

/// Sets a setting of [`Scope::Machine`] to something within its bounds. Any context.
pub(crate) fn set_machine(what: Sysctl, value: u32) {
    // SAFETY: As in machine().
    unsafe { machine_value(what).write_volatile(value) }
}
