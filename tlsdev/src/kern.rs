// SPDX-License-Identifier: GPL-2.0

//! All unsafe code of the crate: packets, locks, kTLS's side of a session.

#![allow(unsafe_code)]

/// What bindgen makes of bindings_helper.h. Public: a driver needs the network device's part.
#[allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]
pub mod bindings {
    use kernel::ffi;
    type __kernel_size_t = usize;
    type __kernel_ssize_t = isize;
    type __kernel_ptrdiff_t = isize;
    include!(env!("TLSDEV_BINDINGS"));
}

pub(crate) mod dev;
pub(crate) mod frag;
pub(crate) mod lock;
pub(crate) mod request;
pub(crate) mod secret;
pub(crate) mod skb;
pub(crate) mod socket;
pub(crate) mod work;
