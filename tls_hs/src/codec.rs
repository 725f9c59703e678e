// SPDX-License-Identifier: GPL-2.0
//! The presentation language of RFC 8446 section 3: reading slices, and writing values that know
//! their size, so that a vector's length can go out before its content.

use crate::{Error, Reason};

/// Copies as much of `from` as fits in `to` and returns how much.
#[inline]
pub fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let len = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..len), to.get_mut(..len)) {
        to.copy_from_slice(from);
    }
    len
}

/// At most `N` bytes, `N` below 256.
#[derive(Clone, Copy)]
pub struct Short<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Short<N> {
    /// No bytes.
    pub const EMPTY: Self = Short {
        bytes: [0; N],
        len: 0,
    };

    /// As much of `bytes` as fits.
    pub fn new(bytes: &[u8]) -> Self {
        let mut short = Self::EMPTY;
        short.set(bytes);
        short
    }

    /// Takes as much of `bytes` as fits.
    pub fn set(&mut self, bytes: &[u8]) {
        self.len = copy(bytes, &mut self.bytes) as u8;
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or(&self.bytes)
    }
}

/// Reads values from the front of a slice. Whatever does not parse is [`Reason::DecodeError`].
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Reason::DecodeError)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Reason::DecodeError)?;
        self.0 = rest;
        Ok(head)
    }

    /// A uint8.
    pub fn u8(&mut self) -> Result<u8, Error> {
        let [byte] = *self.array()?;
        Ok(byte)
    }

    /// A uint16.
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(*self.array()?))
    }

    /// A uint24.
    pub fn u24(&mut self) -> Result<usize, Error> {
        let [a, b, c] = *self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]) as usize)
    }

    /// A vector with a uint8 length, of at least `min` bytes.
    pub fn vec8(&mut self, min: usize) -> Result<&'a [u8], Error> {
        let len = self.u8()?.into();
        self.at_least(len, min)
    }

    /// A vector with a uint16 length, of at least `min` bytes.
    pub fn vec16(&mut self, min: usize) -> Result<&'a [u8], Error> {
        let len = self.u16()?.into();
        self.at_least(len, min)
    }

    fn at_least(&mut self, len: usize, min: usize) -> Result<&'a [u8], Error> {
        if len < min {
            return Err(Reason::DecodeError.into());
        }
        self.take(len)
    }

    /// Fails if anything is left.
    pub fn finish(self) -> Result<(), Error> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Reason::DecodeError.into()),
        }
    }
}

/// A list of uint16 values: versions, suites, groups, signature schemes.
#[derive(Clone, Copy)]
pub struct List16<'a>(&'a [u8]);

impl<'a> List16<'a> {
    /// The list in `bytes`; refuses an empty list and an odd length.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.len() % 2 != 0 {
            return Err(Reason::DecodeError.into());
        }
        Ok(List16(bytes))
    }

    /// The values.
    pub fn iter(self) -> impl Iterator<Item = u16> + 'a {
        self.0.chunks_exact(2).map(|pair| match *pair {
            [high, low] => u16::from_be_bytes([high, low]),
            _ => 0,
        })
    }

    /// Whether `value` is in the list.
    pub fn contains(self, value: u16) -> bool {
        self.iter().any(|v| v == value)
    }
}

/// The vectors with uint8 lengths that follow one another in `list`, as ALPN has its names.
pub fn vectors8(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(list);
    core::iter::from_fn(move || reader.vec8(1).ok())
}

/// Where encoded bytes go.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// A value that can be written.
pub trait Encode {
    /// Number of bytes that [`encode`](Encode::encode) writes.
    fn size(&self) -> usize;
    /// Writes the value.
    fn encode<S: Sink>(&self, sink: &mut S);
}

