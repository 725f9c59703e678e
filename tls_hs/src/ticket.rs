// SPDX-License-Identifier: GPL-2.0
//! Session tickets: what the server must remember of a session, sealed for the client to keep.
//!
//! ```text
//! key name (16) | salt (16) | sealed: version, suite, group, flags, age_add, began, expiry, secret | tag (16)
//! ```
//!
//! Each ticket is sealed with AES-256-GCM under a key of its own, HMAC-SHA-256 of the salt under the
//! ticket key, so that any number of machines may seal with one ticket key without ever agreeing on
//! nonces: two tickets would have to draw the same 128-bit salt.
//!
//! The scope of a ticket (server name, application protocol, identity and policy) is not in it but
//! authenticated with it: in another scope a ticket does not open, and a full handshake follows.

use crate::codec::{copy, vectors8, Encode, Reader, Window};
use crate::secret::Secret;
use crate::{Aead, Crypto, Environment, Hash, Hmac, NamedGroup, Suite, Version};

/// RFC 8446 section 4.6.1: servers MUST NOT use a lifetime above 7 days.
pub const LIFETIME_MAX: u32 = 7 * 24 * 60 * 60;

const NAME_LEN: usize = 16;
const SALT_LEN: usize = 16;
const STATE_LEN: usize = 4 + 4 + 8 + 8 + 48;
const TAG_LEN: usize = 16;
/// Length of a ticket.
pub const TICKET_LEN: usize = NAME_LEN + SALT_LEN + STATE_LEN + TAG_LEN;

const EXTENDED_MASTER_SECRET: u8 = 1;

/// A key that seals tickets.
pub struct TicketKey {
    /// What it is found by.
    pub name: [u8; NAME_LEN],
    /// The key.
    pub secret: Secret<32>,
}

impl TicketKey {
    fn empty() -> Self {
        TicketKey {
            name: [0; NAME_LEN],
            secret: Secret::zero(),
        }
    }

    /// Key of the ticket with this salt.
    fn ticket<C: Crypto>(&self, salt: &[u8], key: &mut Secret<32>) {
        let mut mac = C::HmacSha256::new();
        mac.set_key(self.secret.bytes());
        mac.mac(&[b"tls_hs ticket", salt], key.bytes_mut());
    }
}

/// What a ticket says about its session, but for the secret.
#[derive(Clone, Copy)]
pub struct Session {
    /// Protocol version.
    pub version: Version,
    /// Cipher suite.
    pub suite: Suite,
    /// Group of the full handshake.
    pub group: NamedGroup,
    /// TLS 1.2: whether the master secret is an extended one.
    pub extended_master_secret: bool,
    /// When its full handshake was, in the time of [`Environment::now`].
    pub began: u64,
    /// When it ends, in the same time.
    pub expiry: u64,
    /// TLS 1.3: ticket_age_add, RFC 8446 section 4.6.1.
    pub age_add: u32,
}

/// A sealed ticket.
pub struct Ticket(pub [u8; TICKET_LEN]);

/// What a ticket is bound to beside [`Environment::ticket_scope`].
pub struct Scope<'a> {
    /// The name that the client asked for, compared without regard to case.
    pub server_name: Option<&'a [u8]>,
    /// The application protocol, as its position in [`Environment::alpn_protocols`].
    pub alpn: Option<u8>,
}

impl Scope<'_> {
    /// additional_data of a ticket with this front: that, and a digest of the scope.
    fn additional_data<E: Environment>(
        &self,
        env: &E,
        front: &[u8],
    ) -> [u8; NAME_LEN + SALT_LEN + 32] {
        let mut name = [0; 255];
        let len = copy(self.server_name.unwrap_or(&[]), &mut name);
        name.make_ascii_lowercase();
        let alpn = self
            .alpn
            .and_then(|at| vectors8(env.alpn_protocols()).nth(at.into()));
        let mut hash = <<E::Crypto as Crypto>::Sha256 as Hash<32>>::new();
        hash.update(&env.ticket_scope());
        hash.update(&[len as u8]);
        hash.update(name.get(..len).unwrap_or(&name));
        hash.update(alpn.unwrap_or(&[]));

        let mut data = [0; NAME_LEN + SALT_LEN + 32];
        let (head, tail) = data.split_at_mut(NAME_LEN + SALT_LEN);
        copy(front, head);
        copy(&hash.finish(), tail);
        data
    }
}

