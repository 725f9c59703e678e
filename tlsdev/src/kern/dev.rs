// SPDX-License-Identifier: GPL-2.0

//! The kernel's `tlsdev_ops`, and the way of a packet to the device.

use super::bindings::{
    self, net_device, sock, tls12_crypto_info_aes_gcm_128, tls12_crypto_info_aes_gcm_256,
    tls_context, tls_crypto_info, tls_offload_ctx_dir, tlsdev_ops,
};
use super::request::{Request, LAST_OF_HEADER};
use super::secret::Secret;
use super::skb::Skb;
use super::socket::Socket;
use super::work::{Job, Queued};
use crate::rx::RxSide;
use crate::stat::{Count, Counters};
use crate::tx::{Fate, TxSide};
use crate::{Direction, Nic, Position, Session};
use core::ffi::c_void;
use core::ptr;
use kernel::ffi::c_int;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::Arc;
use offload_ndo::seq::before;
use offload_ndo::Protocol;

const TX: tls_offload_ctx_dir = bindings::tls_offload_ctx_dir_TLS_OFFLOAD_CTX_DIR_TX;
const RX: tls_offload_ctx_dir = bindings::tls_offload_ctx_dir_TLS_OFFLOAD_CTX_DIR_RX;

/// Of uapi/linux/tls.h: the only version that the kernel offloads.
const TLS_1_2_VERSION: u16 = 0x0303;

/// A device's part in kTLS offload.
pub struct Offload<N: Nic> {
    pub(crate) nic: N,
    pub(crate) counters: Counters,
    /// Whether there was a session whose receive side waits for bytes.
    delayed: Atomic<bool>,
}

impl<N: Nic> Offload<N> {
    /// Process context.
    pub fn new(nic: N) -> Result<Arc<Self>> {
        let offload = Self {
            nic,
            counters: Counters::new(),
            delayed: Atomic::new(false),
        };
        Ok(Arc::new(offload, GFP_KERNEL)?)
    }

    /// The driver's part.
    pub fn nic(&self) -> &N {
        &self.nic
    }

    /// For `ethtool -S`.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sessions whose route leads to `dev` are offered to it from its registration on, if it also
    /// has the features NETIF_F_HW_TLS_TX or NETIF_F_HW_TLS_RX. They need a checksum feature and
    /// NETIF_F_RXCSUM.
    ///
    /// # Safety
    ///
    /// `dev` is valid and not registered yet. netdev_priv() begins with a pointer to this, which
    /// stays valid until the device is unregistered.
    pub unsafe fn attach(dev: *mut net_device) {
        // SAFETY: By the requirement; the operations live for ever.
        unsafe { bindings::tlsdev_set_tlsdev_ops(dev, Operations::<N>::TLSDEV) };
    }

    /// What a driver does first with a packet, in ndo_start_xmit(). A packet with plaintext of a
    /// session goes to the device through `post`, with the device's context: that sends it, or
    /// returns it if the device can't. What this returns is to be sent as it is, and is not marked
    /// as plaintext: the stack leaves the mark on what it has encrypted.
    ///
    /// `dev` is the driver's device, of which nothing but the address is used.
    pub fn transmit(
        &self,
        dev: *mut net_device,
        skb: Skb,
        post: impl FnOnce(&mut N::Context, Skb) -> Result<(), Skb>,
    ) -> Option<Skb> {
        let mut skb = self.through(dev, skb, post)?;
        skb.set_decrypted(false);
        Some(skb)
    }

    fn through(
        &self,
        dev: *mut net_device,
        skb: Skb,
        post: impl FnOnce(&mut N::Context, Skb) -> Result<(), Skb>,
    ) -> Option<Skb> {
        // SAFETY: The packet is valid, and with it its socket.
        let sk = unsafe { bindings::tlsdev_skb_sock(skb.as_raw()) };
        if sk.is_null() {
            if !skb.decrypted() {
                return Some(skb);
            }
            // The stack drops such a packet, too.
            self.counters.count(Count::TxDropPlaintext);
            return None;
        }
        if self.delayed.load(Relaxed) {
            self.look_at_received(dev, sk);
        }
        // SAFETY: As above. A session on another device: the stack has encrypted the packet on its
        // way here. The same holds for one that has left this device, because that happens when
        // the device is down and has no packet in flight.
        let ours = unsafe {
            bindings::tlsdev_skb_offloaded(skb.as_raw()) && bindings::tlsdev_sock_netdev(sk) == dev
        };
        if !ours {
            return Some(skb);
        }
        // SAFETY: The session is on this device, so dev_add() has set the pointer; dev_del() comes
        // after the socket's last packet, or after all packets in flight.
        let (side, socket) = unsafe {
            let ctx = bindings::tlsdev_sock_ctx(sk);
            let side = (*bindings::tlsdev_driver_ctx(ctx, TX)).cast::<Queued<TxSide<N>>>();
            (side.as_ref()?, Socket::new(sk))
        };
        match side.transmit(&socket, skb, post) {
            Fate::Plain(skb) => Some(skb),
            Fate::Gone => None,
            Fate::Software(skb) => {
                let acknowledged = before(skb.tcp_seq(), socket.unacknowledged());
                // SAFETY: A packet of a session in state offloaded. The function takes it over.
                let skb = unsafe { Skb::from_raw(bindings::tls_encrypt_skb(skb.into_raw())) };
                if skb.is_none() {
                    // The stack has no record for what is acknowledged, nor has anybody use for it.
                    self.counters.count(match acknowledged {
                        true => Count::TxDropAcknowledged,
                        false => Count::TxDropPlaintext,
                    });
                }
                skb
            }
        }
    }

