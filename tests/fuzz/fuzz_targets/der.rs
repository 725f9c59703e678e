// SPDX-License-Identifier: GPL-2.0
//! DER: every element lies within its parent, and what is read gives the input again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tls_hs::der::{octets_of_bit_string, Reader};

fn walk(bytes: &[u8], depth: usize) {
    let mut reader = Reader::new(bytes);
    let mut read = 0;
    while !reader.is_empty() {
        assert_eq!(reader.peek(), bytes.get(read).copied());
        let Ok(element) = reader.element() else {
            return;
        };
        assert_eq!(
            element.encoding,
            &bytes[read..read + element.encoding.len()]
        );
        assert!(element.encoding.ends_with(element.contents));
        assert_eq!(element.encoding[0], element.tag);
        read += element.encoding.len();
        let _ = octets_of_bit_string(element.contents);
        if depth > 0 {
            walk(element.contents, depth - 1);
        }
    }
    assert_eq!(read, bytes.len());
    assert!(reader.finish().is_ok());
}

fuzz_target!(|data: &[u8]| walk(data, 8));
