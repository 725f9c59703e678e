// SPDX-License-Identifier: GPL-2.0
//! The engine in memory: against other implementations, against RFC 8448, and against bytes that
//! no client should send.

mod browsers;
mod client;
mod decisions;
mod hello;
mod host;
mod order;
mod outcomes;
mod peers;
mod protection;
mod resumption;
mod rfc8448;
mod second_flight;
mod stream;
mod tls12;
