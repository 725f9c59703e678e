// SPDX-License-Identifier: GPL-2.0
//! A device, a driver and a stack that receive one stream.

use offload_ndo::{Record, Rx, RxVerdict};

use crate::{Device, Stream};

/// A packet, by the indices of its bytes in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub from: usize,
    pub end: usize,
}

/// The receiving side.
pub struct Receiver {
    pub stream: Stream,
    pub rx: Rx,
    device: Device,
    /// What the stack has of each byte: nothing, as on the wire, or decrypted.
    bytes: Vec<Option<bool>>,
    /// Before this byte nothing is missing.
    contiguous: usize,
    /// How far the stack's parser got: a number of records, all whole.
    parsed: usize,
    request: Option<u32>,
    /// Whether the stack answers at all.
    pub answers: bool,
    /// How many records the application has not read: the parser stays that far behind.
    pub lag: usize,
    /// Whether the device took in bytes that are not the stream's.
    forged: bool,
    /// Number of packets that were decrypted.
    pub decrypted: usize,
}

impl Receiver {
    /// Nothing received.
    pub fn new(stream: Stream) -> Self {
        let number = stream.records.first().map_or(0, |r| r.number);
        let mut bytes = vec![None; stream.wire.len()];
        // What came before the offload is read.
        let start = stream.index(stream.start);
        bytes[..start].fill(Some(false));
        Receiver {
            rx: Rx::new(stream.protocol, stream.start, number),
            device: Device::new(stream.protocol, number, false),
            bytes,
            contiguous: 0,
            parsed: 0,
            request: None,
            answers: true,
            lag: 0,
            forged: false,
            decrypted: 0,
            stream,
        }
    }

    /// A packet arrives. Checks what is decrypted.
    pub fn packet(&mut self, segment: Segment) -> RxVerdict {
        let Segment { from, end } = segment;
        let wire = self.stream.wire[from..end].to_vec();
        let verdict = self.packet_with(from, &wire);
        for byte in &mut self.bytes[from..end] {
            byte.get_or_insert(matches!(verdict, RxVerdict::Decrypt(_)));
        }
        self.parse();
        verdict
    }

    /// A packet with these bytes, which need not be the stream's, arrives at the device.
    pub fn packet_with(&mut self, from: usize, wire: &[u8]) -> RxVerdict {
        let seq = self.stream.seq(from);
        let mut bytes = wire.to_vec();
        let verdict = self.rx.packet(seq, wire);
        if let Some(request) = self.rx.request() {
            self.request = Some(request);
        }
        let right = match verdict {
            RxVerdict::Pass => true,
            RxVerdict::Decrypt(framer) => {
                self.device.go_to(framer);
                self.device.process(&mut bytes)
            }
            RxVerdict::Absorb { from, framer } => {
                assert!(from < wire.len());
                self.device.go_to(framer);
                self.device.process(&mut bytes[from..])
            }
        };
        let genuine = self.stream.wire.get(from..from + wire.len()) == Some(wire);
        self.forged |= !genuine && verdict != RxVerdict::Pass;
        if !right {
            assert!(self.forged, "a right tag was refused at {from}");
            self.forged = false;
            self.rx.auth_failed();
            return RxVerdict::Pass;
        }
        if let RxVerdict::Decrypt(_) = verdict {
            self.decrypted += 1;
            if !self.forged {
                self.check_plain(from, &bytes);
            }
        }
        verdict
    }

    /// Every byte but those of tags is what the sender had.
    fn check_plain(&self, from: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let index = from + index;
            let record = self.stream.record_at(index).expect("it is in a record");
            let end = self.stream.index(record.start) + usize::from(record.len);
            let expected = match index < end - 16 {
                true => self.stream.plain[index],
                false => self.stream.wire[index],
            };
            assert_eq!(*byte, expected, "byte {index} of {record:?}");
        }
    }

    /// The stack's parser goes on to the next record whose bytes are all there, and answers what
    /// it was asked when it gets to the place.
    pub fn parse(&mut self) {
        while self.bytes.get(self.contiguous).is_some_and(Option::is_some) {
            self.contiguous += 1;
        }
        while let Some(record) = self.stream.records.get(self.parsed).copied() {
            let start = self.stream.index(record.start);
            let unread = &self.stream.records[self.parsed..];
            let begun = |r: &&Record| self.bytes[self.stream.index(r.start)].is_some();
            let room = self.lag == 0 || unread.iter().filter(begun).count() > self.lag;
            if start + 5 > self.contiguous || !room {
                return;
            }
            if self.answers && self.request == Some(record.start) {
                self.request = None;
                self.rx.confirm(record.start, record.number);
            }
            if start + usize::from(record.len) > self.contiguous {
                return;
            }
            self.parsed += 1;
        }
    }
}
