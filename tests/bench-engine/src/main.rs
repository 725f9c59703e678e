// SPDX-License-Identifier: GPL-2.0
//! What a handshake costs the server: CPU time and memory, without sockets.
//!
//! The same rustls client, not counted, does handshakes in memory with three servers by turns:
//! the engine, OpenSSL and rustls with aws-lc-rs. For each handshake the CPU time of the thread
//! is taken around what the server does, from the making of the connection to its end, tickets
//! included. Shown are the medians of all rounds; compared is in each round what the servers took in
//! it, one right after the other, so that a machine that is slower for a while is so for all of them.

mod client;
mod engine;
mod memory;
mod peers;
mod pki;

use std::time::Duration;

use clap::Parser;
use client::{Client, Library};

/// A kind of handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Case {
    name: &'static str,
    tls13: bool,
    x25519: bool,
    resumed: bool,
}

const CASES: [Case; 6] = [
    Case::new("tls13_full", true, false, false),
    Case::new("tls13_full_x25519", true, true, false),
    Case::new("tls13_resumed", true, false, true),
    Case::new("tls13_resumed_x25519", true, true, true),
    Case::new("tls12_full", false, false, false),
    Case::new("tls12_resumed", false, false, true),
];

impl Case {
    const fn new(name: &'static str, tls13: bool, x25519: bool, resumed: bool) -> Self {
        Case {
            name,
            tls13,
            x25519,
            resumed,
        }
    }
}

/// One connection of a server under test.
pub trait Connection {
    /// Takes bytes of the client and appends to `output` what goes back. Panics if the handshake
    /// fails.
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>);
    /// Whether the handshake is complete, and if so whether it resumed a session.
    fn complete(&self) -> Option<bool>;
}

/// A server under test.
pub trait Server {
    fn name(&self) -> &'static str;
    fn connect<'a>(&'a self, case: &Case) -> Box<dyn Connection + 'a>;
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Does one handshake; returns what it cost the server.
fn handshake(server: &dyn Server, case: &Case, client: &mut Client) -> Duration {
    let mut cost = Duration::ZERO;
    let mut output = Vec::with_capacity(1 << 16);
    let mut hello = client.start();

    let start = cpu_time();
    let mut connection = server.connect(case);
    cost += cpu_time() - start;
    loop {
        output.clear();
        let start = cpu_time();
        connection.step(&hello, &mut output);
        cost += cpu_time() - start;
        hello = client.step(&output);
        if hello.is_empty() {
            break;
        }
    }
    let resumed = connection.complete().expect("the server has finished");
    assert!(client.complete(), "the client has finished");
    assert_eq!(resumed, case.resumed, "{} of {}", case.name, server.name());
    let start = cpu_time();
    drop(connection);
    cost + (cpu_time() - start)
}

/// CPU time of TLS servers for a handshake.
#[derive(clap::Parser)]
struct Arguments {
    /// Handshakes of each server and case.
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// Only this kind of handshake.
    #[arg(long)]
    case: Option<String>,
    /// Only this server.
    #[arg(long)]
    server: Option<String>,
    /// Where the client's cryptography comes from.
    #[arg(long, value_enum, default_value_t = Library::Ring)]
    client: Library,
}

/// The median of what another server took, for each round, over what the engine took.
fn ratio(ours: &[Duration], theirs: &[Duration]) -> f64 {
    let pairs = theirs.iter().zip(ours);
    let mut ratios: Vec<_> = pairs
        .map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Median, and the quarters below and above it, in microseconds.
fn quartiles(times: &mut [Duration]) -> [f64; 3] {
    times.sort_unstable();
    [1, 2, 3].map(|quarter| times[(times.len() - 1) * quarter / 4].as_secs_f64() * 1e6)
}

fn main() {
    let arguments = Arguments::parse();
    let wanted = |choice: &Option<String>, name: &str| choice.as_ref().is_none_or(|c| c == name);
    let pki = pki::Pki::new();
    let servers: Vec<Box<dyn Server>> = vec![
        Box::new(engine::Engine::new(&pki)),
        Box::new(peers::OpenSsl::new(&pki)),
        Box::new(peers::Rustls::new(&pki)),
    ];
    let servers: Vec<_> = servers
        .iter()
        .filter(|server| wanted(&arguments.server, server.name()))
        .collect();
    println!(
        "CPU time of the server for one handshake in us: median (quartiles) of {} by turns; {}",
        arguments.rounds,
        openssl::version::version()
    );
    let mut ratios = Vec::new();
    for case in CASES
        .iter()
        .filter(|case| wanted(&arguments.case, case.name))
    {
        let mut clients: Vec<_> = servers
            .iter()
            .map(|_| Client::new(&pki, case, arguments.client))
            .collect();
        let mut times = vec![Vec::with_capacity(arguments.rounds); servers.len()];
        if case.resumed {
            let full = Case {
                resumed: false,
                ..*case
            };
            for (server, client) in servers.iter().zip(&mut clients) {
                handshake(&***server, &full, client);
            }
        }
        for _ in 0..arguments.rounds {
            for ((server, client), times) in servers.iter().zip(&mut clients).zip(&mut times) {
                if !case.resumed {
                    client.forget();
                }
                times.push(handshake(&***server, case, client));
            }
        }
        if let [engine, others @ ..] = &times[..] {
            for (server, times) in servers.iter().skip(1).zip(others) {
                ratios.push((case.name, server.name(), ratio(engine, times)));
            }
        }
        print!("{:<22}", case.name);
        for (server, times) in servers.iter().zip(&mut times) {
            let [low, median, high] = quartiles(times);
            print!("  {} {median:.1} ({low:.1}-{high:.1})", server.name());
        }
        println!();
    }
    for server in &servers {
        println!(
            "memory of a connection that waits for the client's Finished, {}: TLS 1.3 {} bytes, TLS 1.2 {} bytes",
            server.name(),
            memory::per_connection(&***server, &pki, &CASES[0]),
            memory::per_connection(&***server, &pki, &CASES[4]),
        );
    }
    // Those with X25519 first: the others are what is asked for.
    ratios.sort_by_key(|(case, server, _)| (!case.ends_with("x25519"), *server));
    for (case, server, ratio) in ratios {
        if servers[0].name() == "engine" {
            println!("engine_{case}_vs_{server}={ratio:.2}");
        }
    }
}
