// SPDX-License-Identifier: GPL-2.0
//! RFC 8448 section 3, "Simple 1-RTT Handshake": its ClientHello, its server's key share and
//! random. The trace goes on with an RSA certificate, so from there on its keys are used to open
//! what the engine sends, and its Master Secret to derive what follows.

use sha2::{Digest, Sha256};

use crate::client::keys;
use crate::hello::{message, record};
use crate::host::{Connection, Host};
use crate::protection::{expand_label, hmac, split_records, Protection};

const CLIENT_HELLO: &str = "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283\
    024dece7000006130113031302010000910000000b0009000006736572766572ff01000100000a00140012001d00\
    170018001901000101010201030104002300000033002600 24001d002099381de560e4bd43d23d8e435a7dbafeb3\
    c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501\
    060102010402050206020202002d00020101001c00024001";
const SERVER_PRIVATE: &str = "b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e";
const SERVER_RANDOM: &str = "a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928";
const SERVER_HELLO: &str = "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772e\
    d3e2692800130100002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b0\
    4e751f0f002b00020304";
const CLIENT_HANDSHAKE_TRAFFIC_SECRET: &str =
    "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21";
const SERVER_HANDSHAKE_KEY: &str = "3fce516009c21727d0f2e4e86ee403bc";
const SERVER_HANDSHAKE_IV: &str = "5d313eb2671276ee13000b30";
const MASTER_SECRET: &str = "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919";

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

#[test]
fn simple_1_rtt_handshake() {
    let mut host = Host::default();
    host.crypto.lay_ready(hex(SERVER_RANDOM));
    host.private = Some(hex(SERVER_PRIVATE).try_into().unwrap());
    let mut connection = Connection::new(host);
    connection.take(&record(22, &hex(CLIENT_HELLO))).unwrap();

    let flight = std::mem::take(&mut connection.out);
    let records = split_records(&flight);
    assert_eq!(
        records[0],
        [&[22, 3, 3, 0, 90], &hex(SERVER_HELLO)[..]].concat()
    );
    let mut server = Protection {
        key: hex(SERVER_HANDSHAKE_KEY),
        iv: hex(SERVER_HANDSHAKE_IV),
        seq: 0,
    };
    let mut transcript = Sha256::new();
    transcript.update(hex(CLIENT_HELLO));
    transcript.update(hex(SERVER_HELLO));
    for record in &records[1..] {
        let (kind, content) = server.open(record);
        assert_eq!(kind, 22);
        transcript.update(content);
    }
    let messages = transcript.finalize();

    let secret = hex(CLIENT_HANDSHAKE_TRAFFIC_SECRET);
    let finished_key = expand_label(&secret, "finished", &[], 32);
    let finished = message(20, &hmac(&finished_key, &messages));
    connection
        .take(&Protection::new(&secret).seal(22, &finished, 0))
        .unwrap();

    let established = connection.server.established().expect("established");
    for (label, traffic) in [
        ("c ap traffic", established.client),
        ("s ap traffic", established.server),
    ] {
        let secret = expand_label(&hex(MASTER_SECRET), label, &messages, 32);
        let expected = Protection::new(&secret);
        assert_eq!(keys(traffic), (0, expected.key, expected.iv));
    }
}
