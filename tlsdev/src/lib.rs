// SPDX-License-Identifier: GPL-2.0

//! What a network driver in Rust needs and the kernel crate does not have yet: packets, the parts
//! of the kernel's bindings that belong to network devices, a lock.

#![no_std]
#![deny(unsafe_code)]

mod kern;

pub use kern::bindings;
pub use kern::lock::{Bh, BhLock};
pub use kern::skb::{PrivateSkb, Skb};
