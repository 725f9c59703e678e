// SPDX-License-Identifier: GPL-2.0
//! Writes of zeros that the optimiser may not leave out.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::sync::atomic::{compiler_fence, Ordering};

/// Sets every element to its zero.
pub fn wipe<T: Zero>(secret: &mut [T]) {
    for element in secret {
        // SAFETY: `element` is a valid, aligned, exclusive reference to a `T`.
        unsafe { core::ptr::write_volatile(element, T::ZERO) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// Plain integers that secrets are made of.
pub trait Zero: Copy {
    /// Zero.
    const ZERO: Self;
}

impl Zero for u8 {
    const ZERO: u8 = 0;
}

impl Zero for u64 {
    const ZERO: u64 = 0;
}

/// Words of stack that a multiplication of any point uses below its caller, with its window's table:
/// the frames of the kernel's object (`objdump -d`, `sub $...,%rsp`), and a margin.
pub(crate) const DEEP: usize = 4608 / 8;
/// The same for all other operations.
pub(crate) const SHALLOW: usize = 2560 / 8;

/// Wipes N words of dead stack below the caller, where the operation that it just called kept its
/// temporaries. The frames of that operation are gone, so no reference to them can exist: this
/// takes a frame of its own in their place and writes zeros to it.
#[inline(never)]
pub(crate) fn wipe_stack<const N: usize>() {
    let mut frame = MaybeUninit::<[u64; N]>::uninit();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: writes the N words of `frame`; the direction flag is clear, as the ABI has it.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") N => _,
            inout("rdi") frame.as_mut_ptr() => _,
            in("rax") 0,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    wipe(frame.write([0; N]));
}
