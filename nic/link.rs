// SPDX-License-Identifier: GPL-2.0

//! Two devices back to back, and a third that hears what passes between them.

use crate::hardware::{segment, Device, Hardware};
use crate::kern::netdev::{disconnect, Ethernet, Slot};
use crate::kern::params::{self, count_down, happens, random_below, Param};
use crate::stat::{Stat, Statistics, NAMES};
use kernel::prelude::*;
use kernel::sync::Arc;
use tlsdev::bindings::net_device;
use tlsdev::{new_bh_lock, BhLock, Offload, Skb};

/// One of the two ends of a wire.
#[pin_data]
struct End {
    netdev: Slot,
    offload: Arc<Offload<Device>>,
    /// A packet that waits for the next one, to come after it.
    #[pin]
    held: BhLock<Option<Skb>>,
}

impl End {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            netdev: Slot::new(),
            offload: Offload::new(Device(KBox::pin_init(Hardware::new(), GFP_KERNEL)?))?,
            held <- new_bh_lock!(None),
        })
    }

    fn hardware(&self) -> &Hardware {
        &self.offload.nic().0
    }

    fn count(&self, stat: Stat) {
        self.hardware().statistics.count(stat);
    }
}

/// The wire.
#[pin_data]
pub(crate) struct Link {
    #[pin]
    left: End,
    #[pin]
    right: End,
    tap: Slot,
}

/// Which end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Link {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                left <- End::new(),
                right <- End::new(),
                tap: Slot::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn end(&self, side: Side) -> (&End, &End) {
        match side {
            Side::Left => (&self.left, &self.right),
            Side::Right => (&self.right, &self.left),
        }
    }

    /// Where the device of this side gets its packets.
    pub(crate) fn slot(&self, side: Side) -> &Slot {
        &self.end(side).0.netdev
    }

    /// Where the listening device gets its packets.
    pub(crate) fn tap(&self) -> &Slot {
        &self.tap
    }

    /// Takes the devices off the wire. Process context.
    pub(crate) fn cut(&self) {
        disconnect([&self.left.netdev, &self.right.netdev, &self.tap].into_iter());
        for end in [&self.left, &self.right] {
            end.held.lock().take();
        }
    }

    /// Sends a packet to the other side, with what may happen to it on the way.
    fn send(&self, side: Side, mut skb: Skb) {
        let (end, other) = self.end(side);
        // What was sent is heard, also if it does not arrive.
        if self.tap.running() {
            if let Some(copy) = skb.share() {
                self.tap.deliver(copy);
            }
        }
        let nth = params::get(Param::DropNth) > 0
            && segment(&skb).is_some_and(|segment| !segment.payload.is_empty())
            && count_down(Param::DropNth);
        if nth || happens(Param::Drop) {
            return end.count(Stat::WireDropped);
        }
        if happens(Param::Corrupt) {
            skb = corrupted(skb, &end.hardware().statistics);
        }
        if happens(Param::Duplicate) {
            if let Some(twin) = skb.share() {
                end.count(Stat::WireDuplicated);
                self.carry(end, other, twin);
            }
        }
        if happens(Param::Reorder) {
            end.count(Stat::WireReordered);
            // Its socket is not to wait for the next packet.
            skb.orphan();
            let before = end.held.lock().replace(skb);
            if let Some(before) = before {
                self.carry(end, other, before);
            }
            return;
        }
        self.carry(end, other, skb);
        let late = end.held.lock().take();
        if let Some(late) = late {
            self.carry(end, other, late);
        }
    }

    fn carry(&self, end: &End, other: &End, skb: Skb) {
        if !other.netdev.running() {
            return end.count(Stat::WireNoPeer);
        }
        let skb = other.hardware().receive(skb);
        if !other.netdev.deliver(skb) {
            end.count(Stat::WireNoPeer);
        }
    }
}

/// The packet with a byte of its payload changed, if it has one.
fn corrupted(skb: Skb, statistics: &Statistics) -> Skb {
    let Some(segment) = segment(&skb) else {
        return skb;
    };
    let Some(mut copy) = skb.private_copy() else {
        statistics.count(Stat::NoMemory);
        return skb;
    };
    let at = segment.payload.start
        + random_below(segment.payload.end.saturating_sub(segment.payload.start));
    if let Some(byte) = copy.bytes_mut().get_mut(at) {
        *byte ^= 0x10;
        statistics.count(Stat::WireCorrupted);
    }
    copy.into_skb()
}

/// A device on the wire.
pub(crate) struct Nic {
    link: Arc<Link>,
    side: Side,
}

impl Nic {
    pub(crate) fn new(link: Arc<Link>, side: Side) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { link, side }, GFP_KERNEL)?)
    }
}

impl Ethernet for Nic {
    type Nic = Device;

    const STATISTICS: [&'static [&'static CStr]; 2] = [NAMES, tlsdev::NAMES];

    fn offload(&self) -> Option<&Arc<Offload<Device>>> {
        Some(&self.link.end(self.side).0.offload)
    }

    fn transmit(&self, dev: *mut net_device, mut skb: Skb) {
        let (end, _) = self.link.end(self.side);
        end.netdev.count_tx(skb.len());
        skb.timestamp();
        let mut segments = None;
        let plain = end.offload.transmit(dev, skb, |context, skb| {
            segments = end.hardware().encrypt(context, &skb);
            segments.is_some().then_some(()).ok_or(skb)
        });
        match plain {
            Some(skb) if skb.is_gso() => segments = end.hardware().segments(&skb),
            Some(skb) => self.link.send(self.side, skb),
            None => {}
        }
        for segment in segments.into_iter().flatten() {
            self.link.send(self.side, segment);
        }
    }

    fn statistic(&self, index: usize) -> u64 {
        let (end, _) = self.link.end(self.side);
        match index.checked_sub(NAMES.len()) {
            Some(index) => end.offload.counters().get(index),
            None => end.hardware().statistics.get(index),
        }
    }
}

/// The device that only listens: it can't send.
pub(crate) struct Tap;

impl Ethernet for Tap {
    type Nic = Device;

    const STATISTICS: [&'static [&'static CStr]; 2] = [&[], &[]];

    fn offload(&self) -> Option<&Arc<Offload<Device>>> {
        None
    }

    fn transmit(&self, _: *mut net_device, _: Skb) {}

    fn statistic(&self, _: usize) -> u64 {
        0
    }
}
