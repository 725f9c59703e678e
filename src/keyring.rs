// SPDX-License-Identifier: GPL-2.0

//! Certificates and private keys: key types, and the store of a listening socket.
//!
//! The store holds references to keys, not copies of what is in them: `keyctl update`, `revoke` and
//! expiry work on the next handshake. Which keys belong to which name is fixed when TLS_HS is set.

use crate::crypto::Signer;
use crate::kern::crypto::Secret;
use crate::kern::errno::{EBADMSG, EKEYREJECTED, EMSGSIZE, ENAMETOOLONG, ENOKEY, ENOPKG, ENOTUNIQ};
use crate::kern::key::{self, AnyKey, Key, KeyType, Keyring, Payload};
use kernel::prelude::*;
use kernel::rbtree::RBTree;
use kernel::sync::Arc;
use tls_hs::credential::{self, Error as CredentialError, Point};

static CERT: KeyType<Certificate> = KeyType::new();
static PRIV: KeyType<PrivateKey> = KeyType::new();

/// The key types are known while this lives.
pub(crate) struct Registration {
    _cert: key::Registration<Certificate>,
    _priv: key::Registration<PrivateKey>,
}

impl Registration {
    /// Process context, at load time.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            _cert: CERT.register()?,
            _priv: PRIV.register()?,
        })
    }
}

/// What `add_key(2)` says of a payload that is not taken.
fn errno(error: CredentialError) -> Error {
    let errno = match error {
        CredentialError::OtherKind | CredentialError::OtherCurve | CredentialError::NoCurve => {
            ENOPKG
        }
        CredentialError::Encrypted => EKEYREJECTED,
        CredentialError::TooLong
        | CredentialError::TooManyCertificates
        | CredentialError::NoSpace => EMSGSIZE,
        CredentialError::PublicKeyMismatch | CredentialError::BadPoint => EKEYREJECTED,
        _ => EBADMSG,
    };
    errno.into()
}

/// Payload of a `tls_cert` key: a certificate chain.
pub(crate) struct Certificate {
    entries: KVec<u8>,
    point: Point,
}

impl Certificate {
    /// The chain, leaf first, each certificate behind its length in three bytes.
    pub(crate) fn entries(&self) -> &[u8] {
        &self.entries
    }
}

impl Payload for Certificate {
    const NAME: &'static CStr = c"tls_cert";

    fn key_type() -> &'static KeyType<Self> {
        &CERT
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let len = credential::chain_len(bytes).map_err(errno)?;
        let mut entries = KVec::new();
        entries.resize(len, 0, GFP_KERNEL)?;
        let chain = credential::write_chain(bytes, &mut entries).map_err(errno)?;
        Ok(Self {
            entries,
            point: chain.leaf,
        })
    }
}

/// Payload of a `tls_priv` key: a private key.
pub(crate) struct PrivateKey(Signer);

impl PrivateKey {
    pub(crate) fn signer(&self) -> &Signer {
        &self.0
    }
}

impl Payload for PrivateKey {
    const NAME: &'static CStr = c"tls_priv";

    fn key_type() -> &'static KeyType<Self> {
        &PRIV
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut scalar = Secret::<{ credential::SCALAR_LEN }>::zero();
        let point = credential::read_private_key(bytes, &mut scalar.0).map_err(errno)?;
        let signer = Signer::new(&scalar.0).ok_or(EKEYREJECTED)?;
        match point {
            Some(point) if point != signer.point => Err(EKEYREJECTED.into()),
            _ => Ok(Self(signer)),
        }
    }
}

/// A certificate chain and the private key that belongs to it, as they were when a handshake chose
/// them.
pub(crate) struct Identity {
    /// The certificate chain.
    pub(crate) chain: Arc<Certificate>,
    /// The private key.
    pub(crate) key: Arc<PrivateKey>,
}

/// One virtual host's keys.
struct Host {
    cert: Key<Certificate>,
    private: Key<PrivateKey>,
}

