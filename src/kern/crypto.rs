// SPDX-License-Identifier: GPL-2.0

//! The kernel's library cryptography. All of it may be called in any context.

use super::bindings;
use core::mem::MaybeUninit;
use crypto_p256::Cpu;
use kernel::prelude::*;
use tls_hs::{Hash, Hmac};

/// The path that the curve arithmetic takes on this machine.
pub(crate) fn cpu() -> Cpu {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: No requirement.
    if unsafe { bindings::tls_hs_has_bmi2_adx() } {
        // SAFETY: The kernel runs processors only that have what the boot processor has.
        return unsafe { Cpu::bmi2_adx() };
    }
    Cpu::portable()
}

/// Overwrites a value that is plain data.
pub(super) fn wipe<T>(value: &mut T) {
    // SAFETY: `value` is writable; users of this function have types for which all zeros is valid.
    unsafe { bindings::tls_hs_wipe(core::ptr::from_mut(value).cast(), size_of::<T>()) }
}

/// A plain C structure with key material, overwritten when it is dropped.
pub(super) struct Wiped<T>(pub(super) T);

impl<T> Drop for Wiped<T> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// `N` secret bytes, overwritten when they are dropped.
pub(crate) struct Secret<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Secret<N> {
    /// All zeros.
    pub(crate) const fn zero() -> Self {
        Self([0; N])
    }

    /// Overwrites it in place.
    pub(crate) fn wipe(&mut self) {
        wipe(&mut self.0);
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// A running hash, and HMAC with a prepared key, in one algorithm of the library.
macro_rules! sha2 {
    ($len:literal: $hash:ident $ctx:ident $init:ident $update:ident $finish:ident;
     $hmac:ident $key:ident $prepare:ident $mac_init:ident $mac_update:ident $mac_finish:ident) => {
        #[derive(Clone)]
        pub(crate) struct $hash(bindings::$ctx);

        impl Hash<$len> for $hash {
            fn new() -> Self {
                let mut ctx = bindings::$ctx::default();
                // SAFETY: `ctx` is writable.
                unsafe { bindings::$init(&mut ctx) };
                Self(ctx)
            }

            fn update(&mut self, data: &[u8]) {
                // SAFETY: The context is initialised, `data` readable.
                unsafe { bindings::$update(&mut self.0, data.as_ptr(), data.len()) }
            }

            fn finish(mut self) -> [u8; $len] {
                let mut out = [0; $len];
                // SAFETY: The context is initialised, `out` has the size of the digest.
                unsafe { bindings::$finish(&mut self.0, out.as_mut_ptr()) };
                out
            }
        }

        pub(crate) struct $hmac(Wiped<bindings::$key>);

        impl Hmac<$len> for $hmac {
            fn new() -> Self {
                Self(Wiped(bindings::$key::default()))
            }

            fn set_key(&mut self, key: &[u8]) {
                // SAFETY: The prepared key is writable, `key` readable.
                unsafe { bindings::$prepare(&mut self.0 .0, key.as_ptr(), key.len()) }
            }

            fn mac(&self, msg: &[&[u8]], out: &mut [u8; $len]) {
                let mut ctx = MaybeUninit::uninit();
                // SAFETY: The context is initialised first and wiped by the last call; slices are
                // readable and `out` has the size of the digest.
                unsafe {
                    bindings::$mac_init(ctx.as_mut_ptr(), &self.0 .0);
                    for part in msg {
                        bindings::$mac_update(ctx.as_mut_ptr(), part.as_ptr(), part.len());
                    }
                    bindings::$mac_finish(ctx.as_mut_ptr(), out.as_mut_ptr());
                }
            }
        }
    };
}

sha2!(32: Sha256 sha256_ctx sha256_init tls_hs_sha256_update sha256_final;
    HmacSha256 hmac_sha256_key hmac_sha256_preparekey tls_hs_hmac_sha256_init
    tls_hs_hmac_sha256_update hmac_sha256_final);
sha2!(48: Sha384 sha384_ctx sha384_init tls_hs_sha384_update sha384_final;
    HmacSha384 hmac_sha384_key hmac_sha384_preparekey tls_hs_hmac_sha384_init
    tls_hs_hmac_sha384_update hmac_sha384_final);

/// SHA-256 of concatenated parts.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    // SAFETY: No requirement.
    unsafe { bindings::ktime_get_real_seconds() as u64 }
}

/// AES-GCM with a tag of 16 bytes.
pub(crate) struct AesGcm(Wiped<bindings::tls_hs_gcm>);

impl AesGcm {
    /// Without a key yet, so that none is left where the value was moved from.
    pub(crate) fn new() -> Self {
        Self(Wiped(bindings::tls_hs_gcm::default()))
    }

    /// Sets the key, 16 or 32 bytes long.
    ///
    /// # Errors
    ///
    /// EINVAL for another length.
    pub(crate) fn set_key(&mut self, key: &[u8]) -> Result {
        // SAFETY: `key` is readable, the context writable.
        super::to_result(unsafe {
            bindings::tls_hs_gcm_setkey(&mut self.0 .0, key.as_ptr(), key.len())
        })
    }

