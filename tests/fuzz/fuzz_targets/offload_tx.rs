// SPDX-License-Identifier: GPL-2.0
//! The transmit side: packets of any stream in any order, losses, acknowledgements, answers of the
//! stack and failures of the device. The model compares what goes on the wire with what it shall be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offload_model::{Sender, Stream};
use offload_ndo::Policy;

fuzz_target!(|data: &[u8]| {
    let [capacity, delay, credit, backoff, data @ ..] = data else {
        return;
    };
    let Some((stream, ops)) = Stream::from_bytes(data) else {
        return;
    };
    let policy = Policy {
        delay: u32::from(*delay) * 100,
        credit: match credit {
            255 => u32::MAX,
            credit => u32::from(*credit) * 50,
        },
        backoff: u32::from(*backoff) * 50,
    };
    let mut sender = Sender::new(stream, usize::from(*capacity), policy);
    for op in ops.chunks_exact(4).take(400) {
        let [kind, x, y, z] = *op else { return };
        let flight = sender.sent - sender.acknowledged;
        let at = sender.acknowledged + flight * usize::from(u16::from_be_bytes([x, y])) / 0xffff;
        let len = match z {
            0..200 => usize::from(z) + 1,
            _ => usize::from(z - 199) * 500,
        };
        match kind % 16 {
            0..6 => drop(sender.send(len)),
            6 => sender.lose(len),
            7..12 => {
                // Bytes from before the offload are never in one packet with a record.
                let start = sender.stream.index(sender.stream.start);
                let limit = if at < start { start } else { sender.sent };
                let end = (at + len).min(limit).min(sender.sent);
                if at < end {
                    sender.packet(at, end);
                }
            }
            12 => sender.acknowledge(at),
            13 => sender.push(),
            14 => sender.fail(),
            _ if z & 1 == 0 => sender.tx.forget(),
            _ => sender.refuse(),
        }
    }
});
