// SPDX-License-Identifier: GPL-2.0
//! Clients of other implementations, in memory, and a handshake of one of them with the engine.

use std::io::{Read, Write};
use std::sync::Arc;

use crate::host::{identity, Connection, NAME};
use tls_hs::{Error, Traffic};

/// A client: bytes in, bytes out.
pub trait Client {
    /// Takes what the server sent.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String>;
    /// What it wants to send.
    fn give(&mut self) -> Vec<u8>;
    /// Whether its handshake is complete.
    fn complete(&self) -> bool;
}

/// Runs a handshake until nobody has anything to say.
pub fn handshake(client: &mut dyn Client, connection: &mut Connection) -> Result<(), Error> {
    loop {
        let bytes = client.give();
        let silent = bytes.is_empty();
        connection.take(&bytes)?;
        let answer = std::mem::take(&mut connection.out);
        if silent && answer.is_empty() {
            return Ok(());
        }
        client
            .take(&answer)
            .expect("the client refuses what the server sent");
    }
}

/// rustls.
pub struct Rustls {
    pub connection: rustls::ClientConnection,
}

/// A configuration that trusts the tests' authority.
pub fn rustls_config(provider: rustls::crypto::CryptoProvider) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity().authority.clone().into()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

impl Rustls {
    pub fn new(mut config: rustls::ClientConfig) -> Self {
        config.enable_secret_extraction = true;
        let name = NAME.try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        Rustls { connection }
    }
}

impl Client for Rustls {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).unwrap();
            self.connection
                .process_new_packets()
                .map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn give(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn complete(&self) -> bool {
        !self.connection.is_handshaking()
    }
}

/// A pipe that never blocks.
#[derive(Debug, Default)]
pub struct Pipe {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.input.is_empty() {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let len = out.len().min(self.input.len());
        out[..len].copy_from_slice(&self.input[..len]);
        self.input.drain(..len);
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

/// OpenSSL.
pub struct OpenSsl {
    pub stream: openssl::ssl::SslStream<Pipe>,
    complete: bool,
}

impl OpenSsl {
    pub fn new(configure: impl FnOnce(&mut openssl::ssl::SslContextBuilder)) -> Self {
        Self::with(configure, |_| ())
    }

    pub fn with(
        configure: impl FnOnce(&mut openssl::ssl::SslContextBuilder),
        prepare: impl FnOnce(&mut openssl::ssl::Ssl),
    ) -> Self {
        use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        let authority = openssl::x509::X509::from_der(&identity().authority).unwrap();
        context.cert_store_mut().add_cert(authority).unwrap();
        context.set_verify(SslVerifyMode::PEER);
        configure(&mut context);
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_hostname(NAME).unwrap();
        ssl.param_mut().set_host(NAME).unwrap();
        prepare(&mut ssl);
        let stream = openssl::ssl::SslStream::new(ssl, Pipe::default()).unwrap();
        OpenSsl {
            stream,
            complete: false,
        }
    }

    /// Takes what comes behind the handshake, which is no application data.
    pub fn read_nothing(&mut self) {
        assert!(self.stream.ssl_read(&mut [0]).is_err());
    }

    fn go_on(&mut self) -> Result<(), String> {
        if self.complete {
            return Ok(());
        }
        match self.stream.connect() {
            Ok(()) => self.complete = true,
            Err(e) if e.code() == openssl::ssl::ErrorCode::WANT_READ => {}
            Err(e) => return Err(e.to_string()),
        }
        Ok(())
    }
}

impl Client for OpenSsl {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().input.extend_from_slice(bytes);
        self.go_on()
    }

    fn give(&mut self) -> Vec<u8> {
        self.go_on().unwrap();
        std::mem::take(&mut self.stream.get_mut().output)
    }

    fn complete(&self) -> bool {
        self.complete
    }
}

/// Keys of one direction in a form that can be compared.
pub fn keys(traffic: &Traffic) -> (u64, Vec<u8>, Vec<u8>) {
    (traffic.seq(), traffic.key().to_vec(), traffic.iv().to_vec())
}
