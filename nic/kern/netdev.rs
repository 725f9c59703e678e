// SPDX-License-Identifier: GPL-2.0

//! Ethernet devices: what the kernel crate has no abstraction for yet.

use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;
use kernel::sync::atomic::{Acquire, Atomic, Full, Release};
use kernel::sync::Arc;
use tlsdev::bindings::{self, ethtool_ops, ethtool_stats, net_device, net_device_ops, sk_buff};
use tlsdev::{Nic, Offload, Skb};

/// The side of an Ethernet device that its driver writes.
pub(crate) trait Ethernet: Send + Sync + 'static {
    /// The device's part in kTLS offload.
    type Nic: Nic;

    /// Names of what `ethtool -S` shows, one list after the other.
    const STATISTICS: [&'static [&'static CStr]; 2];

    /// What kTLS is offloaded to, if it is.
    fn offload(&self) -> Option<&Arc<Offload<Self::Nic>>>;

    /// Sends a packet, with bottom halves disabled. `dev` is the device.
    fn transmit(&self, dev: *mut net_device, skb: Skb);

    /// The value of a statistic.
    fn statistic(&self, index: usize) -> u64;
}

/// What lies at netdev_priv(). `offload` comes first, as [`Offload::attach`] wants it.
///
/// # Invariants
///
/// `offload` is null or the driver's, which keeps it. `driver` comes from [`Arc::into_raw`] and is valid as long as the device is.
#[repr(C)]
struct Private<T: Ethernet> {
    offload: *const Offload<T::Nic>,
    driver: *const T,
}

/// A registered device; unregistered and freed when it is dropped.
///
/// # Invariants
///
/// The device was registered by [`Registration::new`] with a [`Private`] of `T`.
pub(crate) struct Registration<T: Ethernet>(NonNull<net_device>, core::marker::PhantomData<T>);

// SAFETY: The device may be unregistered by any thread.
unsafe impl<T: Ethernet> Send for Registration<T> {}
// SAFETY: A shared reference offers nothing.
unsafe impl<T: Ethernet> Sync for Registration<T> {}

impl<T: Ethernet> Registration<T> {
    /// Registers a device and enters it into `slot`. Process context.
    pub(crate) fn new(name: &CStr, features: u64, driver: Arc<T>, slot: &Slot) -> Result<Self> {
        // SAFETY: The name is a C string; what is set up before the registration nobody else sees.
        // free_netdev() of a device that was never registered frees it.
        unsafe {
            let dev = bindings::tlsdev_alloc_netdev(
                size_of::<Private<T>>() as c_int,
                name.as_char_ptr().cast(),
                Some(setup::<T>),
            );
            let dev = NonNull::new(dev).ok_or(ENOMEM)?;
            bindings::tlsdev_set_features(dev.as_ptr(), features);
            let offload = match driver.offload() {
                Some(offload) => {
                    Offload::<T::Nic>::attach(dev.as_ptr());
                    Arc::as_ptr(offload)
                }
                None => ptr::null(),
            };
            let driver = Arc::into_raw(driver);
            private::<T>(dev.as_ptr()).write(Private { offload, driver });
            let err = bindings::register_netdev(dev.as_ptr());
            if err < 0 {
                bindings::free_netdev(dev.as_ptr());
                drop(Arc::from_raw(driver));
                return Err(Error::from_errno(err));
            }
            slot.0.store(dev.as_ptr(), Release);
            Ok(Self(dev, core::marker::PhantomData))
        }
    }
}

impl<T: Ethernet> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the invariants; after unregister_netdev() nothing calls the driver.
        unsafe {
            let dev = self.0.as_ptr();
            bindings::unregister_netdev(dev);
            let driver = (*private::<T>(dev)).driver;
            // Sessions that were here are deleted by now: kTLS does that when a device goes down.
            bindings::free_netdev(dev);
            drop(Arc::from_raw(driver));
        }
    }
}

/// Where packets for a device are brought.
///
/// # Invariants
///
/// Null, or a registered device. A device is not unregistered before [`disconnect`] has been
/// called for its slot.
pub(crate) struct Slot(Atomic<*mut net_device>);

impl Slot {
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Whether a device is there, and up.
    pub(crate) fn running(&self) -> bool {
        self.with(false, |dev| {
            // SAFETY: The device is registered.
            unsafe { bindings::tlsdev_netif_running(dev) }
        })
    }

    /// The device receives the packet; false if there is none, or it is down.
    pub(crate) fn deliver(&self, skb: Skb) -> bool {
        self.with(false, |dev| {
            // SAFETY: The device is registered, and RCU's section keeps it so.
            unsafe {
                let running = bindings::tlsdev_netif_running(dev);
                if running {
                    skb.deliver(dev);
                }
                running
            }
        })
    }

    /// Counts a packet that the device has sent.
    pub(crate) fn count_tx(&self, len: usize) {
        // SAFETY: The device is registered.
        self.with((), |dev| unsafe {
            bindings::tlsdev_count_tx(dev, len as c_uint)
        });
    }

