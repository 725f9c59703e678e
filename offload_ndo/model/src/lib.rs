// SPDX-License-Identifier: GPL-2.0
//! What offload_ndo is tested and fuzzed with: everything that is done fast or in pieces there is
//! done slowly and as a whole here.

mod cipher;
mod device;
mod naive;
mod receive;
mod stream;
mod transmit;

pub use cipher::Cipher;
pub use device::Device;
pub use naive::NaiveMap;
pub use receive::{Receiver, Segment};
pub use stream::{Stream, IV};
pub use transmit::Sender;