impl Encode for [u8] {
    fn size(&self) -> usize {
        self.len()
    }
    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put(self);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn size(&self) -> usize {
        (**self).size()
    }
    fn encode<S: Sink>(&self, sink: &mut S) {
        (**self).encode(sink);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn size(&self) -> usize {
        self.as_ref().map_or(0, T::size)
    }
    fn encode<S: Sink>(&self, sink: &mut S) {
        if let Some(value) = self {
            value.encode(sink);
        }
    }
}

/// Unsigned integers in network byte order.
macro_rules! encode_integers {
    ($($type:ty)*) => {$(
        impl Encode for $type {
            fn size(&self) -> usize {
                size_of::<$type>()
            }
            fn encode<S: Sink>(&self, sink: &mut S) {
                sink.put(&self.to_be_bytes());
            }
        }
    )*};
}
encode_integers!(u8 u16 u32);

/// A struct of the presentation language: its members one after the other.
macro_rules! encode_tuples {
    ($(($($name:ident)*))*) => {$(
        #[allow(non_snake_case)]
        impl<$($name: Encode),*> Encode for ($($name,)*) {
            fn size(&self) -> usize {
                let ($($name,)*) = self;
                0usize$(.saturating_add($name.size()))*
            }
            fn encode<S: Sink>(&self, sink: &mut S) {
                let ($($name,)*) = self;
                $($name.encode(sink);)*
            }
        }
    )*};
}
encode_tuples!((A B)(A B C)(A B C D)(A B C D E)(A B C D E F)(A B C D E F G));

/// A vector behind its uint8 length.
pub struct Vec8<T>(pub T);
/// A vector behind its uint16 length.
pub struct Vec16<T>(pub T);
/// A vector behind its uint24 length.
pub struct Vec24<T>(pub T);

/// Vectors: the low bytes of the size, then the content. Nothing that is sent comes near the
/// limit of its length field.
macro_rules! encode_vectors {
    ($($type:ident $width:literal)*) => {$(
        impl<T: Encode> Encode for $type<T> {
            fn size(&self) -> usize {
                self.0.size().saturating_add($width)
            }
            fn encode<S: Sink>(&self, sink: &mut S) {
                let size = (self.0.size() as u32).to_be_bytes();
                if let Some(length) = size.last_chunk::<$width>() {
                    sink.put(length);
                }
                self.0.encode(sink);
            }
        }
    )*};
}
encode_vectors!(Vec8 1 Vec16 2 Vec24 3);

/// A sink that keeps the part of what is written that lies in a window: `skip` bytes pass by,
/// then `out` is filled, and the rest is dropped. Lets a flight leave in pieces without being
/// stored.
pub struct Window<'a> {
    skip: usize,
    out: &'a mut [u8],
    filled: usize,
}

impl<'a> Window<'a> {
    /// The window on the `out.len()` bytes from `skip` on.
    pub fn new(skip: usize, out: &'a mut [u8]) -> Self {
        Window {
            skip,
            out,
            filled: 0,
        }
    }

    /// Number of bytes in `out` so far.
    pub const fn filled(&self) -> usize {
        self.filled
    }
}

impl Sink for Window<'_> {
    fn put(&mut self, bytes: &[u8]) {
        match bytes.get(self.skip..) {
            None => self.skip = self.skip.saturating_sub(bytes.len()),
            Some(rest) => {
                self.skip = 0;
                let room = self.out.get_mut(self.filled..).unwrap_or(&mut []);
                self.filled = self.filled.saturating_add(copy(rest, room));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    impl Sink for Vec<u8> {
        fn put(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }
    }

    #[test]
    fn vectors_carry_the_length_of_their_content() {
        let value = (
            1u8,
            Vec24((0x0203u16, Vec16(&[4u8, 5][..]), Vec8(None::<u16>))),
        );
        let mut out = Vec::new();
        value.encode(&mut out);
        assert_eq!(out, [1, 0, 0, 7, 2, 3, 0, 2, 4, 5, 0]);
        assert_eq!(value.size(), out.len());
    }

    #[test]
    fn windows_of_every_size_join_to_the_whole() {
        let value = (&[1u8, 2, 3][..], Vec8(&[4u8, 5, 6, 7][..]), 0x0809u16);
        let mut whole = Vec::new();
        value.encode(&mut whole);
        for size in 1..=whole.len() {
            let mut joined = Vec::new();
            while joined.len() < whole.len() {
                let mut out = [0; 16];
                let mut window = Window::new(joined.len(), &mut out[..size]);
                value.encode(&mut window);
                let filled = window.filled();
                joined.extend_from_slice(&out[..filled]);
            }
            assert_eq!(joined, whole);
        }
    }

    #[test]
    fn reader_refuses_what_is_not_there() {
        let mut reader = Reader::new(&[2, 1]);
        assert!(reader.vec8(0).is_err());
        let mut reader = Reader::new(&[1, 9]);
        assert!(reader.vec8(2).is_err());
        let mut reader = Reader::new(&[0, 1, 9, 8]);
        assert_eq!(reader.vec16(1), Ok(&[9][..]));
        assert!(reader.finish().is_err());
        assert!(List16::new(&[1]).is_err());
        assert!(List16::new(&[]).is_err());
    }
}
