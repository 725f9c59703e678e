// SPDX-License-Identifier: GPL-2.0

//! A strict reader of DER (ITU-T X.690), as far as keys and certificates need it.
//!
//! A [`Reader`] is a cursor over a byte slice. It hands out elements as sub-slices of its input and
//! copies nothing. Only what DER allows is taken: definite lengths in their shortest form, and tag
//! numbers below 31. Lengths are limited to three octets (16 MiB), more than any input here has.
//!
//! # Constant time
//!
//! Tags and lengths steer the control flow, the contents of primitive elements do not: reading a
//! private key tells an observer where its parts are, not what they hold.

/// Why an input is not the DER that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The input ends before an element does.
    Truncated,
    /// A form that DER excludes, or another element than the expected one.
    Malformed,
    /// Something follows where the elements should have ended.
    TrailingData,
}

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// SEQUENCE, SEQUENCE OF.
pub const SEQUENCE: u8 = 0x30;

/// The tag of a constructed, context-specific element, number `n` (below 31).
pub const fn context(n: u8) -> u8 {
    0xa0 | (n & 0x1f)
}

/// The tag of a primitive, context-specific element, number `n` (below 31).
pub const fn context_primitive(n: u8) -> u8 {
    0x80 | (n & 0x1f)
}

/// One element: identifier, length and contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The contents octets.
    pub contents: &'a [u8],
    /// The whole encoding, from the identifier on.
    pub encoding: &'a [u8],
}

/// A cursor over consecutive elements.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Whether all elements have been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next element, whatever it is.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the input ends before the element does, [`Error::Malformed`] for a form
    /// that DER does not allow or that no key or certificate uses.
    pub fn element(&mut self) -> Result<Element<'a>, Error> {
        let (header_len, contents_len) = header(self.rest)?;
        let total = header_len
            .checked_add(contents_len)
            .ok_or(Error::Malformed)?;
        let (encoding, rest) = self.rest.split_at_checked(total).ok_or(Error::Truncated)?;
        let (identifier, contents) = encoding
            .split_at_checked(header_len)
            .ok_or(Error::Malformed)?;
        let tag = *identifier.first().ok_or(Error::Malformed)?;

        self.rest = rest;
        Ok(Element {
            tag,
            contents,
            encoding,
        })
    }

    /// Reads the next element, which must have the given tag, and returns its contents.
    ///
    /// # Errors
    ///
    /// As [`Self::element`], and [`Error::Malformed`] for another tag.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        let element = self.element()?;

        if element.tag == tag {
            Ok(element.contents)
        } else {
            Err(Error::Malformed)
        }
    }

    /// Enters the next element, which must have the given tag: a reader of as much of its contents as
    /// the input holds. For inputs of which only the beginning is at hand.
    ///
    /// # Errors
    ///
    /// As [`Self::expect`], except that the contents may end early.
    pub fn enter(&self, tag: u8) -> Result<Self, Error> {
        let (header_len, contents_len) = header(self.rest)?;
        let contents = self.rest.get(header_len..).ok_or(Error::Truncated)?;

        if self.peek() == Some(tag) {
            Ok(Self::new(contents.get(..contents_len).unwrap_or(contents)))
        } else {
            Err(Error::Malformed)
        }
    }

    /// Reads the contents of the next element if it has the given tag, and nothing otherwise.
    ///
    /// # Errors
    ///
    /// As [`Self::element`].
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Error> {
        if self.peek() == Some(tag) {
            self.expect(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The tag of the next element, if there is one.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Error::TrailingData`] if anything is left.
    pub const fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::TrailingData)
        }
    }
}

/// Reads the contents of a BIT STRING that holds whole octets, as keys and signatures do.
///
/// # Errors
///
/// [`Error::Malformed`] if the count of unused bits is missing or not 0.
pub fn octets_of_bit_string(contents: &[u8]) -> Result<&[u8], Error> {
    match contents.split_first() {
        Some((0, octets)) => Ok(octets),
        _ => Err(Error::Malformed),
    }
}

/// The length of an element's header, and the length of the contents that it announces, whether or
/// not they are there.
///
/// # Errors
///
/// As [`Reader::element`].
fn header(input: &[u8]) -> Result<(usize, usize), Error> {
    let (&tag, rest) = input.split_first().ok_or(Error::Truncated)?;
    let (&first, rest) = rest.split_first().ok_or(Error::Truncated)?;

    // X.690, 8.1.2.4: number 31 announces a tag of several octets.
    if tag & 0x1f == 0x1f {
        return Err(Error::Malformed);
    }
    if first < 0x80 {
        return Ok((2, usize::from(first)));
    }

    // X.690, 8.1.3.6 and 10.1: 0x80 is the indefinite form, which DER excludes.
    let octets = match first {
        0x81 => 1,
        0x82 => 2,
        0x83 => 3,
        _ => return Err(Error::Malformed),
    };
    let length = rest.get(..octets).ok_or(Error::Truncated)?;
    let value = length
        .iter()
        .fold(0_usize, |value, &octet| (value << 8) | usize::from(octet));
    // X.690, 10.1: the minimum number of octets.
    let shortest = if octets == 1 {
        value >= 0x80
    } else {
        length.first() != Some(&0)
    };

    if shortest {
        Ok((2 + octets, value))
    } else {
        Err(Error::Malformed)
    }
}
