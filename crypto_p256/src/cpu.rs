// SPDX-License-Identifier: GPL-2.0
//! The choice of a path.

#![allow(unsafe_code)]

use crate::arith::Portable;

#[cfg(target_arch = "x86_64")]
use crate::arith::Adx;

/// What the processor can do, found out by the caller and handed to every operation.
#[derive(Clone, Copy)]
pub struct Cpu(Path);

#[derive(Clone, Copy)]
pub(crate) enum Path {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Adx(Adx),
}

impl Cpu {
    /// Any 64-bit processor: plain Rust.
    pub const fn portable() -> Self {
        Cpu(Path::Portable(Portable))
    }

    /// x86-64 with BMI2 and ADX: general registers only.
    ///
    /// # Safety
    ///
    /// Every processor that the value is used on must have BMI2 and ADX, and RDRAND in the randomised
    /// build.
    #[cfg(target_arch = "x86_64")]
    pub const unsafe fn bmi2_adx() -> Self {
        // SAFETY: the caller's promise.
        Cpu(Path::Adx(unsafe { Adx::new() }))
    }

    /// The path, for [`on_path`].
    #[inline(always)]
    pub(crate) const fn path(self) -> Path {
        self.0
    }
}

/// Evaluates an expression with a name bound to the arithmetic of the path of a [`Cpu`].
macro_rules! on_path {
    ($cpu:expr, $arith:ident => $body:expr) => {
        match $cpu.path() {
            $crate::cpu::Path::Portable($arith) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::Path::Adx($arith) => $body,
        }
    };
}

pub(crate) use on_path;
