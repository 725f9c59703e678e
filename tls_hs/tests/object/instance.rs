// SPDX-License-Identifier: GPL-2.0
//! The engine instantiated as in the kernel: cryptography behind symbols, hash states of the
//! kernel's sizes. Compiled by tests/object.rs, which looks at the symbols that it needs.

#![no_std]

use tls_hs::session::Session;
use tls_hs::{
    Aead, Config, Crypto, Environment, Error, Hash, Hmac, Input, Reason, Server, Step, TicketKey,
};

extern "C" {
    fn model_hash(state: *mut u64, data: *const u8, len: usize);
    fn model_hmac(key: *const u64, msg: *const &[u8], parts: usize, out: *mut u8);
    fn model_aead(
        key: *const u8,
        nonce: *const u8,
        aad: *const u8,
        data: *mut u8,
        tag: *mut u8,
    ) -> bool;
    fn model_random(out: *mut u8, len: usize);
    fn model_peek(at: usize, out: *mut u8, len: usize) -> usize;
    fn model_select(name: *const u8, len: usize) -> bool;
    fn model_ticket_key(name: *const u8, out: *mut u8) -> bool;
    fn model_now() -> u64;
}

/// A hash state of `WORDS` 64-bit words.
#[derive(Clone)]
pub struct State<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize, const N: usize> Hash<N> for State<WORDS> {
    fn new() -> Self {
        State([0; WORDS])
    }
    fn update(&mut self, data: &[u8]) {
        unsafe { model_hash(self.0.as_mut_ptr(), data.as_ptr(), data.len()) }
    }
    fn finish(mut self) -> [u8; N] {
        let mut out = [0; N];
        unsafe { model_hash(self.0.as_mut_ptr(), out.as_mut_ptr(), N) }
        out
    }
}

/// A prepared key of `WORDS` 64-bit words.
pub struct Key<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize, const N: usize> Hmac<N> for Key<WORDS> {
    fn new() -> Self {
        Key([0; WORDS])
    }
    fn set_key(&mut self, key: &[u8]) {
        unsafe { model_hash(self.0.as_mut_ptr(), key.as_ptr(), key.len()) }
    }
    fn mac(&self, msg: &[&[u8]], out: &mut [u8; N]) {
        let key = self.0.as_ptr();
        unsafe { model_hmac(key, msg.as_ptr(), msg.len(), out.as_mut_ptr()) }
    }
}

impl<const WORDS: usize> Drop for Key<WORDS> {
    fn drop(&mut self) {
        unsafe { model_hash(self.0.as_mut_ptr(), core::ptr::null(), 0) }
    }
}

pub struct Model;

impl Crypto for Model {
    type Sha256 = State<14>;
    type Sha384 = State<27>;
    type HmacSha256 = Key<8>;
    type HmacSha384 = Key<16>;

    fn seal(
        &mut self,
        _: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; 16], Error> {
        let mut tag = [0; 16];
        let (key, nonce, aad) = (key.as_ptr(), nonce.as_ptr(), aad.as_ptr());
        match unsafe { model_aead(key, nonce, aad, data.as_mut_ptr(), tag.as_mut_ptr()) } {
            true => Ok(tag),
            false => Err(Reason::CryptoFailed.into()),
        }
    }
    fn open(
        &mut self,
        _: Aead,
        key: &[u8],
        nonce: &[u8; 12],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Error> {
        let mut tag = *tag;
        let (key, nonce, aad) = (key.as_ptr(), nonce.as_ptr(), aad.as_ptr());
        match unsafe { model_aead(key, nonce, aad, data.as_mut_ptr(), tag.as_mut_ptr()) } {
            true => Ok(()),
            false => Err(Reason::BadRecordMac.into()),
        }
    }
    fn random(&mut self, out: &mut [u8]) {
        unsafe { model_random(out.as_mut_ptr(), out.len()) }
    }
}

pub struct Env<'a> {
    crypto: Model,
    config: Config,
    chain: &'a [u8],
    alpn: &'a [u8],
    ocsp: &'a [u8],
    scope: [u8; 32],
}

