// SPDX-License-Identifier: GPL-2.0

//! A public-key operation, apart from the handshake that waits for it.
//!
//! Its operands are copied out of the handshake, so that the operation can be done without the lock
//! of the socket, together with those of other handshakes, in whatever context.
//!
//! [`perform`] is given all operations of a batch at once. The curve arithmetic works on one at a
//! time, in general registers, so it does them one after another. Code that works on several at a
//! time, in vector registers, has its place there: one FPU section around those of one kind. There
//! must be none around today's code: the kernel's own library opens such sections by itself, and
//! takes slower paths inside of others.

use crate::crypto::{self, SHARE_MAX};
use crate::kern::crypto::Secret;
use crate::keyring::PrivateKey;
use crypto_p256::ecdsa::DER_MAX_LEN;
use kernel::prelude::*;
use kernel::sync::Arc;
use tls_hs::{NamedGroup, Reason};

/// Room for a public share as well as for a signature.
const BYTES_MAX: usize = if SHARE_MAX > DER_MAX_LEN {
    SHARE_MAX
} else {
    DER_MAX_LEN
};

enum Kind {
    /// Nothing to do.
    None,
    /// Makes a key pair: `secret` and `bytes`.
    MakeShare(NamedGroup),
    /// Makes the shared secret of `secret` and the share in `bytes`, and leaves it in `secret`.
    Derive(NamedGroup),
    /// Signs `digest`: to `bytes`.
    Sign(Arc<PrivateKey>),
}

/// A place for an operation: operands, then the result. Nothing is copied when secrets come to it
/// and leave it, and they are overwritten in place.
pub(crate) struct Operation {
    kind: Kind,
    digest: [u8; 32],
    secret: Secret<32>,
    bytes: [u8; BYTES_MAX],
    len: usize,
    /// `None` before it is done.
    result: Option<Result<(), Reason>>,
}

/// What came out.
pub(crate) enum Outcome<'a> {
    /// A key pair: the private key and the public share.
    Share(&'a [u8; 32], &'a [u8]),
    /// A shared secret; `None` if the peer's share is not a valid public key.
    SharedSecret(Option<&'a [u8; 32]>),
    /// A signature in DER.
    Signature(&'a [u8]),
}

impl Operation {
    pub(crate) const fn none() -> Self {
        Self {
            kind: Kind::None,
            digest: [0; 32],
            secret: Secret::zero(),
            bytes: [0; BYTES_MAX],
            len: 0,
            result: None,
        }
    }

    fn set(&mut self, kind: Kind) {
        self.kind = kind;
        self.result = None;
        self.len = 0;
    }

    /// Asks for a key pair.
    pub(crate) fn make_share(&mut self, group: NamedGroup) {
        self.set(Kind::MakeShare(group));
    }

    /// Asks for the shared secret of `private` and the peer's public share.
    pub(crate) fn derive(&mut self, group: NamedGroup, private: &[u8; 32], peer: &[u8]) {
        self.set(Kind::Derive(group));
        self.secret.0.copy_from_slice(private);
        for (to, from) in self.bytes.iter_mut().zip(peer) {
            *to = *from;
            self.len = self.len.wrapping_add(1);
        }
    }

    /// Asks for a signature.
    pub(crate) fn sign(&mut self, key: Arc<PrivateKey>, digest: &[u8; 32]) {
        self.set(Kind::Sign(key));
        self.digest = *digest;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.set(Kind::None);
        self.secret.wipe();
    }

    /// Whether it is to be done.
    pub(crate) fn is_open(&self) -> bool {
        self.result.is_none() && !matches!(self.kind, Kind::None)
    }

    /// Whether it was done.
    pub(crate) fn is_done(&self) -> bool {
        self.result.is_some()
    }

    /// What came out of it.
    pub(crate) fn outcome(&self) -> Result<Outcome<'_>, Reason> {
        let result = self.result.ok_or(Reason::OutOfOrder)?;
        let bytes = || self.bytes.get(..self.len).ok_or(Reason::OutOfOrder);
        match self.kind {
            Kind::None => Err(Reason::OutOfOrder),
            Kind::Derive(_) => Ok(Outcome::SharedSecret(
                result.is_ok().then_some(&self.secret.0),
            )),
            Kind::MakeShare(_) => {
                result?;
                Ok(Outcome::Share(&self.secret.0, bytes()?))
            }
            Kind::Sign(_) => {
                result?;
                Ok(Outcome::Signature(bytes()?))
            }
        }
    }

    fn perform(&mut self) {
        let result = match &self.kind {
            Kind::None => return,
            Kind::MakeShare(group) => match self.bytes.first_chunk_mut() {
                Some(public) => crypto::make_share(*group, &mut self.secret, public),
                None => Err(Reason::CryptoFailed),
            },
            Kind::Derive(group) => match self.bytes.get(..self.len) {
                Some(peer) => crypto::derive(*group, &mut self.secret, peer).map(|()| 0),
                None => Err(Reason::CryptoFailed),
            },
            Kind::Sign(key) => match self.bytes.first_chunk_mut() {
                Some(der) => key.signer().sign(&self.digest, der),
                None => Err(Reason::CryptoFailed),
            },
        };
        self.len = *result.as_ref().unwrap_or(&0);
        self.result = Some(result.map(|_| ()));
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Does the operations that are open, as long as `go_on` says yes: it is asked before each. Any
/// context; takes no lock and does not sleep.
pub(crate) fn perform<'a>(
    operations: impl Iterator<Item = &'a mut Operation>,
    mut go_on: impl FnMut() -> bool,
) {
    for operation in operations.filter(|operation| operation.is_open()) {
        if !go_on() {
            break;
        }
        operation.perform();
    }
}
