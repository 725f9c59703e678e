// SPDX-License-Identifier: GPL-2.0

//! The two directions of a TCP connection as a handshake in SoftIRQ sees them.

use super::bindings::{self, sk_buff, sock, tcp_sock};
use super::{message, to_result};
use core::marker::PhantomData;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;

/// `struct tcp_sock` of a TCP socket, as `tcp_sk()`.
pub(super) fn tcp_sk(sk: *mut sock) -> *mut tcp_sock {
    sk.cast()
}

/// A connected socket whose lock the caller holds, prepared for sending in SoftIRQ.
///
/// # Invariants
///
/// `sk` is a TCP socket past the three-way handshake and locked during `'a`: either by
/// `bh_lock_sock()`, in SoftIRQ, or owned, in `release_sock()`'s walk over the backlog. Its
/// `sk_socket` and `sk_wq` are set, `sk_allocation` is GFP_ATOMIC, `sk_use_task_frag` is false.
pub(crate) struct Stream<'a> {
    sk: *mut sock,
    lock: PhantomData<&'a ()>,
}

impl<'a> Stream<'a> {
    /// # Safety
    ///
    /// The type's invariants hold.
    pub(super) unsafe fn new(sk: *mut sock) -> Self {
        Self {
            sk,
            lock: PhantomData,
        }
    }

    /// Bytes that have arrived in order and are not consumed.
    pub(crate) fn available(&self) -> usize {
        // SAFETY: By the invariants the socket is a locked TCP socket.
        let (queued, fin) = unsafe {
            let tp = tcp_sk(self.sk);
            let queued = (*tp).rcv_nxt.wrapping_sub((*tp).copied_seq);
            (queued, bindings::tls_hs_sock_done(self.sk))
        };
        // The FIN takes one sequence number.
        queued.saturating_sub(u32::from(fin && queued > 0)) as usize
    }

    /// Changes whenever bytes are consumed or sent.
    pub(super) fn position(&self) -> u32 {
        // SAFETY: By the invariants the socket is a locked TCP socket.
        unsafe {
            let tp = tcp_sk(self.sk);
            (*tp).copied_seq.wrapping_add((*tp).write_seq)
        }
    }

    /// Memory of what has arrived, in order or not.
    pub(super) fn memory(&self) -> u32 {
        // SAFETY: By the invariants; TCP changes it under the same lock.
        unsafe { (&raw const (*self.sk).sk_backlog.rmem_alloc.counter).read_volatile() as u32 }
    }

    /// Whether no acknowledgement is to come that could make room in the send buffer.
    pub(super) fn nothing_on_its_way(&self) -> bool {
        // SAFETY: By the invariants the socket is a locked TCP socket.
        unsafe { bindings::tls_hs_nothing_queued(self.sk) }
    }

    /// Copies bytes from `at` past the first unconsumed one, without consuming them. Returns how
    /// many: less than `out` holds if fewer have arrived.
    pub(crate) fn peek(&self, at: usize, out: &mut [u8]) -> usize {
        // SAFETY: By the invariants the socket is a locked TCP socket.
        unsafe { peek(self.sk, at, out) }
    }

    /// Consumes up to `len` bytes; returns how many it could not.
    pub(crate) fn consume(&mut self, len: usize) -> usize {
        // SAFETY: By the invariants the socket is a locked TCP socket.
        unsafe { consume(self.sk, len) }
    }

    /// Hands bytes to TCP and returns how many it took: 0 when the send buffer is full (the
    /// child's write-space callback comes when there is room).
    pub(crate) fn send(&mut self, bytes: &[u8], more: bool) -> Result<usize> {
        let vec = bindings::kvec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: The buffer is only read and lives through the call. By the invariants TCP neither
        // sleeps nor uses the task's fragment.
        let sent = unsafe {
            let mut msg = message(&vec, bindings::ITER_SOURCE);
            msg.msg_flags = bindings::MSG_DONTWAIT | bindings::MSG_NOSIGNAL;
            if more {
                msg.msg_flags |= bindings::MSG_MORE;
            }
            bindings::tcp_sendmsg_locked(self.sk, &mut msg, bytes.len())
        };
        if sent == EAGAIN.to_errno() {
            return Ok(0);
        }
        to_result(sent.min(0))?;
        Ok(sent as usize)
    }
}

/// As [`Stream::peek`].
///
/// # Safety
///
/// `sk` is a locked TCP socket.
pub(super) unsafe fn peek(sk: *mut sock, at: usize, out: &mut [u8]) -> usize {
    let Ok(at) = u32::try_from(at) else { return 0 };
    let mut copied = 0;
    // SAFETY: The queue and the socket are stable under the socket lock; the walk ends at the
    // list's head.
    unsafe {
        let mut seq = (*tcp_sk(sk)).copied_seq.wrapping_add(at);
        let head = &raw mut (*sk).sk_receive_queue;
        let mut skb = next(head.cast());
        while skb != head.cast() {
            let start = (*(&raw const (*skb).cb).cast::<bindings::tcp_skb_cb>()).seq;
            let skip = seq.wrapping_sub(start);
            if skip > u32::MAX / 2 {
                break;
            }
            if let Some(rest) = (*skb).len.checked_sub(skip).filter(|&rest| rest > 0) {
                let Some(to) = out.get_mut(copied..) else {
                    break;
                };
                let len = to.len().min(rest as usize);
                let to = to.as_mut_ptr().cast();
                if bindings::skb_copy_bits(skb, skip as c_int, to, len as c_int) != 0 {
                    break;
                }
                copied = copied.saturating_add(len);
                seq = seq.wrapping_add(len as u32);
                if copied == out.len() {
                    break;
                }
            }
            skb = next(skb);
        }
    }
    copied
}

/// As [`Stream::consume`].
///
/// # Safety
///
/// `sk` is a locked TCP socket.
pub(super) unsafe fn consume(sk: *mut sock, len: usize) -> usize {
    let mut desc = bindings::read_descriptor_t {
        count: len,
        ..Default::default()
    };
    // SAFETY: By the requirement; the actor only counts.
    unsafe { bindings::tcp_read_sock(sk, &mut desc, Some(discard)) };
    desc.count
}

/// # Safety
///
/// `skb` is on a list (or is its head) that does not change.
unsafe fn next(skb: *const sk_buff) -> *mut sk_buff {
    // SAFETY: By the requirement.
    unsafe { (*skb).__bindgen_anon_1.__bindgen_anon_1.next }
}

/// `sk_read_actor_t` that takes what it is given, up to the descriptor's count.
///
/// # Safety
///
/// tcp_read_sock() calls this, with the descriptor that it was given.
unsafe extern "C" fn discard(
    desc: *mut bindings::read_descriptor_t,
    _skb: *mut sk_buff,
    _offset: c_uint,
    len: usize,
) -> c_int {
    // SAFETY: tcp_read_sock() passes the descriptor that `consume()` gave it.
    let desc = unsafe { &mut *desc };
    let take = len.min(desc.count);
    desc.count = desc.count.wrapping_sub(take);
    take as c_int
}
