// SPDX-License-Identifier: GPL-2.0
//! The nonce generator: HMAC_DRBG as RFC 6979 section 3.2 uses it.

use crate::scalar::Scalar;
use crate::wipe::wipe;

/// HMAC-SHA-256 (FIPS 198-1), which this crate does not have: the caller's.
pub trait HmacSha256 {
    /// Writes the code of the concatenated `parts` under `key` to `out`. Keys and parts are secret:
    /// the implementation must run in constant time and keep no copy.
    fn mac(&self, key: &[u8; 32], parts: &[&[u8]], out: &mut [u8; 32]);
}

/// The state of the generator. Wiped when dropped.
pub(super) struct Drbg<'a> {
    hmac: &'a dyn HmacSha256,
    k: [u8; 32],
    v: [u8; 32],
    fresh: bool,
}

impl Drop for Drbg<'_> {
    fn drop(&mut self) {
        wipe(&mut self.k);
        wipe(&mut self.v);
    }
}

impl<'a> Drbg<'a> {
    /// Steps a to g: seeded with the private key and up to three more inputs. For RFC 6979 these are
    /// the digest reduced mod n, and the additional data of section 3.6.
    pub(super) fn new(hmac: &'a dyn HmacSha256, key: &Scalar, inputs: &[&[u8]]) -> Self {
        let mut drbg = Drbg {
            hmac,
            k: [0; 32],
            v: [1; 32],
            fresh: true,
        };
        let mut key = key.to_be_bytes();
        let part = |i: usize| inputs.get(i).copied().unwrap_or(&[]);
        for separator in [0, 1] {
            drbg.rekey(&[&[separator], &key, part(0), part(1), part(2)]);
        }
        wipe(&mut key);
        drbg
    }

    /// Step h: the next candidate, `None` when it is not in [1, n - 1].
    pub(super) fn candidate(&mut self) -> Option<Scalar> {
        if !self.fresh {
            self.rekey(&[&[0], &[], &[], &[], &[]]);
        }
        self.fresh = false;
        self.next_v();
        Scalar::from_be_bytes(&self.v)
    }

    /// K = HMAC_K(V || parts), V = HMAC_K(V).
    fn rekey(&mut self, parts: &[&[u8]; 5]) {
        let mut k = [0; 32];
        let [p0, p1, p2, p3, p4] = *parts;
        self.hmac
            .mac(&self.k, &[&self.v, p0, p1, p2, p3, p4], &mut k);
        self.k = k;
        wipe(&mut k);
        self.next_v();
    }

    /// V = HMAC_K(V).
    fn next_v(&mut self) {
        let mut v = [0; 32];
        self.hmac.mac(&self.k, &[&self.v], &mut v);
        self.v = v;
        wipe(&mut v);
    }
}
