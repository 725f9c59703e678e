// SPDX-License-Identifier: GPL-2.0
//! The choice of a path.

/// A proof of what the processor can do, handed to every operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu(());

impl Cpu {
    /// Any 64-bit processor: plain Rust.
    pub const fn portable() -> Self {
        Cpu(())
    }
}
