// SPDX-License-Identifier: GPL-2.0
//! The servers that the engine is compared with, configured alike: one P-256 certificate,
//! stateless tickets, no client certificates.

use std::io::{Read, Write};
use std::sync::Arc;

use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslStream,
};
use rustls::crypto::aws_lc_rs;

use crate::pki::Pki;
use crate::{Case, Connection, Server};

pub struct OpenSsl {
    context: SslContext,
}

impl OpenSsl {
    pub fn new(pki: &Pki) -> Self {
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        let leaf = openssl::x509::X509::from_der(pki.leaf.der()).unwrap();
        let key = openssl::pkey::PKey::private_key_from_der(&pki.key.serialize_der()).unwrap();
        context.set_certificate(&leaf).unwrap();
        context.set_private_key(&key).unwrap();
        context.set_groups_list("P-256:X25519").unwrap();
        // Tickets only, and buffers given back when they are empty: what a busy server would set.
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_mode(SslMode::RELEASE_BUFFERS);
        context.set_options(SslOptions::NO_COMPRESSION);
        context.set_session_id_context(b"bench").unwrap();
        OpenSsl {
            context: context.build(),
        }
    }
}

/// A pipe that never blocks.
#[derive(Debug, Default)]
struct Pipe {
    input: Vec<u8>,
    consumed: usize,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.input[self.consumed..];
        if rest.is_empty() {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let len = out.len().min(rest.len());
        out[..len].copy_from_slice(&rest[..len]);
        self.consumed += len;
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct OpenSslConnection {
    stream: SslStream<Pipe>,
    complete: bool,
}

impl Server for OpenSsl {
    fn name(&self) -> &'static str {
        "openssl"
    }

    fn connect<'a>(&'a self, _: &Case) -> Box<dyn Connection + 'a> {
        let ssl = Ssl::new(&self.context).unwrap();
        Box::new(OpenSslConnection {
            stream: SslStream::new(ssl, Pipe::default()).unwrap(),
            complete: false,
        })
    }
}

impl Connection for OpenSslConnection {
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) {
        let pipe = self.stream.get_mut();
        pipe.input.clear();
        pipe.consumed = 0;
        pipe.input.extend_from_slice(input);
        match self.stream.accept() {
            Ok(()) => self.complete = true,
            Err(error) => assert_eq!(error.code(), ErrorCode::WANT_READ, "{error}"),
        }
        output.append(&mut self.stream.get_mut().output);
    }

    fn complete(&self) -> Option<bool> {
        self.complete.then(|| self.stream.ssl().session_reused())
    }
}

pub struct Rustls {
    config: Arc<rustls::ServerConfig>,
}

impl Rustls {
    pub fn new(pki: &Pki) -> Self {
        let key = rustls::pki_types::PrivateKeyDer::try_from(pki.key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pki.leaf.der().clone()], key)
            .unwrap();
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
        Rustls {
            config: Arc::new(config),
        }
    }
}

struct RustlsConnection(rustls::ServerConnection);

impl Server for Rustls {
    fn name(&self) -> &'static str {
        "rustls"
    }

    fn connect<'a>(&'a self, _: &Case) -> Box<dyn Connection + 'a> {
        let connection = rustls::ServerConnection::new(self.config.clone()).unwrap();
        Box::new(RustlsConnection(connection))
    }
}

impl Connection for RustlsConnection {
    fn step(&mut self, mut input: &[u8], output: &mut Vec<u8>) {
        while !input.is_empty() {
            self.0.read_tls(&mut input).unwrap();
            self.0.process_new_packets().unwrap();
        }
        while self.0.wants_write() {
            self.0.write_tls(output).unwrap();
        }
    }

    fn complete(&self) -> Option<bool> {
        let resumed = self.0.handshake_kind()? == rustls::HandshakeKind::Resumed;
        (!self.0.is_handshaking()).then_some(resumed)
    }
}
