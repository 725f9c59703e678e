// SPDX-License-Identifier: GPL-2.0
//! Memory that is wiped when it goes.
//!
//! # Why the wipe stays
//!
//! A store to memory that nobody reads again is dead, and a compiler may drop it. Without `unsafe`
//! there is no volatile store, so [`wipe`] hands the cleared bytes to [`core::hint::black_box`].
//! rustc lowers that to an empty inline assembly statement that takes the address and clobbers
//! memory, the same construct as the kernel's `barrier_data()` in `memzero_explicit()`: the zeros
//! must be in memory before it. The language calls `black_box` best effort, so the test
//! `wipe_is_kept` in tests/object.rs looks at the object code.
//!
//! Wiping reaches only the place where a value lies. Secrets therefore stay in place in the
//! connection's context, are filled in through `&mut`, and are never part of a state that is moved.

/// Overwrites `bytes` with zeros that the compiler must not leave out.
#[inline(never)]
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    core::hint::black_box(bytes);
}

/// `N` secret bytes, wiped on drop. Not `Copy`, not `Clone`, not `Debug`.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// All zeros.
    pub const fn zero() -> Self {
        Secret([0; N])
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be filled in.
    pub fn bytes_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }

    /// Overwrites the bytes with zeros.
    pub fn wipe(&mut self) {
        wipe(&mut self.0);
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Compares in time that depends on the lengths only.
///
/// # Constant time
///
/// The difference is gathered over all bytes. `black_box` keeps the compiler from seeing that only
/// "zero or not" is wanted of it and from leaving the loop early.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut difference = 0;
    for (x, y) in a.iter().zip(b) {
        difference = core::hint::black_box(difference | (x ^ y));
    }
    a.len() == b.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_looks_at_every_byte_and_at_the_length() {
        let a = [7u8; 48];
        assert!(equal(&a, &a));
        for i in 0..a.len() {
            let mut b = a;
            b[i] ^= 0x80;
            assert!(!equal(&a, &b));
        }
        assert!(!equal(&a, &a[..47]));
        assert!(!equal(&a[..47], &a));
    }
}
