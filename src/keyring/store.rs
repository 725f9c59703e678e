// SPDX-License-Identifier: GPL-2.0

//! The virtual hosts of a listening socket, by server name.
//!
//! The store holds references to keys, not copies of what is in them: `keyctl update`, `revoke` and
//! expiry work on the next handshake. So does unlinking: a handshake uses only what is linked still.
//! Links that are new make the store stale; it is read again in process context, with the
//! credentials of the process that has set TLS_HS.

use super::links::Links;
use super::{Certificate, PrivateKey, Protocols, Staple, Tickets};
use crate::kern::errno::{EKEYREJECTED, ENAMETOOLONG, ENOKEY, ENOTUNIQ};
use crate::kern::key::{AnyKey, Credentials, Key, Keyring, Payload};
use crate::kern::work;
use kernel::prelude::*;
use kernel::rbtree::RBTree;
use kernel::sync::atomic::{Atomic, Relaxed};
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
    /// Sorts the keys of a keyring; the keyrings among them go to `rings`.
    ///
    /// # Errors
    ///
    /// ENOTUNIQ for two keys of one kind, ENOKEY for a certificate without a private key or the
    /// other way round, EKEYREJECTED for two that do not belong together.
    fn sort(entries: KVVec<AnyKey>, rings: &mut KVVec<Keyring>) -> Result<Self> {
        let mut keys = Self::default();
        let mut result = Ok(());
        for key in entries {
            match keys.take(key) {
                Ok(Some(ring)) => rings.push(ring, GFP_KERNEL)?,
                Ok(None) => {}
                Err(err) => result = Err(err),
            }
        }
        result?;
        if keys.cert.is_some() != keys.private.is_some() {
            return Err(ENOKEY.into());
        }
        if let (Some(cert), Some(private)) = (&keys.cert, &keys.private) {
            match (cert.payload(), private.payload()) {
                (Some(chain), Some(key)) if *chain.point() == key.signer().point => {}
                _ => return Err(EKEYREJECTED.into()),
            }
        }
        Ok(keys)
    }

    /// The key with this number, if it is one of them.
    fn get(&self, serial: i32) -> Option<AnyKey> {
        [
            self.cert.as_ref().map(Key::any),
            self.private.as_ref().map(Key::any),
            self.protocols.as_ref().map(Key::any),
            self.staple.as_ref().map(Key::any),
            self.tickets.as_ref().map(Key::any),
        ]
        .into_iter()
        .flatten()
        .find(|key| key.serial() == serial)
        .map(AnyKey::get)
    }

    /// Puts a key in its place; gives it back if it is a keyring.
    fn take(&mut self, key: AnyKey) -> Result<Option<Keyring>> {
        let Some(key) = take(key, &mut self.cert)? else {
            return Ok(None);
        };
        let Some(key) = take(key, &mut self.private)? else {
            return Ok(None);
        };
        let Some(key) = take(key, &mut self.protocols)? else {
            return Ok(None);
        };
        let Some(key) = take(key, &mut self.staple)? else {
            return Ok(None);
        };
        let Some(key) = take(key, &mut self.tickets)? else {
            return Ok(None);
        };
        Ok(key.keyring().ok())
    }
}

/// A keyring that was read.
struct Host {
    links: Links,
    keys: Arc<Keys>,
    /// When it was read, if something was wrong with it: that may be put right without a change of
    /// links.
    wrong: Option<u32>,
}

/// What was wrong with a keyring is looked at again after this time at the earliest.
const WRONG_MS: u32 = 1000;

impl Host {
    /// Reads a keyring, and which keyrings are in it. Process context.
    ///
    /// # Errors
    ///
    /// Those of [`Links::read`] and [`Keys::sort`].
    fn read(ring: Keyring) -> Result<(Self, KVVec<Keyring>)> {
        let (links, entries) = Links::read(ring, |serial| AnyKey::lookup(serial).ok())?;
        let mut rings = KVVec::new();
        let keys = Keys::sort(entries, &mut rings)?;
        let host = Self {
            links,
            keys: Arc::new(keys, GFP_KERNEL_ACCOUNT)?,
            wrong: None,
        };
        Ok((host, rings))
    }