impl Environment for Env<'_> {
    type Crypto = Model;
    fn crypto(&mut self) -> &mut Model {
        &mut self.crypto
    }
    fn config(&self) -> Config {
        self.config
    }
    fn select_identity(&mut self, name: Option<&[u8]>) -> bool {
        let name = name.unwrap_or(&[]);
        unsafe { model_select(name.as_ptr(), name.len()) }
    }
    fn certificate_chain(&self) -> &[u8] {
        self.chain
    }
    fn alpn_protocols(&self) -> &[u8] {
        self.alpn
    }
    fn ocsp_response(&self) -> &[u8] {
        self.ocsp
    }
    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        let name = name.map_or(core::ptr::null(), |name| name.as_ptr());
        let secret = key.secret.bytes_mut().as_mut_ptr();
        unsafe { model_ticket_key(name, key.name.as_mut_ptr()) && model_ticket_key(name, secret) }
    }
    fn ticket_scope(&self) -> [u8; 32] {
        self.scope
    }
    fn now(&self) -> u64 {
        unsafe { model_now() }
    }
}

pub struct Queue(usize);

impl Input for Queue {
    fn available(&self) -> usize {
        self.0
    }
    fn peek(&self, at: usize, out: &mut [u8]) -> usize {
        unsafe { model_peek(at, out.as_mut_ptr(), out.len()) }
    }
}

#[no_mangle]
pub fn instance_new() -> Server<Model> {
    Server::new()
}

#[no_mangle]
pub fn instance_receive(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    queue: &Queue,
    scratch: &mut [u8; tls_hs::SCRATCH_LEN],
) -> Result<usize, Error> {
    server.receive(env, queue, scratch)
}

#[no_mangle]
pub fn instance_share_made(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    private: &[u8; 32],
    public: &[u8],
) -> Result<(), Error> {
    server.share_made(env, private, public)
}

#[no_mangle]
pub fn instance_derived(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    shared: Option<&[u8]>,
) -> Result<(), Error> {
    server.derived(env, shared)
}

#[no_mangle]
pub fn instance_signed(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    signature: &[u8],
) -> Result<(), Error> {
    server.signed(env, signature)
}

#[no_mangle]
pub fn instance_transmit(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    out: &mut [u8],
) -> Result<usize, Error> {
    server.transmit(env, out)
}

#[no_mangle]
pub fn instance_alert(
    server: &mut Server<Model>,
    env: &mut Env<'_>,
    reason: Reason,
    out: &mut [u8],
) -> usize {
    server.alert(env, reason, out)
}

#[no_mangle]
pub fn instance_step(server: &Server<Model>) -> Step<'_> {
    server.step()
}

#[no_mangle]
pub fn instance_established(server: &Server<Model>) -> usize {
    server
        .established()
        .map_or(0, |e| e.client.key().len() + e.server.key().len())
}

#[no_mangle]
pub fn instance_session(server: &Server<Model>, session: &mut Session) {
    if let Some(established) = server.established() {
        session.start(&established);
    }
}

#[no_mangle]
pub fn instance_session_record(
    session: &mut Session,
    kind: u8,
    content: &[u8],
) -> Result<tls_hs::session::Event, Error> {
    session.record(kind, content)
}

#[no_mangle]
pub fn instance_session_keys(
    session: &mut Session,
    crypto: &mut Model,
    [client, server]: &mut [tls_hs::Traffic; 2],
) {
    session.next_client(crypto, client);
    session.next_server(crypto, server);
}

/// A secret whose last use is its drop.
#[no_mangle]
pub fn instance_wipe() {
    let mut secret = tls_hs::Secret::<32>::zero();
    unsafe { model_random(secret.bytes_mut().as_mut_ptr(), 32) }
}