    /// Encrypts `data` in place and returns the tag.
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        // SAFETY: The key is set up, lengths are those of the slices.
        unsafe {
            bindings::tls_hs_gcm_seal(
                &self.0 .0,
                data.as_mut_ptr(),
                data.len(),
                aad.as_ptr(),
                aad.len(),
                nonce.as_ptr(),
                tag.as_mut_ptr(),
            );
        }
        tag
    }

    /// Checks the tag, in constant time, and decrypts `data` in place.
    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> bool {
        // SAFETY: As in seal().
        unsafe {
            bindings::tls_hs_gcm_open(
                &self.0 .0,
                data.as_mut_ptr(),
                data.len(),
                aad.as_ptr(),
                aad.len(),
                nonce.as_ptr(),
                tag.as_ptr(),
            )
        }
    }
}

/// AEAD_CHACHA20_POLY1305 of RFC 8439, section 2.8. The kernel's own composition takes nonces of 64
/// bits only.
pub(crate) struct ChaChaPoly(Wiped<bindings::chacha_state>);

impl ChaChaPoly {
    /// Without a key yet, so that none is left where the value was moved from.
    pub(crate) fn new() -> Self {
        Self(Wiped(bindings::chacha_state::default()))
    }

    /// Sets up one message, which is sealed or opened next. `key` is 32 bytes long.
    ///
    /// # Errors
    ///
    /// EINVAL for another length.
    pub(crate) fn set_key(&mut self, key: &[u8], nonce: &[u8; 12]) -> Result {
        if key.len() != 32 {
            return Err(EINVAL);
        }
        // "expand 32-byte k", the key, the block counter, the nonce.
        let constants = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let (head, rest) = self.0 .0.x.split_at_mut(4);
        head.copy_from_slice(&constants);
        let (middle, rest) = rest.split_at_mut(8);
        for (to, from) in middle.iter_mut().zip(key.chunks_exact(4)) {
            *to = little_endian(from);
        }
        let (counter, tail) = rest.split_at_mut(1);
        counter.fill(0);
        for (to, from) in tail.iter_mut().zip(nonce.chunks_exact(4)) {
            *to = little_endian(from);
        }
        Ok(())
    }

    /// The one-time key: the first block of the key stream. `block` is all zeros.
    fn one_time_key(&mut self, block: &mut Secret<64>) {
        self.crypt(&mut block.0);
    }

    /// Encrypts or decrypts in place and goes on to the next block.
    fn crypt(&mut self, data: &mut [u8]) {
        let buf = data.as_mut_ptr();
        // SAFETY: Source and destination may be the same.
        unsafe { bindings::chacha_crypt(&mut self.0 .0, buf, buf, data.len() as u32, 20) }
    }

    /// Encrypts `data` in place and returns the tag.
    pub(crate) fn seal(&mut self, aad: &[u8], data: &mut [u8]) -> [u8; 16] {
        let mut key = Secret::zero();
        self.one_time_key(&mut key);
        self.crypt(data);
        authenticate(&key, aad, data)
    }

    /// Checks the tag, in constant time, and decrypts `data` in place.
    pub(crate) fn open(&mut self, aad: &[u8], data: &mut [u8], tag: &[u8; 16]) -> bool {
        let mut key = Secret::zero();
        self.one_time_key(&mut key);
        let expected = authenticate(&key, aad, data);
        // SAFETY: Both are 16 bytes long.
        let authentic = unsafe { bindings::tls_hs_equal(expected.as_ptr(), tag.as_ptr(), 16) };
        if authentic {
            self.crypt(data);
        }
        authentic
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// Poly1305 over additional data and ciphertext, each padded to 16 bytes, and their lengths.
fn authenticate(key: &Secret<64>, aad: &[u8], data: &[u8]) -> [u8; 16] {
    let mut poly = Wiped(bindings::poly1305_desc_ctx::default());
    let mut tag = [0; 16];
    let padding = |len: usize| &[0u8; 15][..len.wrapping_neg() % 16];
    let mut lengths = [0; 16];
    for (to, from) in lengths.chunks_exact_mut(8).zip([aad.len(), data.len()]) {
        to.copy_from_slice(&(from as u64).to_le_bytes());
    }
    let parts = [aad, padding(aad.len()), data, padding(data.len()), &lengths];
    // SAFETY: The first 32 bytes are the key; slices are readable; `tag` has the size of the tag.
    unsafe {
        bindings::poly1305_init(&mut poly.0, key.0.as_ptr());
        for part in parts {
            bindings::poly1305_update(&mut poly.0, part.as_ptr(), part.len() as u32);
        }
        bindings::poly1305_final(&mut poly.0, tag.as_mut_ptr());
    }
    tag
}

/// Bytes from the kernel's random number generator.
pub(crate) fn random(out: &mut [u8]) {
    // SAFETY: `out` is writable.
    unsafe { bindings::get_random_bytes(out.as_mut_ptr().cast(), out.len()) }
}