/// Whether tickets can be sealed, and are good for anything.
pub fn available<E: Environment>(env: &mut E) -> bool {
    env.config().ticket_lifetime != 0 && env.ticket_key(None, &mut TicketKey::empty())
}

/// Whether new tickets are sealed with the key that sealed this one.
pub fn is_current<E: Environment>(env: &mut E, ticket: &[u8]) -> bool {
    let mut key = TicketKey::empty();
    env.ticket_key(None, &mut key) && ticket.starts_with(&key.name)
}

/// Seals a session with the current ticket key, if there is one.
pub fn seal<E: Environment>(
    env: &mut E,
    scope: Scope<'_>,
    session: &Session,
    secret: &[u8; 48],
) -> Option<Ticket> {
    let mut key = TicketKey::empty();
    if !env.ticket_key(None, &mut key) {
        return None;
    }
    let mut salt = [0; SALT_LEN];
    env.crypto().random(&mut salt);
    let mut ticket_key = Secret::zero();
    key.ticket::<E::Crypto>(&salt, &mut ticket_key);

    let mut state = Secret::<STATE_LEN>::zero();
    let flags = if session.extended_master_secret {
        EXTENDED_MASTER_SECRET
    } else {
        0
    };
    let Session {
        version,
        suite,
        group,
        began,
        expiry,
        age_add,
        ..
    } = *session;
    let fields = (version as u8, suite as u8, group as u8, flags);
    let fields = (fields, &age_add.to_be_bytes()[..]);
    let times = (&began.to_be_bytes()[..], &expiry.to_be_bytes()[..]);
    (fields, times, &secret[..]).encode(&mut Window::new(0, state.bytes_mut()));

    let mut ticket = Ticket([0; TICKET_LEN]);
    (&key.name[..], &salt[..]).encode(&mut Window::new(0, &mut ticket.0));
    let (front, sealed) = ticket.0.split_at_mut(NAME_LEN + SALT_LEN);
    let aad = scope.additional_data(env, front);
    let data = state.bytes_mut();
    let nonce = [0; 12];
    let tag = env
        .crypto()
        .seal(Aead::Aes256Gcm, ticket_key.bytes(), &nonce, &aad, data)
        .ok()?;
    (&data[..], &tag[..]).encode(&mut Window::new(0, sealed));
    Some(ticket)
}

/// Opens a ticket of this scope that has not expired; puts the secret into its slot.
pub fn open<E: Environment>(
    env: &mut E,
    scope: Scope<'_>,
    ticket: &[u8],
    secret: &mut Secret<48>,
) -> Option<Session> {
    let ticket: &[u8; TICKET_LEN] = ticket.try_into().ok()?;
    let (front, sealed) = ticket.split_at(NAME_LEN + SALT_LEN);
    let (name, salt) = front.split_first_chunk::<NAME_LEN>()?;
    let (data, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
    let mut key = TicketKey::empty();
    if !env.ticket_key(Some(name), &mut key) {
        return None;
    }
    let mut ticket_key = Secret::zero();
    key.ticket::<E::Crypto>(salt, &mut ticket_key);
    let mut state = Secret::<STATE_LEN>::zero();
    copy(data, state.bytes_mut());
    let (aad, data) = (scope.additional_data(env, front), state.bytes_mut());
    let nonce = [0; 12];
    env.crypto()
        .open(Aead::Aes256Gcm, ticket_key.bytes(), &nonce, &aad, data, tag)
        .ok()?;

    let mut reader = Reader::new(state.bytes());
    let session = Session {
        version: Version::from_u8(reader.u8().ok()?)?,
        suite: Suite::from_u8(reader.u8().ok()?)?,
        group: NamedGroup::from_u8(reader.u8().ok()?)?,
        extended_master_secret: reader.u8().ok()? == EXTENDED_MASTER_SECRET,
        age_add: u32::from_be_bytes(*reader.array().ok()?),
        began: u64::from_be_bytes(*reader.array().ok()?),
        expiry: u64::from_be_bytes(*reader.array().ok()?),
    };
    copy(reader.rest(), secret.bytes_mut());
    // An expiry beyond the longest lifetime is that of a clock that was put back.
    let left = session.expiry.checked_sub(env.now())?;
    (left > 0 && left <= LIFETIME_MAX.into()).then_some(session)
}
