// SPDX-License-Identifier: GPL-2.0
//! The command line.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use clap::Parser;
use tls_hs::{Config, NamedGroup, Suite, Version};

/// HTTPS server over the tls_hs handshake engine in user space, for tests.
///
/// Prints "ready ADDRESS:PORT" when it listens.
#[derive(Parser)]
#[command(name = "tls_hs_server", version)]
pub struct Arguments {
    /// Address to listen on
    #[arg(short, long, default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub address: IpAddr,

    /// Port to listen on, 0 for a free one
    #[arg(short, long, default_value_t = 4433)]
    pub port: u16,

    /// Certificate chain, PEM, leaf first
    #[arg(short, long, value_name = "FILE")]
    pub cert: PathBuf,

    /// Private key, PEM
    #[arg(short, long, value_name = "FILE")]
    pub key: PathBuf,

    /// Another chain and key, for the server name NAME or *.NAME; may be repeated
    #[arg(long, value_name = "NAME:CERT:KEY", value_parser = vhost)]
    pub vhost: Vec<Vhost>,

    /// Refuse server names that have no chain of their own
    #[arg(long)]
    pub strict: bool,

    /// OCSP response in DER to staple to --cert
    #[arg(long, value_name = "FILE")]
    pub ocsp: Option<PathBuf>,

    /// Size of the page in bytes
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub body_size: usize,

    /// TLS versions: 1.2, 1.3 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = version)]
    versions: Vec<Version>,

    /// Groups: secp256r1, x25519 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = group)]
    groups: Vec<NamedGroup>,

    /// TLS 1.3 cipher suites by their registered names [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tls13_suite)]
    ciphersuites: Vec<Suite>,

    /// TLS 1.2 cipher suites by their registered names [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = tls12_suite)]
    ciphers: Vec<Suite>,

    /// Application protocols, the preferred one first; "" for none
    #[arg(long, value_name = "LIST", default_value = "http/1.1")]
    pub alpn: String,

    /// Tickets for each connection of TLS 1.3; 0 for no resumption in either version
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub tickets: u8,

    /// Close the connection after each response
    #[arg(long)]
    pub close: bool,

    /// Most connections at a time; what is beyond is closed
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub connections: usize,

    /// Print a line for each connection
    #[arg(short, long)]
    pub verbose: bool,
}

/// A name and its files.
#[derive(Clone)]
pub struct Vhost {
    pub name: String,
    pub cert: PathBuf,
    pub key: PathBuf,
}

fn vhost(value: &str) -> Result<Vhost, String> {
    match value.split(':').collect::<Vec<_>>()[..] {
        [name, cert, key] => Ok(Vhost {
            name: name.into(),
            cert: cert.into(),
            key: key.into(),
        }),
        _ => Err("not NAME:CERT:KEY".into()),
    }
}

fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, wanted: &str) -> Result<T, String> {
    all.iter()
        .copied()
        .find(|&value| name(value).eq_ignore_ascii_case(wanted))
        .ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|&value| name(value)).collect();
            format!("there are: {}", names.join(", "))
        })
}

fn version(name: &str) -> Result<Version, String> {
    let short = |version| match version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    one_of(&[Version::Tls12, Version::Tls13], short, name)
}

fn group(name: &str) -> Result<NamedGroup, String> {
    one_of(&NamedGroup::ALL, NamedGroup::name, name)
}

fn tls13_suite(name: &str) -> Result<Suite, String> {
    one_of(&Suite::ALL, |suite| suite.name(Version::Tls13), name)
}

fn tls12_suite(name: &str) -> Result<Suite, String> {
    one_of(&Suite::ALL, |suite| suite.name(Version::Tls12), name)
}

/// The bits of a list; all that the engine has if the list is empty.
fn mask<T: Copy>(list: &[T], bit: impl Fn(T) -> u32, all: u32) -> u32 {
    match list {
        [] => all,
        _ => list.iter().fold(0, |mask, &value| mask | bit(value)),
    }
}

impl Arguments {
    /// What the engine may negotiate.
    pub fn config(&self) -> Config {
        let mut config = Config::SUPPORTED;
        config.versions = mask(&self.versions, Version::bit, config.versions);
        config.tls_13_ciphersuites =
            mask(&self.ciphersuites, Suite::bit, config.tls_13_ciphersuites);
        config.tls_12_cipher_suites = mask(&self.ciphers, Suite::bit, config.tls_12_cipher_suites);
        config.ecurves = mask(&self.groups, NamedGroup::bit, config.ecurves);
        config.tickets = self.tickets;
        config
    }
}
