// SPDX-License-Identifier: GPL-2.0
//! One connection to the runner.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use tls_hs::{Config as EngineConfig, Version};
use tls_hs_host::{Endpoint, Failure, HostCrypto, Identity, Outcome, Received, Stream};

use crate::flags::Config;
use crate::Stop;

/// Bytes that a read takes at most, unless -read-size says otherwise: less than a record, so that
/// one record takes several reads.
const READ_SIZE: usize = 512;

/// What connections of one process have in common.
#[derive(Default)]
pub struct Shared {}

fn endpoint(config: &Config, _: &Shared) -> Result<Endpoint, Stop> {
    let identity = Identity::load(&config.cert_file, &config.key_file).map_err(|error| {
        if error.is_other_kind() {
            Stop::Unimplemented(error.to_string())
        } else {
            Stop::failed(error)
        }
    })?;
    let versions = [
        (Version::Tls12, config.no_tls12),
        (Version::Tls13, config.no_tls13),
    ]
    .into_iter()
    .filter(|&(version, switched_off)| {
        !switched_off
            && config.min_version.is_none_or(|min| min <= version.code())
            && config.max_version.is_none_or(|max| version.code() <= max)
    })
    .fold(0, |bits, (version, _)| bits | version.bit());
    let ecurves = match &config.curves[..] {
        [] => EngineConfig::SUPPORTED.ecurves,
        curves => curves.iter().fold(0, |bits, group| bits | group.bit()),
    };
    Ok(Endpoint {
        config: EngineConfig {
            versions,
            ecurves,
            ..EngineConfig::SUPPORTED
        },
        identity: Arc::new(identity),
    })
}

/// Connects, does a handshake, echoes, and checks what the flags expect.
pub fn run(config: &Config, shared: &Shared, resumes: bool) -> Result<(), Stop> {
    let endpoint = endpoint(config, shared)?;
    let address: SocketAddr = if config.ipv6 {
        (Ipv6Addr::LOCALHOST, config.port).into()
    } else {
        (Ipv4Addr::LOCALHOST, config.port).into()
    };
    let mut transport = TcpStream::connect(address).map_err(Stop::failed)?;
    transport.set_nodelay(true).map_err(Stop::failed)?;
    transport
        .write_all(&config.shim_id.to_le_bytes())
        .map_err(Stop::failed)?;
    let result = talk(config, &endpoint, &transport, resumes);
    drain(&transport);
    result
}

/// Ends the connection in a way that does not take back what was sent: closing a socket with
/// unread data would reset the connection, and the alert would be lost.
fn drain(mut transport: &TcpStream) {
    let _ = transport.shutdown(Shutdown::Write);
    let mut buffer = [0; 4096];
    while matches!(transport.read(&mut buffer), Ok(1..)) {}
}

fn talk(
    config: &Config,
    endpoint: &Endpoint,
    transport: &TcpStream,
    resumes: bool,
) -> Result<(), Stop> {
    let mut stream =
        Stream::accept(transport, endpoint, HostCrypto::new()).map_err(Stop::failed)?;
    check(config, stream.outcome(), resumes).map_err(Stop::Failed)?;
    if let Some(len) = config.max_send_fragment {
        stream.session().limit_fragments(len);
    }
    if !config.shim_shuts_down {
        echo(config, &mut stream)?;
    }
    match (stream.close(), config.check_close_notify) {
        (Err(error), true) => return Err(Stop::failed(error)),
        // A runner that does not check may be gone already.
        (_, false) => return Ok(()),
        (Ok(()), true) => {}
    }
    match stream.receive().map_err(Stop::failed)? {
        Received::Closed => Ok(()),
        Received::Data(_) => Err(Stop::failed("application data instead of close_notify")),
    }
}

fn echo(config: &Config, stream: &mut Stream<&TcpStream>) -> Result<(), Stop> {
    let read_size = config
        .read_size
        .filter(|&size| size > 0)
        .unwrap_or(READ_SIZE);
    loop {
        let mut data = match stream.receive() {
            Ok(Received::Data(data)) => data,
            Ok(Received::Closed) => return Ok(()),
            Err(Failure::Truncated) if !config.check_close_notify => return Ok(()),
            Err(failure) => return Err(Stop::failed(failure)),
        };
        data.iter_mut().for_each(|byte| *byte ^= 0xff);
        for part in data.chunks(read_size) {
            if config.key_update {
                stream.session().update_keys();
            }
            stream.send(part).map_err(Stop::failed)?;
        }
    }
}

/// Whether the handshake came out as the flags expect.
fn check(config: &Config, outcome: &Outcome, resumes: bool) -> Result<(), String> {
    let name = outcome.server_name.as_deref().unwrap_or_default();
    if !config.expect_server_name.is_empty() && config.expect_server_name != name {
        return Err(format!("server name: {}", String::from_utf8_lossy(name)));
    }
    if config.expect_session_id && !resumes {
        return Err("there is no session cache".into());
    }
    match config.expect_curve_id {
        Some(code) if code != outcome.group.code() => {
            Err(format!("group: {}", outcome.group.name()))
        }
        _ => Ok(()),
    }
}