    fn with<R>(&self, none: R, call: impl FnOnce(*mut net_device) -> R) -> R {
        // SAFETY: No requirement; the section ends below.
        unsafe { bindings::tlsdev_rcu_read_lock() };
        let dev = self.0.load(Acquire);
        let result = if dev.is_null() { none } else { call(dev) };
        // SAFETY: Begun above.
        unsafe { bindings::tlsdev_rcu_read_unlock() };
        result
    }
}

/// Empties slots and waits until nobody brings a packet any more. Process context.
pub(crate) fn disconnect<'a>(slots: impl Iterator<Item = &'a Slot>) {
    for slot in slots {
        slot.0.xchg(ptr::null_mut(), Full);
    }
    // SAFETY: No requirement.
    unsafe { bindings::synchronize_net() }
}

/// # Safety
///
/// `dev` is valid and was allocated by [`Registration::new`] of the same type.
unsafe fn private<T: Ethernet>(dev: *mut net_device) -> *mut Private<T> {
    // SAFETY: By the requirement.
    unsafe { bindings::tlsdev_netdev_priv(dev).cast() }
}

/// # Safety
///
/// As for [`private`], and the device is registered during `'a`.
unsafe fn driver<'a, T: Ethernet>(dev: *mut net_device) -> &'a T {
    // SAFETY: By the requirement and the invariants of `Private`.
    unsafe { &*(*private::<T>(dev)).driver }
}

fn statistics<T: Ethernet>() -> impl Iterator<Item = &'static CStr> {
    T::STATISTICS.into_iter().flatten().copied()
}

struct Operations<T>(core::marker::PhantomData<T>);

impl<T: Ethernet> Operations<T> {
    const NETDEV: &'static net_device_ops = &net_device_ops {
        ndo_open: Some(open),
        ndo_stop: Some(stop),
        ndo_start_xmit: Some(start_xmit::<T>),
        ndo_set_mac_address: Some(bindings::eth_mac_addr),
        ndo_validate_addr: Some(bindings::eth_validate_addr),
        // SAFETY: All zeros is a valid net_device_ops.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    const ETHTOOL: &'static ethtool_ops = &ethtool_ops {
        get_link: Some(bindings::ethtool_op_get_link),
        get_sset_count: Some(get_sset_count::<T>),
        get_strings: Some(get_strings::<T>),
        get_ethtool_stats: Some(get_ethtool_stats::<T>),
        // SAFETY: All zeros is a valid ethtool_ops.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };
}

/// # Safety
///
/// alloc_netdev() calls this with a device that nobody else knows.
unsafe extern "C" fn setup<T: Ethernet>(dev: *mut net_device) {
    // SAFETY: By the requirement; the operations live for ever.
    unsafe {
        bindings::tlsdev_ether_setup(dev, Operations::<T>::NETDEV, Operations::<T>::ETHTOOL);
    }
}

/// # Safety
///
/// The network stack calls this for our device.
unsafe extern "C" fn open(dev: *mut net_device) -> c_int {
    // SAFETY: By the requirement.
    unsafe { bindings::tlsdev_netif_start(dev) };
    0
}

/// # Safety
///
/// The network stack calls this for our device.
unsafe extern "C" fn stop(dev: *mut net_device) -> c_int {
    // SAFETY: By the requirement.
    unsafe { bindings::tlsdev_netif_stop(dev) };
    0
}

/// # Safety
///
/// The network stack calls this for our device, and gives the packet away.
unsafe extern "C" fn start_xmit<T: Ethernet>(
    skb: *mut sk_buff,
    dev: *mut net_device,
) -> bindings::netdev_tx_t {
    // SAFETY: By the requirement; the device is registered.
    unsafe {
        if let Some(skb) = Skb::from_raw(skb) {
            driver::<T>(dev).transmit(dev, skb);
        }
    }
    bindings::netdev_tx_NETDEV_TX_OK
}

/// # Safety
///
/// ethtool calls this for our device.
unsafe extern "C" fn get_sset_count<T: Ethernet>(_: *mut net_device, set: c_int) -> c_int {
    if set == bindings::ethtool_stringset_ETH_SS_STATS as c_int {
        statistics::<T>().count() as c_int
    } else {
        -(bindings::EOPNOTSUPP as c_int)
    }
}

/// # Safety
///
/// ethtool calls this for our device, with room for the strings of the set.
unsafe extern "C" fn get_strings<T: Ethernet>(_: *mut net_device, set: u32, mut data: *mut u8) {
    if set == bindings::ethtool_stringset_ETH_SS_STATS {
        for name in statistics::<T>() {
            // SAFETY: There is room for as many as get_sset_count() said.
            unsafe { bindings::tlsdev_ethtool_puts(&mut data, name.as_char_ptr().cast()) };
        }
    }
}

/// # Safety
///
/// ethtool calls this for our device, with room for the values of the set.
unsafe extern "C" fn get_ethtool_stats<T: Ethernet>(
    dev: *mut net_device,
    _: *mut ethtool_stats,
    data: *mut u64,
) {
    for (index, _) in statistics::<T>().enumerate() {
        // SAFETY: There is room for as many as get_sset_count() said.
        unsafe { data.add(index).write(driver::<T>(dev).statistic(index)) };
    }
}
