// SPDX-License-Identifier: GPL-2.0

//! Error numbers that the kernel crate does not name.

use super::bindings;
use kernel::ffi::c_int;
use kernel::prelude::*;

/// An error number.
#[derive(Clone, Copy)]
pub(crate) struct Errno(c_int);

impl Errno {
    /// Negative, as C functions return it.
    pub(crate) fn to_errno(self) -> c_int {
        self.0
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Error::from_errno(errno.0)
    }
}

macro_rules! errnos {
    ($($name:ident)*) => {
        $(pub(crate) const $name: Errno = Errno(-(bindings::$name as c_int));)*
    };
}

errnos! {
    EBADMSG ECONNABORTED ECONNRESET EISCONN EKEYEXPIRED EKEYREJECTED EMSGSIZE ENAMETOOLONG ENOKEY ENOPKG ENOPROTOOPT ENOTCONN ENOTUNIQ
    EOPNOTSUPP EPROTO
}
