// SPDX-License-Identifier: GPL-2.0

//! The receive side's question to the stack: does a record begin here?

use super::bindings::{self, sock};
use super::lock::BhLock;
use core::ptr;
use kernel::prelude::*;
use kernel::sync::Arc;
use offload_ndo::HEADER_LEN;

/// The stack names a place by the last byte of the header there.
pub(crate) const LAST_OF_HEADER: u32 = HEADER_LEN - 1;

/// The socket; null when the session has left the device.
struct Socket(*mut sock);

// SAFETY: The pointer is used under the lock only, and cleared under it before the socket goes.
unsafe impl Send for Socket {}

/// A way from a device back to the socket whose records it decrypts. It outlives the session, and
/// then does nothing.
#[pin_data]
pub struct Request {
    #[pin]
    socket: BhLock<Socket>,
}

impl Request {
    /// # Safety
    ///
    /// The receive side of `sk` is offloaded until [`Request::end`].
    pub(crate) unsafe fn new(sk: *mut sock) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self { socket <- crate::new_bh_lock!(Socket(sk)) }),
            GFP_KERNEL,
        )
    }

    /// Asks the stack whether a record begins at `seq`, before the packet with that byte is given
    /// to it. If one does, the answer is a call of [`crate::Nic::resync`]; otherwise nothing
    /// happens. Any context but that of a hard interrupt.
    pub fn ask(&self, seq: u32) {
        let socket = self.socket.lock();
        if !socket.0.is_null() {
            // SAFETY: end() was not called yet, and waits for the lock.
            unsafe {
                bindings::tlsdev_request_resync(socket.0, seq.wrapping_add(LAST_OF_HEADER));
            }
        }
    }

    pub(crate) fn end(&self) {
        self.socket.lock().0 = ptr::null_mut();
    }
}
