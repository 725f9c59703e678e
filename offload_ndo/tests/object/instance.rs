// SPDX-License-Identifier: GPL-2.0
//! The crate instantiated as in the kernel: memory behind a pointer. Compiled by tests/object.rs,
//! which looks at the symbols that it needs.

#![no_std]

use offload_ndo::{Framer, Map, Piece, Record, Rx, RxVerdict, Tx, TxVerdict};

type Memory = &'static mut [Record];

#[no_mangle]
pub fn instance_tx(tx: &mut Tx<Memory>, seq: u32, payload: &[u8]) -> TxVerdict {
    tx.acknowledge(seq);
    tx.packet(seq, payload)
}

#[no_mangle]
pub fn instance_tx_control(tx: &mut Tx<Memory>, seq: u32, number: u64) -> TxVerdict {
    tx.resync(seq, number);
    let _ = tx.announce(number as u16, 23);
    tx.forget();
    tx.failed(seq)
}

#[no_mangle]
pub fn instance_rx(rx: &mut Rx, seq: u32, payload: &[u8]) -> (RxVerdict, Option<u32>) {
    (rx.packet(seq, payload), rx.request())
}

#[no_mangle]
pub fn instance_rx_control(rx: &mut Rx, seq: u32, number: u64) -> bool {
    rx.refuse();
    rx.auth_failed();
    rx.confirm(seq, number)
}

#[no_mangle]
pub fn instance_map(map: &mut Map<Memory>, record: Record) -> u64 {
    let _ = map.insert(record);
    map.acknowledge(record.start);
    map.iter().fold(0, |all, record| all ^ record.number)
}

#[no_mangle]
pub fn instance_framer(framer: &mut Framer, bytes: &mut [u8]) -> ([u8; 12], usize) {
    let mut rest = bytes;
    let mut len = 0usize;
    while let Some((Piece { .. }, part)) = framer.next_mut(&mut rest) {
        len = len.wrapping_add(part.len());
    }
    let aad = framer.aad();
    len = len.wrapping_add(aad.map_or(0, |aad| aad.as_ref().len()));
    (framer.nonce(&[0; 12]), len)
}