    /// From now on somebody has to be told what its socket receives.
    pub(crate) fn watch_received(&self) {
        self.delayed.store(true, Relaxed);
    }

    /// What a socket receives it acknowledges, and that comes by here.
    fn look_at_received(&self, dev: *mut net_device, sk: *mut sock) {
        // SAFETY: The packet's socket is valid, and its session as long as it. dev_del() clears
        // the pointer and waits, if there ever was a session that waits for bytes.
        unsafe {
            if !bindings::tlsdev_rx_offloaded(sk) || bindings::tlsdev_sock_netdev(sk) != dev {
                return;
            }
            let ctx = bindings::tlsdev_sock_ctx(sk);
            let place = bindings::tlsdev_driver_ctx(ctx, RX);
            let side = place.read_volatile().cast::<Queued<RxSide<N>>>();
            if let Some(side) = side.as_ref() {
                side.received(bindings::tlsdev_bytes_received(sk));
            }
        }
    }
}

struct Operations<N>(core::marker::PhantomData<N>);

impl<N: Nic> Operations<N> {
    const TLSDEV: &'static tlsdev_ops = &tlsdev_ops {
        tls_dev_add: Some(dev_add::<N>),
        tls_dev_del: Some(dev_del::<N>),
        tls_dev_resync: Some(dev_resync::<N>),
    };
}

/// # Safety
///
/// `dev` has this attached, and is registered.
unsafe fn offload_of<N: Nic>(dev: *mut net_device) -> Arc<Offload<N>> {
    // SAFETY: By the requirement of attach(). The pointer stays where it came from.
    unsafe {
        let place = bindings::tlsdev_netdev_priv(dev).cast::<*const Offload<N>>();
        let offload = core::mem::ManuallyDrop::new(Arc::from_raw(*place));
        Arc::clone(&offload)
    }
}

/// Keys of a session and the number of its next record, if it is one that can be offloaded.
///
/// # Safety
///
/// `info` is a valid structure of the cipher that it names.
unsafe fn session(info: *const tls_crypto_info, direction: Direction) -> Option<(Session, u64)> {
    let new = |key: &[u8], salt: &[u8], number: [u8; 8]| {
        let session = Session {
            direction,
            protocol: Protocol::Tls12Gcm,
            key: Secret::new(key),
            key_len: key.len(),
            iv: Secret::new(salt),
            local: Default::default(),
            remote: Default::default(),
            request: None,
        };
        (session, u64::from_be_bytes(number))
    };
    // SAFETY: By the requirement.
    unsafe {
        if (*info).version != TLS_1_2_VERSION {
            return None;
        }
        match u32::from((*info).cipher_type) {
            bindings::TLS_CIPHER_AES_GCM_128 => {
                let info = &*info.cast::<tls12_crypto_info_aes_gcm_128>();
                Some(new(&info.key, &info.salt, info.rec_seq))
            }
            bindings::TLS_CIPHER_AES_GCM_256 => {
                let info = &*info.cast::<tls12_crypto_info_aes_gcm_256>();
                Some(new(&info.key, &info.salt, info.rec_seq))
            }
            _ => None,
        }
    }
}