    /// Reads a keyring again: with which something is wrong, that has the keys it had, `old`. A key
    /// that may not be searched any more is used if `held` has it. Process context.
    ///
    /// # Errors
    ///
    /// Those of [`Links::read`], ENOMEM.
    fn read_again(
        ring: Keyring,
        old: Option<&Arc<Keys>>,
        held: impl Fn(i32) -> Option<AnyKey>,
    ) -> Result<(Self, KVVec<Keyring>)> {
        let now = work::now_ms();
        let mut wrong = None;
        let (links, entries) = Links::read(ring, |serial| match AnyKey::lookup_now(serial) {
            Ok(key) => Some(key),
            Err(err) if err == EACCES => held(serial),
            Err(err) => {
                if err == EAGAIN {
                    wrong = Some(now);
                }
                None
            }
        })?;
        let mut rings = KVVec::new();
        let keys = match (Keys::sort(entries, &mut rings), old) {
            (Ok(keys), _) => Arc::new(keys, GFP_KERNEL_ACCOUNT)?,
            (Err(err), _) if err == ENOMEM => return Err(err),
            (Err(_), old) => {
                wrong = Some(now);
                match old {
                    Some(old) => old.clone(),
                    None => Arc::new(Keys::default(), GFP_KERNEL_ACCOUNT)?,
                }
            }
        };
        Ok((Self { links, keys, wrong }, rings))
    }

    /// Whether it should be read again. Any context.
    fn is_stale(&self) -> bool {
        let due = |read| work::now_ms().wrapping_sub(read) >= WRONG_MS;
        !self.links.same() || self.wrong.is_some_and(due)
    }

    /// Whether there is something to serve a client with.
    fn serves(&self) -> bool {
        self.keys.cert.is_some()
    }

    /// The keys as they are now, with what they lack of protocols and ticket keys from `common`.
    /// `None` if certificate or private key is revoked, expired or unlinked, or one was replaced and
    /// the other not yet. Any context.
    fn identity(&self, common: &Self) -> Option<Identity> {
        let chain = self.payload(&self.keys.cert)?;
        let key = self.payload(&self.keys.private)?;
        if *chain.point() != key.signer().point {
            return None;
        }
        let protocols = match &self.keys.protocols {
            None => common.payload(&common.keys.protocols),
            own => self.payload(own),
        };
        let tickets = match &self.keys.tickets {
            None => common.payload(&common.keys.tickets),
            own => self.payload(own),
        };
        Some(Identity {
            chain,
            key,
            protocols,
            staple: self.payload(&self.keys.staple),
            tickets,
        })
    }

    /// What a key of this keyring holds, if it is linked still.
    fn payload<T: Payload>(&self, key: &Option<Key<T>>) -> Option<Arc<T>> {
        let key = key.as_ref()?;
        self.links.has(key.serial()).then(|| key.payload())?
    }
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
    common: Arc<Host>,
    named: RBTree<Name, Arc<Host>>,
    /// A name that no host has is not the default's.
    strict: bool,
    /// A handshake has met links that were not there when the keyrings were read, or missed some.
    stale: Atomic<i32>,
    credentials: Credentials,
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
    /// [`Host::read`], and what the key service says when the caller may not search there.
    pub(crate) fn load(serial: i32, strict: bool) -> Result<Self> {
        let ring = AnyKey::lookup(serial)?.keyring().map_err(|_| ENOTDIR)?;
        let (common, rings) = Host::read(ring)?;
        if rings.len() > MAX_HOSTS {
            return Err(E2BIG);
        }
        let mut serves = common.serves();
        let mut named = RBTree::new();
        for ring in rings {
            let (host, _) = Host::read(ring)?;
            serves |= host.serves();
            match Name::new(&[host.links.ring().name()]) {
                Some(name) => insert(&mut named, name, Arc::new(host, GFP_KERNEL_ACCOUNT)?)?,
                None if host.serves() => return Err(ENAMETOOLONG.into()),
                None => {}
            }
        }
        if !serves {
            return Err(ENOKEY.into());
        }
        Ok(Self {
            common: Arc::new(common, GFP_KERNEL_ACCOUNT)?,
            named,
            strict,
            stale: Atomic::new(0),
            credentials: Credentials::current()?,
        })
    }

