// SPDX-License-Identifier: GPL-2.0
//! crypto_p256 beside other libraries, in one process, operation by operation in turn.
//!
//! Every library does what a TLS server asks of it: a key pair with its encoded public key, the
//! shared secret from the peer's octets (with validation of the point), a signature with its DER
//! form. Each uses the cheapest public interface that it has for that.

mod libraries;
mod plot;

use libraries::{Library, OPERATIONS};
use std::time::Instant;

/// Samples of each operation of each library.
const ROUNDS: usize = 301;
/// Nanoseconds that a sample takes at least.
const SAMPLE_NS: u128 = 300_000;
/// Calls before each sample that are not timed: they bring code and tables back into the caches.
const WARM_UP: u32 = 3;

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Calls in a sample.
fn calls(operation: &mut dyn FnMut()) -> u32 {
    let start = Instant::now();
    let mut n = 0;
    while n < 4 || start.elapsed().as_nanos() < SAMPLE_NS {
        operation();
        n += 1;
    }
    n
}

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .map_or(ROUNDS, |n| n.parse().expect("number of rounds"));
    let plot = std::env::args().nth(2);
    let mut libraries = libraries::all();
    let mut counts = Vec::new();
    for library in &mut libraries {
        counts.push(
            library
                .operations
                .each_mut()
                .map(|o| o.as_mut().map_or(0, |o| calls(o))),
        );
    }
    let mut samples = vec![[const { Vec::new() }; OPERATIONS.len()]; libraries.len()];
    for _ in 0..rounds {
        for operation in 0..OPERATIONS.len() {
            for ((library, counts), samples) in libraries.iter_mut().zip(&counts).zip(&mut samples)
            {
                let Some(f) = &mut library.operations[operation] else {
                    continue;
                };
                let n = counts[operation];
                (0..WARM_UP).for_each(|_| f());
                let start = Instant::now();
                for _ in 0..n {
                    f();
                }
                samples[operation].push(start.elapsed().as_nanos() as f64 / f64::from(n) / 1000.0);
            }
        }
    }
    let mut rows: Vec<(&Library, [Option<f64>; OPERATIONS.len()])> = Vec::new();
    for (library, samples) in libraries.iter().zip(&mut samples) {
        rows.push((
            library,
            samples
                .each_mut()
                .map(|s| (!s.is_empty()).then(|| median(s))),
        ));
    }
    print_table(&rows, &samples);
    if let Some(path) = plot {
        std::fs::write(&path, plot::bars(&rows)).expect("plot");
    }
    print_ratios(&rows);
}

/// Time of a handshake: a key pair, a shared secret, a signature.
fn handshake(times: &[Option<f64>; OPERATIONS.len()], keygen: usize, derive: usize) -> Option<f64> {
    Some(times[0]? + times[keygen]? + times[derive]?)
}

fn p256(times: &[Option<f64>; OPERATIONS.len()]) -> Option<f64> {
    handshake(times, 1, 2)
}

fn x25519(times: &[Option<f64>; OPERATIONS.len()]) -> Option<f64> {
    handshake(times, 3, 4)
}

fn print_table(
    rows: &[(&Library, [Option<f64>; OPERATIONS.len()])],
    samples: &[[Vec<f64>; OPERATIONS.len()]],
) {
    let cell = |t: Option<f64>| t.map_or("-".to_string(), |t| format!("{t:.2}"));
    println!("Medians in microseconds; the quartiles below each line.\n");
    print!("{:34}", "library");
    for name in OPERATIONS {
        print!(" {name:>16}");
    }
    println!(" {:>16} {:>16}", "P-256 handshake", "X25519 handshake");
    for ((library, times), samples) in rows.iter().zip(samples) {
        print!("{:34}", library.name);
        for t in times {
            print!(" {:>16}", cell(*t));
        }
        println!(" {:>16} {:>16}", cell(p256(times)), cell(x25519(times)));
        print!("{:34}", "");
        for s in samples {
            let quartiles = if s.is_empty() {
                String::new()
            } else {
                format!("{:.2}-{:.2}", s[s.len() / 4], s[s.len() * 3 / 4])
            };
            print!(" {quartiles:>16}");
        }
        println!();
    }
    println!();
}

fn print_ratios(rows: &[(&Library, [Option<f64>; OPERATIONS.len()])]) {
    let of = |key: &str| {
        rows.iter()
            .find(|(l, _)| l.key == key)
            .map(|(_, times)| times)
    };
    let ours = of("ours").expect("our own row");
    let floor = of("openssl-floor")
        .and_then(p256)
        .zip(p256(ours))
        .map(|(theirs, ours)| theirs / ours);
    if let Some(floor) = floor {
        println!("p256_handshake_vs_openssl_ec_point={floor:.2}");
    }
    for (name, time) in [("p256", p256 as fn(&_) -> _), ("x25519", x25519)] {
        for peer in ["openssl", "awslc"] {
            let ratio = of(peer)
                .and_then(time)
                .zip(time(ours))
                .map(|(theirs, ours)| theirs / ours);
            let ratio = ratio.map_or("-".to_string(), |r| format!("{r:.2}"));
            println!("{name}_handshake_vs_{peer}={ratio}");
        }
    }
}
