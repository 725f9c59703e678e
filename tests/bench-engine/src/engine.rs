// SPDX-License-Identifier: GPL-2.0
//! The engine, driven as the module does it: the context of a connection is the engine's alone,
//! scratch memory and the buffer to send from belong to the CPU.

use std::cell::RefCell;

use tls_hs::{Config, Crypto, Environment, Secret, Step, TicketKey, SCRATCH_LEN};
use tls_hs_host::{HostCrypto, Identity};

use crate::pki::Pki;
use crate::{Case, Connection, Server};

pub struct Engine {
    identity: Identity,
    ticket_name: [u8; 16],
    ticket_secret: [u8; 32],
    cpu: RefCell<PerCpu>,
}

/// What connections take turns to use.
struct PerCpu {
    crypto: HostCrypto,
    scratch: Box<[u8; SCRATCH_LEN]>,
    transmit: Box<[u8; SCRATCH_LEN]>,
}

struct Host<'a> {
    engine: &'a Engine,
    crypto: &'a mut HostCrypto,
}

impl Environment for Host<'_> {
    type Crypto = HostCrypto;

    fn crypto(&mut self) -> &mut HostCrypto {
        self.crypto
    }

    fn config(&self) -> Config {
        Config::SUPPORTED
    }

    fn select_identity(&mut self, _: Option<&[u8]>) -> bool {
        true
    }

    fn certificate_chain(&self) -> &[u8] {
        &self.engine.identity.chain
    }

    fn ticket_key(&mut self, name: Option<&[u8; 16]>, key: &mut TicketKey) -> bool {
        key.name = self.engine.ticket_name;
        key.secret = Secret::zero();
        *key.secret.bytes_mut() = self.engine.ticket_secret;
        name.is_none_or(|name| *name == self.engine.ticket_name)
    }
}

impl Engine {
    pub fn new(pki: &Pki) -> Self {
        let (mut ticket_name, mut ticket_secret) = ([0; 16], [0; 32]);
        let mut crypto = HostCrypto::new();
        crypto.random(&mut ticket_name);
        crypto.random(&mut ticket_secret);
        Engine {
            identity: Identity::new(pki.leaf.der(), &pki.key.serialize_der()).unwrap(),
            ticket_name,
            ticket_secret,
            cpu: RefCell::new(PerCpu {
                crypto,
                scratch: Box::new([0; SCRATCH_LEN]),
                transmit: Box::new([0; SCRATCH_LEN]),
            }),
        }
    }
}

impl Server for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn connect<'a>(&'a self, _: &Case) -> Box<dyn Connection + 'a> {
        Box::new(EngineConnection {
            engine: self,
            server: tls_hs::Server::new(),
        })
    }
}

struct EngineConnection<'a> {
    engine: &'a Engine,
    server: tls_hs::Server<HostCrypto>,
}

impl Connection for EngineConnection<'_> {
    /// The client's bytes come in whole flights here, so nothing is left over for the next call.
    fn step(&mut self, mut input: &[u8], output: &mut Vec<u8>) {
        let engine = self.engine;
        let mut cpu = engine.cpu.borrow_mut();
        let PerCpu {
            crypto,
            scratch,
            transmit,
        } = &mut *cpu;
        let mut host = Host { engine, crypto };
        let server = &mut self.server;
        loop {
            match server.step() {
                Step::Receive => {
                    let len = server.receive(&mut host, input, scratch).unwrap();
                    input = &input[len..];
                    if len == 0 && matches!(server.step(), Step::Receive) {
                        assert!(input.is_empty());
                        return;
                    }
                }
                Step::MakeShare { group } => {
                    let mut private = [0; 32];
                    let public = host.crypto.make_share(group, &mut private);
                    server.share_made(&mut host, &private, &public).unwrap();
                }
                Step::Derive {
                    group,
                    private,
                    peer,
                } => {
                    let shared = host.crypto.derive(group, private, peer).unwrap();
                    server.derived(&mut host, Some(&shared)).unwrap();
                }
                Step::Sign { digest } => {
                    let signature = host.crypto.sign(&engine.identity.key, digest).unwrap();
                    server.signed(&mut host, &signature).unwrap();
                }
                Step::Transmit => {
                    let len = server.transmit(&mut host, &mut transmit[..]).unwrap();
                    output.extend_from_slice(&transmit[..len]);
                }
                Step::Established => return,
                Step::Failed => unreachable!("errors were unwrapped"),
            }
        }
    }

    fn complete(&self) -> Option<bool> {
        Some(self.server.established()?.resumed)
    }
}
