// SPDX-License-Identifier: GPL-2.0

//! Stock kTLS put on a socket whose handshake is over.

use super::bindings::{
    self, bug_entry, sock, tcp_ulp_ops, tls12_crypto_info_aes_gcm_128,
    tls12_crypto_info_aes_gcm_256, tls12_crypto_info_chacha20_poly1305, tls_crypto_info,
};
use super::crypto::Wiped;
use super::errno::ENOTCONN;
use super::queue::inet_csk;
use super::to_result;
use super::ulp::stock;
use core::ptr;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use tls_hs::{Aead, Traffic, Version};

/// tls.ko's fortified memcpy() of the keys that a kernel pointer brings, found by [`init`].
///
/// # Invariants
///
/// Null, or an entry of tls.ko's bug table, whose module is referenced.
static FORTIFY: Atomic<*mut bug_entry> = Atomic::new(ptr::null_mut());

/// Looks for the false warning that setting keys provokes. Process context, at load time.
///
/// tls.ko copies the keys to `crypto_info + 1`, past the field that the compiler sees, on purpose;
/// for a pointer into user space that is a copy_from_user(), for ours a memcpy() whose FORTIFY
/// check then warns, once.
pub(super) fn init(stock: *mut tcp_ulp_ops) -> Result {
    // SAFETY: Stock's module is referenced; its bug table lies in its writable data.
    unsafe {
        let module = (*stock).owner;
        for i in 0..(*module).num_bugs as usize {
            let bug = (*module).bug_table.add(i);
            let once = (bindings::BUGFLAG_WARNING | bindings::BUGFLAG_ONCE) as u16;
            if (*bug).flags & once != once {
                continue;
            }
            let disp = &raw const (*bug).file_disp;
            let file = disp.cast::<u8>().offset(disp.read() as isize);
            if CStr::from_char_ptr(file.cast())
                .to_bytes()
                .ends_with(b"include/linux/sockptr.h")
            {
                FORTIFY.store(bug, Relaxed);
            }
        }
    }
    Ok(())
}

/// Marks the warning as given, as it would be after the first connection; again each time, since
/// an administrator may reset all warnings.
fn mute_fortify() {
    let bug = FORTIFY.load(Relaxed);
    if !bug.is_null() {
        // SAFETY: By the invariants. WARN_ONCE() itself sets the bit like this.
        unsafe { (*bug).flags |= bindings::BUGFLAG_DONE as u16 }
    }
}

/// Which direction keys are for.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// What we write.
    Tx,
    /// What the peer writes.
    Rx,
}

/// A connected socket that `accept()` is about to return, or has returned.
///
/// # Invariants
///
/// `sk` is valid, grafted, and not locked by the caller. Process context.
pub(crate) struct Connected(*mut sock);

impl Connected {
    /// # Safety
    ///
    /// The type's invariants hold as long as the value lives.
    pub(super) unsafe fn new(sk: *mut sock) -> Self {
        Self(sk)
    }

    /// Puts the stock ULP on the socket, which has none.
    pub(crate) fn set_ulp(&self) -> Result {
        let sk = self.0;
        // SAFETY: By the invariants; stock is valid.
        unsafe {
            let ulp = stock();
            let Some(init) = (*ulp).init else {
                return Err(ENOTCONN.into());
            };
            if !bindings::try_module_get((*ulp).owner) {
                return Err(ENOENT);
            }
            bindings::tls_hs_lock_sock(sk);
            let state = (*sk).__sk_common.skc_state;
            let result = if u32::from(state) == bindings::TCP_CLOSE {
                Err(ENOTCONN.into())
            } else {
                // Stock insists on ESTABLISHED. A client that has sent its request and its FIN
                // still waits for the answer.
                (*sk).__sk_common.skc_state = bindings::TCP_ESTABLISHED as u8;
                let err = init(sk);
                (*sk).__sk_common.skc_state = state;
                to_result(err)
            };
            if result.is_ok() {
                (*inet_csk(sk)).icsk_ulp_ops = ulp;
            }
            bindings::release_sock(sk);
            if result.is_err() {
                bindings::module_put((*ulp).owner);
            }
            result
        }
    }

    /// Gives kTLS the keys of one direction; the ULP must be set.
    pub(crate) fn set_keys(&self, to: Direction, version: Version, keys: &Traffic) -> Result {
        let info = |cipher: u32| tls_crypto_info {
            version: version.code(),
            cipher_type: cipher as u16,
        };
        // TLS 1.3: the whole IV, of which kTLS calls the first four bytes salt. TLS 1.2: the
        // explicit nonce of the next record, RFC 5288 section 3, which is its number here.
        let number = keys.seq().to_be_bytes();
        let nonce = match version {
            Version::Tls13 => keys.iv().get(4..).unwrap_or_default(),
            Version::Tls12 => &number,
        };
        match keys.aead() {
            Aead::Aes128Gcm => {
                let mut value = Wiped(tls12_crypto_info_aes_gcm_128::default());
                value.0.info = info(bindings::TLS_CIPHER_AES_GCM_128);
                fill(&mut value.0.key, keys.key());
                fill(&mut value.0.salt, keys.iv());
                fill(&mut value.0.iv, nonce);
                value.0.rec_seq = number;
                self.set(to, &mut value)
            }
            Aead::Aes256Gcm => {
                let mut value = Wiped(tls12_crypto_info_aes_gcm_256::default());
                value.0.info = info(bindings::TLS_CIPHER_AES_GCM_256);
                fill(&mut value.0.key, keys.key());
                fill(&mut value.0.salt, keys.iv());
                fill(&mut value.0.iv, nonce);
                value.0.rec_seq = number;
                self.set(to, &mut value)
            }
            Aead::Chacha20Poly1305 => {
                let mut value = Wiped(tls12_crypto_info_chacha20_poly1305::default());
                value.0.info = info(bindings::TLS_CIPHER_CHACHA20_POLY1305);
                fill(&mut value.0.key, keys.key());
                fill(&mut value.0.iv, keys.iv());
                value.0.rec_seq = number;
                self.set(to, &mut value)
            }
        }
    }

    /// Makes kTLS put at most `len` bytes of content into a record.
    pub(crate) fn set_fragment_max(&self, len: u16) -> Result {
        self.set_option(bindings::TLS_TX_MAX_PAYLOAD_LEN, &mut Wiped(len))
    }

    fn set<T>(&self, to: Direction, value: &mut Wiped<T>) -> Result {
        let option = match to {
            Direction::Tx => bindings::TLS_TX,
            Direction::Rx => bindings::TLS_RX,
        };
        self.set_option(option, value)
    }

    fn set_option<T>(&self, option: u32, value: &mut Wiped<T>) -> Result {
        mute_fortify();
        // SAFETY: By the invariants; the value is read during the call only.
        to_result(unsafe {
            bindings::tls_hs_set_ktls(
                self.0,
                option as i32,
                ptr::from_mut(&mut value.0).cast(),
                size_of::<T>() as u32,
            )
        })
    }
}

fn fill(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
