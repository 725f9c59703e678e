// SPDX-License-Identifier: GPL-2.0
//! An HTTPS server over the handshake engine, without the kernel: for tests, and for people who
//! want to try the engine. It serves one page, to many connections at a time, one thread each.

#![forbid(unsafe_code)]

mod arguments;
mod http;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tls_hs_host::{Endpoint, Failure, HostCrypto, Identity, Outcome, Received, Stream};

use arguments::Arguments;

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How long the server waits for a client to read what was sent last.
const LINGER: Duration = Duration::from_secs(2);
/// Stack of a connection's thread.
const STACK: usize = 256 << 10;

struct Server {
    endpoint: Endpoint,
    page: Vec<u8>,
    verbose: bool,
    connections: AtomicUsize,
    connections_max: usize,
}

fn version_name(outcome: &Outcome) -> &'static str {
    match outcome.version {
        tls_hs::Version::Tls12 => "TLSv1.2",
        tls_hs::Version::Tls13 => "TLSv1.3",
    }
}

/// Ends the sending side, then reads until the client has ended too: closing at once would reset
/// the connection if anything is unread, and take back what was sent last.
fn linger(mut transport: &TcpStream) {
    let _ = transport.shutdown(Shutdown::Write);
    let _ = transport.set_read_timeout(Some(LINGER));
    let mut buffer = [0; 4096];
    for _ in 0..64 {
        if !matches!(transport.read(&mut buffer), Ok(1..)) {
            break;
        }
    }
}

fn serve(server: &Server, transport: &TcpStream, peer: SocketAddr) -> Result<(), Failure> {
    transport.set_nodelay(true)?;
    transport.set_read_timeout(Some(IDLE))?;
    transport.set_write_timeout(Some(IDLE))?;
    let mut stream = Stream::accept(transport, &server.endpoint, HostCrypto::new())?;
    let outcome = stream.outcome().clone();
    let about = format!(
        "engine {} {}",
        version_name(&outcome),
        outcome.suite.name(outcome.version)
    );
    let mut requests = http::Requests::default();
    let mut sent = 0;
    let result = loop {
        match stream.receive() {
            Ok(Received::Data(data)) => requests.feed(&data),
            Ok(Received::Closed) => break stream.close(),
            Err(failure) => break Err(failure),
        }
        let mut close = false;
        while let Some(response) = requests.answer(&server.page, &about) {
            stream.send(&response.bytes)?;
            sent += response.bytes.len();
            close = response.close;
            if close {
                break;
            }
        }
        if close {
            break stream.close();
        }
    };
    if server.verbose {
        let name = outcome.server_name.as_deref().unwrap_or(b"-");
        say(&format!(
            "conn peer={peer} tls=engine version={} suite={} group={} sni={} bytes={sent}",
            version_name(&outcome),
            outcome.suite.name(outcome.version),
            outcome.group.name(),
            name.escape_ascii(),
        ));
    }
    result
}

/// Prints a line; nobody need listen.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn listen(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let identity = Identity::load(&arguments.cert, &arguments.key)?;
    let server = Arc::new(Server {
        endpoint: Endpoint {
            config: arguments.config(),
            identity: Arc::new(identity),
        },
        page: vec![b'x'; arguments.body_size],
        verbose: arguments.verbose,
        connections: AtomicUsize::new(0),
        connections_max: arguments.connections,
    });
    let listener = TcpListener::bind((arguments.address, arguments.port))?;
    say(&format!("ready {}", listener.local_addr()?));
    loop {
        let (transport, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // The client is gone already, or there are no more file descriptors just now.
            Err(error) => {
                eprintln!("accept: {error}");
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
        };
        if server.connections.fetch_add(1, Ordering::Relaxed) >= server.connections_max {
            server.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let for_thread = server.clone();
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                if let Err(failure) = serve(&for_thread, &transport, peer) {
                    if for_thread.verbose {
                        say(&format!("fail peer={peer} {failure}"));
                    }
                }
                linger(&transport);
                for_thread.connections.fetch_sub(1, Ordering::Relaxed);
            });
        if let Err(error) = thread {
            eprintln!("no thread: {error}");
            server.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn main() -> ExitCode {
    match listen(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls_hs_server: {error}");
            ExitCode::FAILURE
        }
    }
}