    /// Reads the keyrings again, as the process that has set TLS_HS. One with which something is
    /// wrong stays as it was: what is linked no more in it is not used anyway. So do keys that the
    /// process may not search any more, such as those that it has lost possession of. Process
    /// context.
    ///
    /// # Errors
    ///
    /// ENOMEM, and what the key service says of the outer keyring.
    pub(crate) fn reload(&self) -> Result<Self> {
        self.credentials.run(|| self.read_again())
    }

    fn read_again(&self) -> Result<Self> {
        let common = &self.common;
        let held = |serial| common.keys.get(serial).or_else(|| self.ring(serial));
        let (common, mut rings) =
            Host::read_again(common.links.ring().get(), Some(&common.keys), held)?;
        rings.truncate(MAX_HOSTS);
        let mut named = RBTree::new();
        for ring in rings {
            let serial = ring.serial();
            let Some(name) = Name::new(&[ring.name()]) else {
                continue;
            };
            let old = self.named.get(&name);
            let old = old.filter(|old| old.links.ring().serial() == serial);
            let keys = old.map(|old| &old.keys);
            let held = |serial| keys.and_then(|keys| keys.get(serial));
            let host = match (Host::read_again(ring, keys, held), old) {
                (Ok((host, _)), _) => Arc::new(host, GFP_KERNEL_ACCOUNT)?,
                (Err(_), Some(old)) => old.clone(),
                (Err(_), None) => continue,
            };
            match insert(&mut named, name, host) {
                // Of two with one name that which comes first.
                Err(err) if err != EEXIST => return Err(err),
                _ => {}
            }
        }
        Ok(Self {
            common: Arc::new(common, GFP_KERNEL_ACCOUNT)?,
            named,
            strict: self.strict,
            stale: Atomic::new(0),
            credentials: self.credentials.get(),
        })
    }

    /// Whether the keyrings should be read again. Any context.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Relaxed) != 0
    }

    /// Looks whether the outer keyring's links are what they were; if not, the store is stale. Any
    /// context.
    pub(crate) fn look(&self) {
        self.look_at(&self.common);
    }

    fn look_at(&self, host: &Host) {
        if host.is_stale() {
            self.stale.store(1, Relaxed);
        }
    }

    /// The keyring of a virtual host.
    fn ring(&self, serial: i32) -> Option<AnyKey> {
        let mut rings = self.named.values().map(|host| host.links.ring().any());
        rings.find(|ring| ring.serial() == serial).map(AnyKey::get)
    }

    /// Chooses by server name: the host of that name, that of the wildcard one label up, the
    /// default. Any context.
    pub(crate) fn select(&self, server_name: Option<&[u8]>) -> Option<Identity> {
        let host = match server_name {
            Some(name) => self
                .find(&[name])
                .or_else(|| self.find(&[b"*", parent(name)?]))
                .or((!self.strict).then_some(&self.common)),
            None => Some(&self.common),
        };
        let identity = host.and_then(|host| host.identity(&self.common));
        self.look();
        if let Some(host) = host {
            self.look_at(host);
        }
        identity
    }

    fn find(&self, parts: &[&[u8]]) -> Option<&Arc<Host>> {
        let host = self.named.get(&Name::new(parts)?)?;
        if !host.serves() {
            // It may have got keys meanwhile.
            self.look_at(host);
            return None;
        }
        let linked = self.common.links.has(host.links.ring().serial());
        linked.then_some(host)
    }
}

/// Puts a host in its place; one that serves goes before one that does not.
///
/// # Errors
///
/// EEXIST if two of one name serve, ENOMEM.
fn insert(named: &mut RBTree<Name, Arc<Host>>, name: Name, host: Arc<Host>) -> Result {
    match named.get(&name) {
        Some(old) if old.serves() && host.serves() => return Err(EEXIST),
        Some(old) if old.serves() => return Ok(()),
        _ => {}
    }
    named.try_create_and_insert(name, host, GFP_KERNEL_ACCOUNT)?;
    Ok(())
}

/// A name without its first label, from the dot on.
fn parent(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().position(|&byte| byte == b'.')?;
    name.get(dot..)
}