impl Host {
    /// The keys of a keyring; `None` if it has neither kind.
    ///
    /// # Errors
    ///
    /// ENOKEY if one kind is missing, ENOTUNIQ if there are two of one kind, EKEYREJECTED if they
    /// do not belong together.
    fn from_keys(certs: KVec<Key<Certificate>>, privates: KVec<Key<PrivateKey>>) -> Result<Option<Self>> {
        if certs.len() > 1 || privates.len() > 1 {
            return Err(ENOTUNIQ.into());
        }
        match (certs.into_iter().next(), privates.into_iter().next()) {
            (None, None) => Ok(None),
            (Some(cert), Some(private)) => {
                let host = Self { cert, private };
                host.identity().ok_or(EKEYREJECTED)?;
                Ok(Some(host))
            }
            _ => Err(ENOKEY.into()),
        }
    }

    /// The keys as they are now; `None` if one is revoked or expired, or one was replaced and the
    /// other not yet. Any context.
    fn identity(&self) -> Option<Identity> {
        let chain = self.cert.payload()?;
        let key = self.private.payload()?;
        (chain.point == key.signer().point).then_some(Identity { chain, key })
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
    default: Option<Host>,
    named: RBTree<Name, Host>,
}

/// Keyrings below the one that TLS_HS names, at most.
const MAX_HOSTS: usize = 4096;

impl Store {
    /// Reads the keyring `serial`: its own keys are the default for every name, and each keyring
    /// in it is the virtual host of its name. Process context.
    ///
    /// # Errors
    ///
    /// ENOKEY if nothing is there, ENOTDIR if `serial` is not a keyring, EEXIST for two keyrings of
    /// one name, ENAMETOOLONG for a name that no server has, E2BIG for too many, those of
    /// [`Host::from_keys`], and what the key service says when the caller may not search there.
    pub(crate) fn load(serial: i32) -> Result<Self> {
        let ring = AnyKey::lookup(serial)?.keyring().map_err(|_| ENOTDIR)?;
        let (default, rings) = read(&ring)?;
        if rings.len() > MAX_HOSTS {
            return Err(E2BIG);
        }
        let mut named = RBTree::new();
        for ring in rings {
            let (Some(host), _) = read(&ring)? else { continue };
            let name = Name::new(&[ring.name()]).ok_or(ENAMETOOLONG)?;
            if named.try_create_and_insert(name, host, GFP_KERNEL)?.is_some() {
                return Err(EEXIST);
            }
        }
        if default.is_none() && named.is_empty() {
            return Err(ENOKEY.into());
        }
        Ok(Self { default, named })
    }

    /// Chooses by server name: the host of that name, that of the wildcard one label up, the
    /// default. Any context.
    pub(crate) fn select(&self, server_name: Option<&[u8]>) -> Option<Identity> {
        let host = server_name.and_then(|name| {
            self.find(&[name])
                .or_else(|| self.find(&[b"*", parent(name)?]))
        });
        host.or(self.default.as_ref())?.identity()
    }

    fn find(&self, parts: &[&[u8]]) -> Option<&Host> {
        self.named.get(&Name::new(parts)?)
    }
}

/// A name without its first label, from the dot on.
fn parent(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().position(|&byte| byte == b'.')?;
    name.get(dot..)
}

/// Reads a keyring: the host that it is, and the keyrings in it.
fn read(ring: &Keyring) -> Result<(Option<Host>, KVec<Keyring>)> {
    let mut certs = KVec::new();
    let mut privates = KVec::new();
    let mut rings = KVec::new();
    for key in ring.entries()? {
        let key = match key.of_type::<Certificate>() {
            Ok(cert) => {
                certs.push(cert, GFP_KERNEL)?;
                continue;
            }
            Err(key) => key,
        };
        let key = match key.of_type::<PrivateKey>() {
            Ok(private) => {
                privates.push(private, GFP_KERNEL)?;
                continue;
            }
            Err(key) => key,
        };
        if let Ok(ring) = key.keyring() {
            rings.push(ring, GFP_KERNEL)?;
        }
    }
    Ok((Host::from_keys(certs, privates)?, rings))
}
