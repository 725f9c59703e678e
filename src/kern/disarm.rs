// SPDX-License-Identifier: GPL-2.0

//! The step before `rmmod`: the parameter `disarm` gives the name "tls" back to stock while the
//! module stays, so that no socket comes any more and none meets a module that is about to go; the
//! parameter `in_use` says what is waited for.
//!
//! # Locking
//!
//! Everything here runs in process context under `kernel_param_lock()` of this module, which the
//! kernel takes around reads and writes of parameters.

use super::stat::{self, Gauge};
use super::{bindings, key, this_module, ulp};
use kernel::ffi::{c_char, c_int};
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// The module is being loaded: the parameter counts when that is done.
const LOADING: i32 = 0;
/// As [`LOADING`], and the user does not want the front.
const LOADING_DISARMED: i32 = 1;
const ARMED: i32 = 2;
const DISARMED: i32 = 3;
/// Being unloaded.
const GONE: i32 = 4;

static STATE: Atomic<i32> = Atomic::new(LOADING);

/// Parameters can't be read or written while this lives.
struct ParamLock(());

impl ParamLock {
    fn new() -> Self {
        // SAFETY: The module is there; the drop unlocks.
        unsafe { bindings::kernel_param_lock(this_module()) };
        Self(())
    }
}

impl Drop for ParamLock {
    fn drop(&mut self) {
        // SAFETY: Locked by new().
        unsafe { bindings::kernel_param_unlock(this_module()) }
    }
}

/// Puts the front before stock, unless the module was loaded with `disarm=1`. At load time.
pub(super) fn start() -> Result {
    let _lock = ParamLock::new();
    let state = if STATE.load(Relaxed) == LOADING_DISARMED {
        DISARMED
    } else {
        ulp::arm()?;
        ARMED
    };
    STATE.store(state, Relaxed);
    Ok(())
}

/// Gives the name back to stock, for good. At unload time.
pub(super) fn stop() {
    let _lock = ParamLock::new();
    if STATE.xchg(GONE, Relaxed) == ARMED {
        if ulp::disarm().is_err() {
            // Somebody has the name that stock needs for a moment. The front must go all the same.
            ulp::withdraw();
        }
    }
}

/// A write to the parameter `disarm`.
///
/// # Safety
///
/// The parameter code calls this, with the parameters of this module locked.
#[no_mangle]
unsafe extern "C" fn tls_hs_set_disarmed(on: bool) -> c_int {
    let result = match (STATE.load(Relaxed), on) {
        (LOADING | LOADING_DISARMED, false) => Ok(LOADING),
        (LOADING | LOADING_DISARMED, true) => Ok(LOADING_DISARMED),
        (ARMED, true) => ulp::disarm().map(|()| DISARMED),
        (DISARMED, false) => ulp::arm().map(|()| ARMED),
        (GONE, _) => Err(ENODEV),
        (state, _) => Ok(state),
    };
    match result {
        Ok(state) => {
            STATE.store(state, Relaxed);
            0
        }
        Err(err) => err.to_errno(),
    }
}

/// A read of the parameter `disarm`.
///
/// # Safety
///
/// As [`tls_hs_set_disarmed`].
#[no_mangle]
unsafe extern "C" fn tls_hs_is_disarmed() -> bool {
    !matches!(STATE.load(Relaxed), LOADING | ARMED)
}

/// A read of the parameter `in_use`: a line for each kind of what there is, in all network
/// namespaces.
///
/// # Safety
///
/// As [`tls_hs_set_disarmed`]; `page` is what sysfs passed.
#[no_mangle]
unsafe extern "C" fn tls_hs_show_in_use(page: *mut c_char) -> c_int {
    let totals = match STATE.load(Relaxed) {
        ARMED | DISARMED => stat::totals(),
        _ => [0; Gauge::TOTAL],
    };
    let mut at = 0i32;
    let mut line = |name: &CStr, value: i64| {
        // SAFETY: By the requirement; what does not fit is left out.
        let len = unsafe { bindings::tls_hs_emit_line(page, at, name.as_char_ptr(), value) };
        at = at.saturating_add(len);
    };
    for (name, value) in Gauge::NAMES.iter().zip(totals) {
        line(name, value);
    }
    line(c"keys", key::count());
    at
}
