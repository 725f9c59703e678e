// SPDX-License-Identifier: GPL-2.0

//! Keys.

use super::bindings;

/// `N` secret bytes, overwritten when they are dropped.
pub(crate) struct Secret<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Secret<N> {
    /// The bytes of `from`, then zeros.
    pub(crate) fn new(from: &[u8]) -> Self {
        let mut secret = Self([0; N]);
        for (to, from) in secret.0.iter_mut().zip(from) {
            *to = *from;
        }
        secret
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        // SAFETY: The bytes are ours.
        unsafe { bindings::tlsdev_wipe(self.0.as_mut_ptr().cast(), N) }
    }
}
