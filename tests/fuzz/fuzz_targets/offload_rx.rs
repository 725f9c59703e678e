// SPDX-License-Identifier: GPL-2.0
//! The receive side: packets of any stream in any order, packets that nobody sent, and answers of
//! the stack. The model checks what is decrypted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use offload_model::{Receiver, Segment, Stream};

fuzz_target!(|data: &[u8]| {
    let [lag, data @ ..] = data else {
        return;
    };
    let Some((stream, ops)) = Stream::from_bytes(data) else {
        return;
    };
    let mut receiver = Receiver::new(stream);
    receiver.lag = usize::from(*lag % 16);
    let first = receiver.stream.index(receiver.stream.start);
    let last = receiver.stream.wire.len();
    let mut next = first;
    for op in ops.chunks_exact(4).take(400) {
        let [kind, x, y, z] = *op else { return };
        let at = first + (last - first) * usize::from(u16::from_be_bytes([x, y])) / 0xffff;
        let len = match z {
            0..200 => usize::from(z) + 1,
            _ => usize::from(z - 199) * 500,
        };
        let from = match kind % 16 {
            // Lost, and something from anywhere.
            9 => {
                next = (next + len).min(last);
                continue;
            }
            10 => at,
            11 => {
                let forged: Vec<u8> = (0..len.min(3000)).map(|i| data[i % data.len()]).collect();
                receiver.packet_with(if z & 1 == 0 { next } else { at }, &forged);
                continue;
            }
            12 => {
                let record =
                    receiver.stream.records[usize::from(x) % receiver.stream.records.len()];
                receiver.rx.confirm(record.start, record.number);
                continue;
            }
            13 => {
                receiver.rx.refuse();
                continue;
            }
            14 => {
                receiver.rx.forget();
                continue;
            }
            _ => next,
        };
        let end = (from + len).min(last);
        if from < end {
            receiver.packet(Segment { from, end });
            next = next.max(end);
        }
    }
});