/// # Safety
///
/// kTLS calls this for a device of ours and a locked socket, with keys that it has checked.
unsafe extern "C" fn dev_add<N: Nic>(
    dev: *mut net_device,
    sk: *mut sock,
    direction: tls_offload_ctx_dir,
    info: *mut tls_crypto_info,
    seq: u32,
) -> c_int {
    // SAFETY: By the requirement.
    match unsafe { try_add::<N>(dev, sk, direction, info, seq) } {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// As for [`dev_add`].
unsafe fn try_add<N: Nic>(
    dev: *mut net_device,
    sk: *mut sock,
    direction: tls_offload_ctx_dir,
    info: *mut tls_crypto_info,
    seq: u32,
) -> Result {
    let unsupported = || Error::from_errno(-(bindings::EOPNOTSUPP as c_int));
    let towards = match direction {
        TX => Direction::Transmit,
        RX => Direction::Receive,
        _ => return Err(unsupported()),
    };
    // SAFETY: By the requirement; the socket's session has room for our pointer.
    unsafe {
        // A bond's port. When the port goes down the stack's software encrypts for the bond and
        // once more for the next port, under the same nonce: that is plaintext again.
        if towards == Direction::Transmit && !bindings::tlsdev_routed_to(sk, dev) {
            return Err(unsupported());
        }
        let offload = offload_of::<N>(dev);
        let (mut session, number) = session(info, towards).ok_or_else(unsupported)?;
        bindings::tlsdev_local_address(sk, session.local.0.as_mut_ptr());
        bindings::tlsdev_remote_address(sk, session.remote.0.as_mut_ptr());
        session.local.1 = bindings::tlsdev_local_port(sk);
        session.remote.1 = bindings::tlsdev_remote_port(sk);
        let start = Position { seq, number };
        let side = match towards {
            Direction::Transmit => into_raw(TxSide::new(offload, session, start)?),
            Direction::Receive => {
                session.request = Some(Request::new(sk)?);
                let received = bindings::tlsdev_bytes_received(sk);
                into_raw(RxSide::new(offload, session, start, received)?)
            }
        };
        let ctx = bindings::tlsdev_sock_ctx(sk);
        bindings::tlsdev_driver_ctx(ctx, direction).write_volatile(side);
    }
    Ok(())
}

/// # Safety
///
/// kTLS calls this once for every session that dev_add() took. It may sleep.
unsafe extern "C" fn dev_del<N: Nic>(
    dev: *mut net_device,
    ctx: *mut tls_context,
    direction: tls_offload_ctx_dir,
) {
    // SAFETY: By the requirement the pointer is the one of dev_add(). See transmit() for why
    // nobody else uses it any more.
    unsafe {
        let place = bindings::tlsdev_driver_ctx(ctx, direction);
        let side = place.read_volatile();
        place.write_volatile(ptr::null_mut());
        if side.is_null() {
            return;
        }
        if direction == TX {
            drop(from_raw::<TxSide<N>>(side));
        } else {
            let side = from_raw::<RxSide<N>>(side);
            side.job.silence();
            if offload_of::<N>(dev).delayed.load(Relaxed) {
                bindings::synchronize_net();
            }
        }
    }
}

/// # Safety
///
/// kTLS calls this for a session that dev_add() took: for the transmit side in process context
/// with the socket locked, for the receive side with bottom halves disabled or the socket locked.
unsafe extern "C" fn dev_resync<N: Nic>(
    _: *mut net_device,
    sk: *mut sock,
    seq: u32,
    number: *mut u8,
    direction: tls_offload_ctx_dir,
) -> c_int {
    // SAFETY: By the requirement. `number` has 8 bytes.
    unsafe {
        let number = u64::from_be_bytes(number.cast::<[u8; 8]>().read());
        let ctx = bindings::tlsdev_sock_ctx(sk);
        let side = bindings::tlsdev_driver_ctx(ctx, direction).read_volatile();
        if direction == TX {
            if let Some(side) = side.cast::<Queued<TxSide<N>>>().as_ref() {
                side.job.resync(Position { seq, number });
            }
        } else if let Some(side) = side.cast::<Queued<RxSide<N>>>().as_ref() {
            // It names the place as it was asked.
            let seq = seq.wrapping_sub(LAST_OF_HEADER);
            side.job.resync(Position { seq, number });
        }
    }
    0
}

fn into_raw<T: Job>(side: Pin<KBox<Queued<T>>>) -> *mut c_void {
    // SAFETY: It stays where it is until from_raw().
    KBox::into_raw(unsafe { Pin::into_inner_unchecked(side) }).cast()
}

/// # Safety
///
/// `side` comes from [`into_raw`], of the same type.
unsafe fn from_raw<T: Job>(side: *mut c_void) -> Pin<KBox<Queued<T>>> {
    // SAFETY: By the requirement.
    Pin::from(unsafe { KBox::from_raw(side.cast()) })
}
