// SPDX-License-Identifier: GPL-2.0
//! A stack, a driver and a device that transmit one stream.

use offload_ndo::{DropReason, Policy, Record, Resync, Tx, TxState, TxVerdict};

use crate::{Device, Stream};

/// The sending side. Indices are of bytes in the stream.
pub struct Sender {
    pub stream: Stream,
    pub tx: Tx<Vec<Record>>,
    device: Device,
    /// What was given to the driver once or lost on the way to it.
    pub sent: usize,
    /// What was acknowledged.
    pub acknowledged: usize,
    pending: Option<Resync>,
    /// The new packet ends at this byte at the latest: the stack keeps a record that it told the
    /// device of out of packets with what is before it.
    fence: Option<usize>,
}

impl Sender {
    /// Nothing sent. The device knows `capacity` records at most.
    pub fn new(stream: Stream, capacity: usize, policy: Policy) -> Self {
        let number = stream.records.first().map_or(0, |r| r.number);
        let memory = vec![Record::default(); capacity];
        Sender {
            tx: Tx::new(stream.protocol, memory, stream.start, number, policy),
            device: Device::new(stream.protocol, number, true),
            sent: 0,
            acknowledged: 0,
            pending: None,
            fence: None,
            stream,
        }
    }

    /// The end of the next new packet with at most `len` bytes: bytes from before the offload are
    /// never in one packet with a record.
    pub fn next_end(&self, len: usize) -> usize {
        let mut end = (self.sent + len).min(self.stream.plain.len());
        for border in [Some(self.stream.index(self.stream.start)), self.fence] {
            match border {
                Some(border) if self.sent < border && border < end => end = border,
                _ => {}
            }
        }
        end
    }

    /// Sends new data. Returns what became of it.
    pub fn send(&mut self, len: usize) -> Option<TxVerdict> {
        self.push();
        let (from, end) = (self.sent, self.next_end(len));
        self.sent = end;
        (from < end).then(|| self.packet(from, end))
    }

    /// New data is lost between stack and driver.
    pub fn lose(&mut self, len: usize) {
        self.push();
        self.sent = self.next_end(len);
    }

    /// The device refuses the connection, when the stack answers if it was asked.
    pub fn refuse(&mut self) {
        if self.pending.is_none() || self.next_record().is_some() {
            self.pending = None;
            self.tx.refuse();
        }
    }

    /// The driver fails on the last packet.
    pub fn fail(&mut self) {
        let seq = self.stream.seq(self.sent);
        if let TxVerdict::Software {
            request: Some(request),
        } = self.tx.failed(seq)
        {
            assert!(self.pending.is_none(), "asked again before the answer");
            self.pending = Some(request);
        }
    }

    /// Whether a record begins in what was not sent yet.
    pub fn has_more(&self) -> bool {
        self.next_record().is_some()
    }

    fn next_record(&self) -> Option<Record> {
        let starts = |r: &&Record| self.stream.index(r.start) >= self.sent;
        self.stream.records.iter().find(starts).copied()
    }

    /// The stack pushes a record that nothing was sent of, and answers a request before that.
    pub fn push(&mut self) {
        if self.pending.is_none() {
            return;
        }
        if let Some(record) = self.next_record() {
            self.pending = None;
            self.fence = Some(self.stream.index(record.start));
            self.tx.resync(record.start, record.number);
        }
    }

    /// Everything before this byte is acknowledged.
    pub fn acknowledge(&mut self, to: usize) {
        self.acknowledged = self.acknowledged.max(to.min(self.sent));
        self.tx.acknowledge(self.stream.seq(self.acknowledged));
    }

    /// Sends a packet with these bytes and checks what goes on the wire.
    pub fn packet(&mut self, from: usize, end: usize) -> TxVerdict {
        let seq = self.stream.seq(from);
        let mut bytes = self.stream.plain[from..end].to_vec();
        let verdict = self.tx.packet(seq, &bytes);
        let record = self.stream.record_at(from);
        match verdict {
            TxVerdict::Plain => {
                let start = self.stream.index(self.stream.start);
                assert!(end <= start || from == end, "plain text of a record");
                return verdict;
            }
            TxVerdict::Fast { number, offset } => {
                let record = record.expect("what goes to the device is in a record");
                assert_eq!(
                    (number, seq.wrapping_sub(record.start)),
                    (record.number, offset)
                );
                if offset == 0 {
                    self.device = Device::new(self.stream.protocol, number, true);
                }
                let framer = self.device.framer();
                assert_eq!((framer.number(), framer.offset()), (number, offset));
                assert_eq!(self.tx.state(), TxState::Device);
            }
            TxVerdict::Rebuild(rebuild) => {
                let record = record.expect("what goes to the device is in a record");
                assert_eq!(rebuild.record.start, record.start);
                assert_eq!(rebuild.record.number, record.number);
                assert_eq!(rebuild.prefix, seq.wrapping_sub(record.start));
                let start = self.stream.index(record.start);
                let mut prefix = self.stream.plain[start..from].to_vec();
                self.device = Device::new(self.stream.protocol, record.number, true);
                self.device.process(&mut prefix);
            }
            TxVerdict::Software { request } => {
                if let Some(request) = request {
                    assert_eq!(request.got, seq);
                    assert!(self.pending.is_none(), "asked again before the answer");
                    self.pending = Some(request);
                }
                // The stack's own fallback is right by definition.
                return verdict;
            }
            TxVerdict::Drop(DropReason::Acknowledged) => {
                let gone = record.is_none_or(|r| {
                    self.stream.index(r.start) + usize::from(r.len) <= self.acknowledged
                });
                assert!(gone, "unacknowledged bytes are dropped for ever");
                return verdict;
            }
            TxVerdict::Drop(DropReason::Straddles) => {
                let start = self.stream.index(self.stream.start);
                assert!(from < start && start < end);
                return verdict;
            }
        }
        self.device.process(&mut bytes);
        assert_eq!(bytes, self.stream.wire[from..end], "{verdict:?} at {from}");
        verdict
    }
}
