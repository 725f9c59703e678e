// SPDX-License-Identifier: GPL-2.0

//! All unsafe code of the driver: network devices, parameters, the block cipher.

#![allow(unsafe_code)]

pub(crate) mod clock;
pub(crate) mod gcm;
pub(crate) mod netdev;
pub(crate) mod params;
