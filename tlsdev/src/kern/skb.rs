// SPDX-License-Identifier: GPL-2.0

//! Packets.

use super::bindings::{self, net_device, sk_buff};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

/// A packet that is ours; freed when it is dropped.
///
/// # Invariants
///
/// Points to a valid `sk_buff` of which this is one reference.
pub struct Skb(NonNull<sk_buff>);

// SAFETY: A packet may be handed from CPU to CPU.
unsafe impl Send for Skb {}

impl Skb {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// `skb` is null or valid, and its reference is the caller's to give away.
    pub unsafe fn from_raw(skb: *mut sk_buff) -> Option<Self> {
        NonNull::new(skb).map(Self)
    }

    /// Gives the reference to the caller.
    pub fn into_raw(self) -> *mut sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The packet, for functions of the kernel that don't take it over.
    pub fn as_raw(&self) -> *mut sk_buff {
        self.0.as_ptr()
    }

    /// Bytes, with all headers that are still in it.
    pub fn len(&self) -> usize {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_skb_len(self.as_raw()) as usize }
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part that lies in one piece at the front.
    pub fn head(&self) -> &[u8] {
        // SAFETY: By the invariants; that many bytes lie at `data`, and nobody writes to them.
        unsafe {
            let skb = self.as_raw();
            core::slice::from_raw_parts(
                bindings::tlsdev_skb_data(skb),
                bindings::tlsdev_skb_headlen(skb) as usize,
            )
        }
    }

    /// Copies bytes from `offset` on, wherever they lie; false if there are not that many.
    pub fn copy_bits(&self, offset: usize, to: &mut [u8]) -> bool {
        let (Ok(offset), Ok(len)) = (i32::try_from(offset), i32::try_from(to.len())) else {
            return false;
        };
        // SAFETY: `to` is writable; the function checks the range.
        unsafe { bindings::skb_copy_bits(self.as_raw(), offset, to.as_mut_ptr().cast(), len) == 0 }
    }

    /// A copy in one piece that nobody else has. Any context.
    pub fn private_copy(&self) -> Option<PrivateSkb> {
        // SAFETY: By the invariants; a copy is a new packet.
        unsafe { Self::from_raw(bindings::tlsdev_skb_copy(self.as_raw())) }.map(PrivateSkb)
    }

