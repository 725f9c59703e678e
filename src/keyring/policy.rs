// SPDX-License-Identifier: GPL-2.0

//! What a virtual host may have besides its certificate: application protocols, a stapled OCSP
//! response, ticket keys.

use crate::kern::crypto::Secret;
use crate::kern::errno::{EBADMSG, EMSGSIZE};
use crate::kern::key::{KeyType, Payload};
use kernel::prelude::*;
use tls_hs::der;
use tls_hs::TicketKey;

/// Longest list of protocols, as it goes over the wire.
const PROTOCOLS_MAX: usize = 1024;

/// Most of them: a position in the list is one byte.
const PROTOCOLS_COUNT: usize = 256;

/// Payload of a `tls_alpn` key: names of application protocols, the preferred one first.
pub(crate) struct Protocols(KVec<u8>);

impl Protocols {
    /// Each name behind its length in one byte.
    pub(crate) fn names(&self) -> &[u8] {
        &self.0
    }

    /// The name at `index` of the list.
    pub(crate) fn name(&self, index: u8) -> Option<&[u8]> {
        let mut rest = self.names();
        for _ in 0..index {
            let (&len, names) = rest.split_first()?;
            rest = names.get(usize::from(len)..)?;
        }
        let (&len, names) = rest.split_first()?;
        names.get(..usize::from(len))
    }
}

impl Payload for Protocols {
    const NAME: &'static CStr = c"tls_alpn";

    fn key_type() -> &'static KeyType<Self> {
        static TYPE: KeyType<Protocols> = KeyType::new();
        &TYPE
    }

    /// Names separated by commas; white space at the end does not count. EINVAL for an empty name
    /// or one of more than 255 bytes (RFC 7301 section 3.1), EMSGSIZE for too many.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut list = KVec::new();
        let names = bytes.trim_ascii_end().split(|&byte| byte == b',');
        for (position, name) in names.enumerate() {
            let len = u8::try_from(name.len()).map_err(|_| EINVAL)?;
            if len == 0 {
                return Err(EINVAL);
            }
            list.push(len, GFP_KERNEL)?;
            list.extend_from_slice(name, GFP_KERNEL)?;
            if position >= PROTOCOLS_COUNT || list.len() > PROTOCOLS_MAX {
                return Err(EMSGSIZE.into());
            }
        }
        Ok(Self(list))
    }
}

/// Longest OCSP response.
const STAPLE_MAX: usize = 16384;

/// Payload of a `tls_ocsp` key: an OCSPResponse, RFC 6960. Whether it is good is the client's to
/// decide.
pub(crate) struct Staple(KVec<u8>);

impl Staple {
    /// In DER.
    pub(crate) fn response(&self) -> &[u8] {
        &self.0
    }
}

impl Payload for Staple {
    const NAME: &'static CStr = c"tls_ocsp";

    fn key_type() -> &'static KeyType<Self> {
        static TYPE: KeyType<Staple> = KeyType::new();
        &TYPE
    }

    /// EMSGSIZE for a longer one, EBADMSG for what is not one DER SEQUENCE.
    fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > STAPLE_MAX {
            return Err(EMSGSIZE.into());
        }
        let mut reader = der::Reader::new(bytes);
        reader.expect(der::SEQUENCE).map_err(|_| EBADMSG)?;
        reader.finish().map_err(|_| EBADMSG)?;
        let mut response = KVec::new();
        response.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(Self(response))
    }
}

const NAME_LEN: usize = 16;
const SECRET_LEN: usize = 32;

/// Ticket keys in one payload.
const TICKET_KEYS_MAX: usize = 8;

/// Payload of a `tls_ticket` key: ticket keys, a name of 16 and a secret of 32 bytes each. The first
/// seals new tickets, all of them open tickets: one update of the key rotates them with overlap.
pub(crate) struct Tickets(KVec<Secret<{ NAME_LEN + SECRET_LEN }>>);

impl Tickets {
    /// Copies the key with this name to `to`, or without a name the one that seals; false if there
    /// is none.
    pub(crate) fn find(&self, name: Option<&[u8; NAME_LEN]>, to: &mut TicketKey) -> bool {
        let wanted = |key: &&Secret<48>| name.is_none_or(|name| key.0.starts_with(name));
        let Some(key) = self.0.iter().find(wanted) else {
            return false;
        };
        let (name, secret) = key.0.split_at(NAME_LEN);
        to.name.copy_from_slice(name);
        to.secret.bytes_mut().copy_from_slice(secret);
        true
    }
}

impl Payload for Tickets {
    const NAME: &'static CStr = c"tls_ticket";

    fn key_type() -> &'static KeyType<Self> {
        static TYPE: KeyType<Tickets> = KeyType::new();
        &TYPE
    }

    /// EBADMSG for a length that is not a multiple of 48, EMSGSIZE for too many keys.
    fn parse(bytes: &[u8]) -> Result<Self> {
        // Growing would leave copies behind.
        let mut keys = KVec::with_capacity(TICKET_KEYS_MAX, GFP_KERNEL)?;
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first_chunk() {
            if keys.len() == TICKET_KEYS_MAX {
                return Err(EMSGSIZE.into());
            }
            keys.push(Secret::zero(), GFP_KERNEL)?;
            if let Some(key) = keys.last_mut() {
                key.0 = *first;
            }
            rest = behind;
        }
        if keys.is_empty() || !rest.is_empty() {
            return Err(EBADMSG.into());
        }
        Ok(Self(keys))
    }
}
