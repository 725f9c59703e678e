// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts of a listening socket, by server name.
//!
//! The store holds references to keys, not copies of what is in them: `keyctl update`, `revoke` and
//! expiry work on the next handshake. Which keys belong to which name is fixed when TLS_HS is set.

use super::{Certificate, PrivateKey, Protocols, Staple, Tickets};
use crate::kern::errno::{EKEYREJECTED, ENAMETOOLONG, ENOKEY, ENOTUNIQ};
use crate::kern::key::{AnyKey, Key, Keyring, Payload};
use kernel::prelude::*;
use kernel::rbtree::RBTree;
use kernel::sync::Arc;

/// What a handshake uses, as it was when the handshake chose it.
pub(crate) struct Identity {
    /// The certificate chain.
    pub(crate) chain: Arc<Certificate>,
    /// The private key.
    pub(crate) key: Arc<PrivateKey>,
    /// The application protocols.
    pub(crate) protocols: Option<Arc<Protocols>>,
    /// The stapled OCSP response.
    pub(crate) staple: Option<Arc<Staple>>,
    /// The ticket keys.
    pub(crate) tickets: Option<Arc<Tickets>>,
}

impl Identity {
    /// SHA-256 of the certificate chain.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        self.chain.digest()
    }
}

/// The keys of one keyring, of each kind one at most.
#[derive(Default)]
struct Keys {
    cert: Option<Key<Certificate>>,
    private: Option<Key<PrivateKey>>,
    protocols: Option<Key<Protocols>>,
    staple: Option<Key<Staple>>,
    tickets: Option<Key<Tickets>>,
}

impl Keys {
    /// Reads a keyring: its keys, and the keyrings in it.
    ///
    /// # Errors
    ///
    /// ENOTUNIQ for two keys of one kind, ENOKEY for a certificate without a private key or the
    /// other way round, EKEYREJECTED for two that do not belong together.
    fn read(ring: &Keyring) -> Result<(Self, KVec<Keyring>)> {
        let mut keys = Self::default();
        let mut rings = KVec::new();
        for key in ring.entries()? {
            let Some(key) = take(key, &mut keys.cert)? else {
                continue;
            };
            let Some(key) = take(key, &mut keys.private)? else {
                continue;
            };
            let Some(key) = take(key, &mut keys.protocols)? else {
                continue;
            };
            let Some(key) = take(key, &mut keys.staple)? else {
                continue;
            };
            let Some(key) = take(key, &mut keys.tickets)? else {
                continue;
            };
            if let Ok(ring) = key.keyring() {
                rings.push(ring, GFP_KERNEL)?;
            }
        }
        if keys.cert.is_some() != keys.private.is_some() {
            return Err(ENOKEY.into());
        }
        if keys.is_host() && keys.identity(&Self::default()).is_none() {
            return Err(EKEYREJECTED.into());
        }
        Ok((keys, rings))
    }

    /// Whether there is something to serve a client with.
    fn is_host(&self) -> bool {
        self.cert.is_some()
    }

    /// The keys as they are now, with what they lack of protocols and ticket keys from `common`.
    /// `None` if certificate or private key is revoked or expired, or one was replaced and the
    /// other not yet. Any context.
    fn identity(&self, common: &Self) -> Option<Identity> {
        let chain = self.cert.as_ref()?.payload()?;
        let key = self.private.as_ref()?.payload()?;
        if *chain.point() != key.signer().point {
            return None;
        }
        Some(Identity {
            chain,
            key,
            protocols: payload(&self.protocols, &common.protocols),
            staple: payload(&self.staple, &None),
            tickets: payload(&self.tickets, &common.tickets),
        })
    }
}

/// What a key holds, or if there is no such key, what another does.
fn payload<T: Payload>(key: &Option<Key<T>>, other: &Option<Key<T>>) -> Option<Arc<T>> {
    key.as_ref().or(other.as_ref())?.payload()
}

/// Puts `key` in its place if it is of that type; gives it back if not.
fn take<T: Payload>(key: AnyKey, place: &mut Option<Key<T>>) -> Result<Option<AnyKey>> {
    match key.of_type::<T>() {
        Err(key) => Ok(Some(key)),
        Ok(key) => match place.replace(key) {
            None => Ok(None),
            Some(_) => Err(ENOTUNIQ.into()),
        },
    }
}

/// Longest server name: RFC 1035, section 2.3.4.
const NAME_MAX: usize = 255;

/// A server name in lower case, perhaps with a leading "*.".
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    len: u8,
    bytes: [u8; NAME_MAX],
}

impl Name {
    /// The name that `parts` concatenated make; `None` if that is too long.
    fn new(parts: &[&[u8]]) -> Option<Self> {
        let mut name = Self {
            len: 0,
            bytes: [0; NAME_MAX],
        };
        for byte in parts.iter().flat_map(|part| part.iter()) {
            *name.bytes.get_mut(usize::from(name.len))? = byte.to_ascii_lowercase();
            name.len = name.len.checked_add(1)?;
        }
        Some(name)
    }
}

/// The virtual hosts of one listening socket.
pub(crate) struct Store {
    /// The default for every name, and what the others have in common.
    common: Keys,
    named: RBTree<Name, Keys>,
    /// A name that no host has is not the default's.
    strict: bool,
}

/// Keyrings below the one that TLS_HS names, at most.
const MAX_HOSTS: usize = 4096;

impl Store {
    /// Reads the keyring `serial`: its own keys are the default for every name, or, with `strict`,
    /// for clients that send none; each keyring in it is the virtual host of its name. Process
    /// context.
    ///
    /// # Errors
    ///
    /// ENOKEY if nothing is there, ENOTDIR if `serial` is not a keyring, EEXIST for two keyrings of
    /// one name, ENAMETOOLONG for a name that no server has, E2BIG for too many, those of
    /// [`Keys::read`], and what the key service says when the caller may not search there.
    pub(crate) fn load(serial: i32, strict: bool) -> Result<Self> {
        let ring = AnyKey::lookup(serial)?.keyring().map_err(|_| ENOTDIR)?;
        let (common, rings) = Keys::read(&ring)?;
        if rings.len() > MAX_HOSTS {
            return Err(E2BIG);
        }
        let mut named = RBTree::new();
        for ring in rings {
            let (keys, _) = Keys::read(&ring)?;
            if !keys.is_host() {
                continue;
            }
            let name = Name::new(&[ring.name()]).ok_or(ENAMETOOLONG)?;
            if named
                .try_create_and_insert(name, keys, GFP_KERNEL)?
                .is_some()
            {
                return Err(EEXIST);
            }
        }
        if !common.is_host() && named.is_empty() {
            return Err(ENOKEY.into());
        }
        Ok(Self {
            common,
            named,
            strict,
        })
    }

    /// Chooses by server name: the host of that name, that of the wildcard one label up, the
    /// default. Any context.
    pub(crate) fn select(&self, server_name: Option<&[u8]>) -> Option<Identity> {
        let keys = match server_name {
            Some(name) => self
                .find(&[name])
                .or_else(|| self.find(&[b"*", parent(name)?]))
                .or((!self.strict).then_some(&self.common)),
            None => Some(&self.common),
        };
        keys?.identity(&self.common)
    }

    fn find(&self, parts: &[&[u8]]) -> Option<&Keys> {
        self.named.get(&Name::new(parts)?)
    }
}

/// A name without its first label, from the dot on.
fn parent(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().position(|&byte| byte == b'.')?;
    name.get(dot..)
}