    /// Whether it is to become several on the wire: the device has TSO.
    pub fn is_gso(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_skb_is_gso(self.as_raw()) }
    }

    /// What goes on the wire: copies of it, one after the other, that nobody else has. Any context.
    pub fn segments(&self) -> Option<Segments> {
        if !self.is_gso() {
            return self.private_copy().map(|copy| Segments(copy.0.into_raw()));
        }
        // The segments take the socket with them, and this packet may yet need it.
        let twin = self.share()?;
        // SAFETY: By the invariants. Without scattered memory each segment is a copy in one piece.
        let first = unsafe { bindings::tlsdev_skb_segment(twin.as_raw()) };
        (!first.is_null()).then_some(Segments(first))
    }

    /// The same bytes once more. Any context.
    pub fn share(&self) -> Option<Self> {
        // SAFETY: By the invariants; a clone is a new packet.
        unsafe { Self::from_raw(bindings::tlsdev_skb_clone(self.as_raw())) }
    }

    /// Whether its payload is plaintext that belongs into records.
    pub fn decrypted(&self) -> bool {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_skb_decrypted(self.as_raw()) }
    }

    /// Says whether the payload is plaintext.
    pub fn set_decrypted(&mut self, decrypted: bool) {
        // SAFETY: By the invariants. The mark is this packet's, also if its bytes are shared.
        unsafe { bindings::tlsdev_skb_set_decrypted(self.as_raw(), decrypted) }
    }

    /// Offset of TCP's payload, in a packet that the stack sends.
    pub fn tcp_headers(&self) -> usize {
        // SAFETY: By the invariants; offsets that the stack has set.
        unsafe { bindings::tlsdev_skb_tcp_headers(self.as_raw()) as usize }
    }

    /// TCP's sequence number, in a packet that the stack sends.
    pub fn tcp_seq(&self) -> u32 {
        // SAFETY: By the invariants; the transport header is in the linear part.
        unsafe { bindings::tlsdev_skb_tcp_seq(self.as_raw()) }
    }

    /// TCP's payload, in a packet that the stack sends, if all of the packet lies in one piece.
    pub(crate) fn linear_payload(&self) -> Option<&[u8]> {
        let head = self.head();
        if head.len() < self.len() {
            return None;
        }
        head.get(self.tcp_headers()..)
    }

    /// Software's time stamp of sending.
    pub fn timestamp(&mut self) {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_skb_timestamp(self.as_raw()) }
    }

    /// Releases the packet from its socket.
    pub fn orphan(&mut self) {
        // SAFETY: By the invariants.
        unsafe { bindings::tlsdev_skb_orphan(self.as_raw()) }
    }

    /// Makes of a packet that one device sends one that `to` receives, and gives it to the stack.
    ///
    /// # Safety
    ///
    /// `to` is registered, and stays so until the next grace period of RCU.
    pub unsafe fn deliver(self, to: *mut net_device) {
        let skb = self.into_raw();
        // SAFETY: By the invariants and the requirement. netif_rx() takes the packet over.
        unsafe {
            bindings::tlsdev_count_rx(to, bindings::tlsdev_skb_len(skb));
            bindings::tlsdev_skb_cross(skb, to);
            bindings::netif_rx(skb);
        }
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: By the invariants the reference is ours.
        unsafe { bindings::tlsdev_skb_free(self.as_raw()) }
    }
}

/// A packet in one piece that nobody else has.
///
/// # Invariants
///
/// The packet is linear and neither shared nor cloned.
pub struct PrivateSkb(Skb);

impl PrivateSkb {
    /// All its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.head()
    }

    /// All its bytes, to write to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: By the invariants all bytes lie there and nobody else looks at them.
        unsafe {
            let skb = self.0.as_raw();
            core::slice::from_raw_parts_mut(
                bindings::tlsdev_skb_data(skb),
                bindings::tlsdev_skb_headlen(skb) as usize,
            )
        }
    }

    /// Says whether the payload is plaintext.
    pub fn set_decrypted(&mut self, decrypted: bool) {
        self.0.set_decrypted(decrypted);
    }

    /// Offset of TCP's payload, in a packet that the stack sends.
    pub fn tcp_headers(&self) -> usize {
        self.0.tcp_headers()
    }

    /// An ordinary packet again.
    pub fn into_skb(self) -> Skb {
        self.0
    }
}

/// Packets on their way to the wire.
///
/// # Invariants
///
/// Null or a list of packets, linked by `next`, as [`PrivateSkb`] has them.
pub struct Segments(*mut sk_buff);

impl Segments {
    /// Shows them one after the other, until that returns false.
    pub fn all_mut(&mut self, mut show: impl FnMut(&mut PrivateSkb) -> bool) -> bool {
        let mut at = self.0;
        while let Some(skb) = NonNull::new(at) {
            // The list keeps it.
            let mut segment = ManuallyDrop::new(PrivateSkb(Skb(skb)));
            if !show(&mut segment) {
                return false;
            }
            // SAFETY: By the invariants.
            at = unsafe { bindings::tlsdev_skb_next(at) };
        }
        true
    }
}

impl Iterator for Segments {
    type Item = Skb;

    fn next(&mut self) -> Option<Skb> {
        let first = NonNull::new(self.0)?;
        // SAFETY: By the invariants; the first one leaves the list.
        unsafe {
            self.0 = bindings::tlsdev_skb_next(first.as_ptr());
            bindings::tlsdev_skb_unlink(first.as_ptr());
        }
        Some(Skb(first))
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
