// SPDX-License-Identifier: GPL-2.0

//! The user header, and the value of a socket option.

use super::bindings::{self, sockptr_t, tls_crypto_info};
use core::mem::MaybeUninit;
use kernel::ffi::{c_char, c_int};
use kernel::prelude::*;

pub(crate) use super::bindings::{
    tls_hs_crypto_info, tls_hs_info, TLS_HS_AES_128_GCM_SHA256, TLS_HS_AES_256_GCM_SHA384,
    TLS_HS_CHACHA20_POLY1305_SHA256, TLS_HS_CRYPTO_INFO_SIZE_VER0,
    TLS_HS_ECDHE_ECDSA_AES_128_GCM_SHA256, TLS_HS_ECDHE_ECDSA_AES_256_GCM_SHA384,
    TLS_HS_ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, TLS_HS_INFO_RESUMED, TLS_HS_INFO_TICKET_AGE,
    TLS_HS_SECP256R1, TLS_HS_STRICT_SNI, TLS_HS_VERSION_1_2, TLS_HS_VERSION_1_3, TLS_HS_X25519,
};

/// The value that a user passed to setsockopt(2).
pub(super) type Value = sockptr_t;

/// Longest value that is looked at: as long as any structure may ever get.
const MAX_LEN: usize = 4096;

/// The value of a socket option.
pub(crate) struct OptionValue {
    value: Value,
    len: usize,
}

impl OptionValue {
    /// # Safety
    ///
    /// `value` is what setsockopt() got: a user pointer, or `len` bytes in the kernel.
    pub(super) unsafe fn new(value: Value, len: u32) -> Self {
        Self {
            value,
            len: len as usize,
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// EINVAL if the value has another length, EFAULT.
    pub(super) fn number(&self) -> Result<u32> {
        self.bytes().map(u32::from_ne_bytes)
    }

    /// As [`Self::number`], for one of 16 bits.
    pub(super) fn short(&self) -> Result<u16> {
        self.bytes().map(u16::from_ne_bytes)
    }

    fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        if self.len != N {
            return Err(EINVAL);
        }
        self.copy(0, &mut bytes)?;
        Ok(bytes)
    }

    fn copy(&self, at: usize, out: &mut [u8]) -> Result {
        // SAFETY: Copies no more than `out` holds, from a range inside the value.
        let left = unsafe {
            bindings::tls_hs_copy_from_sockptr(out.as_mut_ptr().cast(), self.value, at, out.len())
        };
        if left == 0 {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    /// Reads a structure that grows at its end, as copy_struct_from_user() does.
    ///
    /// # Errors
    ///
    /// EINVAL if it is shorter than the first version, E2BIG if what is not known to us is not
    /// zero, EFAULT.
    pub(crate) fn crypto_info(&self) -> Result<tls_hs_crypto_info> {
        const KNOWN: usize = size_of::<tls_hs_crypto_info>();

        if self.len < TLS_HS_CRYPTO_INFO_SIZE_VER0 as usize {
            return Err(EINVAL);
        }
        if self.len > MAX_LEN {
            return Err(E2BIG);
        }
        let mut at = KNOWN;
        while at < self.len {
            let mut rest = [0u8; 64];
            let room = rest.len();
            let Some(rest) = rest.get_mut(..room.min(self.len.wrapping_sub(at))) else {
                break;
            };
            self.copy(at, rest)?;
            if rest.iter().any(|&byte| byte != 0) {
                return Err(E2BIG);
            }
            at = at.saturating_add(room);
        }
        let mut info = MaybeUninit::<tls_hs_crypto_info>::zeroed();
        // SAFETY: The structure is plain data without padding: any bytes are valid, and it can be
        // seen as bytes.
        unsafe {
            let bytes = core::slice::from_raw_parts_mut(info.as_mut_ptr().cast::<u8>(), KNOWN);
            if let Some(bytes) = bytes.get_mut(..KNOWN.min(self.len)) {
                self.copy(0, bytes)?;
            }
            Ok(info.assume_init())
        }
    }
}

/// What may be shown to a user byte by byte.
///
/// # Safety
///
/// No padding, nothing that is not initialised.
pub(super) unsafe trait Plain {}

// SAFETY: 520 bytes in fields of 2 and 1, then one of 4.
unsafe impl Plain for tls_hs_info {}

// SAFETY: A number.
unsafe impl Plain for u32 {}

// SAFETY: Two fields of 2 bytes.
unsafe impl Plain for tls_crypto_info {}

/// Where a user wants the value of a socket option.
pub(super) struct UserBuffer {
    value: *mut c_char,
    len: *mut c_int,
}

impl UserBuffer {
    /// `value` and `len` are what getsockopt(2) got: user pointers.
    pub(super) fn new(value: *mut c_char, len: *mut c_int) -> Self {
        Self { value, len }
    }

    /// Writes as much of `value` as there is room for, and how much that is.
    pub(super) fn write<T: Plain>(&self, value: &T) -> Result {
        // SAFETY: Writes to user memory only, and copies no more than the value has.
        super::to_result(unsafe {
            bindings::tls_hs_put_option(
                self.value,
                self.len,
                core::ptr::from_ref(value).cast(),
                size_of::<T>() as u32,
            )
        })
    }
}
