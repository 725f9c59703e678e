#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
#
# What an administrator sees of handshakes: tracepoints, inet_diag (ss), the histogram
# in debugfs, and a reason for every end.

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import time

from tls_hs import *

TRACE = "/sys/kernel/tracing"
LATENCY = "/sys/kernel/debug/tls_hs/latency"
SERVER = None


def server():
    global SERVER
    SERVER = SERVER or listener()
    return SERVER


def mounted(kind, path):
    if not os.listdir(path):
        subprocess.run(["mount", "-t", kind, kind, path], check=True)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


# --- tracepoints ---


class Trace:
    def events(self):
        """Name and fields of the events that have come."""
        with open(f"{TRACE}/trace") as file:
            lines = [line for line in file if not line.startswith("#")]
        found = []
        for line in lines:
            match = re.search(r" tls_hs_(\w+): (.*)", line)
            if match:
                found.append((match[1], dict(re.findall(r"(\w+)=(\S*)", match[2]))))
        return found

    def wait(self, count):
        wait_until(lambda: len(self.events()) >= count, what=f"{count} events, got {self.events()}")
        return self.events()


@contextlib.contextmanager
def traced():
    mounted("tracefs", TRACE)
    write(f"{TRACE}/trace", "")
    write(f"{TRACE}/events/tls_hs/enable", "1")
    try:
        yield Trace()
    finally:
        write(f"{TRACE}/events/tls_hs/enable", "0")


@case("tracepoints of a handshake: start, hello, done, with all that was agreed on")
def _():
    server()
    with traced() as trace:
        started = time.monotonic()
        client = Client(server().getsockname(), name="localhost").handshake()
        conn, _ = accept(server())
        seconds = time.monotonic() - started
        events = trace.wait(3)
    expect([name for name, _ in events], ["start", "hello", "done"])
    here, there = client.sock.getsockname()[1], server().getsockname()[1]
    for _, fields in events:
        expect(int(fields["family"]), socket.AF_INET)
        expect((int(fields["sport"]), int(fields["dport"])), (there, here))
        expect((fields["saddr"], fields["daddr"]), ("127.0.0.1", "127.0.0.1"))
        expect((fields["saddrv6"], fields["daddrv6"]), ("::ffff:127.0.0.1", "::ffff:127.0.0.1"))
        expect_true(int(fields["netns"]) > 0, f"{fields}")
    times = [int(fields["us"]) for _, fields in events]
    expect(times, sorted(times))
    expect_true(0 < times[-1] <= seconds * 1e6, f"{times} in {seconds} s")
    expect(events[1][1]["sni"], "localhost")
    done = events[2][1]
    expect(done["sni"], "localhost")
    expect((int(done["version"], 16), int(done["suite"], 16), int(done["group"], 16)), session_info(conn)[:3])
    expect(done["resumed"], "0")


@case("tracepoints over IPv6, and with TLS 1.2")
def _():
    own = listener(socket.AF_INET6)
    with traced() as trace:
        Client(own.getsockname(), maximum=ssl.TLSVersion.TLSv1_2).handshake()
        accept(own)
        events = trace.wait(3)
    done = events[-1][1]
    expect((int(done["family"]), done["saddrv6"], done["daddrv6"]), (socket.AF_INET6, "::1", "::1"))
    expect(int(done["version"], 16), 0x0303)


@case("tracepoints of a fallback and of failures, with their reasons")
def _():
    server()
    with traced() as trace:
        client = Client(server().getsockname(), groups="X448")
        client.sock.sendall(client.produce())
        accept(server())
        sock = tcp_connect(server().getsockname())
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        read_to_end(sock)
        reset(tcp_connect(server().getsockname()))
        tcp_connect(server().getsockname()).close()
        events = trace.wait(8)
    names = [(name, fields.get("reason")) for name, fields in events if name != "start"]
    expect(names[0], ("fallback", "no_common_group"))
    expect(names[1], ("fail", "not_tls"))
    expect(sorted(names[2:]), [("fail", "peer_closed"), ("fail", "peer_reset")])


@case("tracepoints of a handshake that takes too long, and of a listener that closes")
def _():
    with sysctl_set("net.tls_hs.handshake_timeout_ms", 300):
        late = listener()
        with traced() as trace:
            sock = tcp_connect(late.getsockname())
            read_to_end(sock)
            events = trace.wait(2)
    name, fields = events[1]
    expect((name, fields["reason"]), ("fail", "timeout"))
    expect_true(int(fields["us"]) >= 250000, f"{fields}")
    own = listener()
    with traced() as trace:
        sock = tcp_connect(own.getsockname())
        trace.wait(1)
        own.close()
        read_to_end(sock)
        events = trace.wait(2)
    expect((events[1][0], events[1][1]["reason"]), ("fail", "listener_closed"))


@case("names that the client makes up do no harm to a terminal")
def _():
    own = server()
    long = ".".join(["n" * 49] * 5) + "n"
    with traced() as trace:
        sock = tcp_connect(own.getsockname())
        sock.sendall(client_hello(name=long))
        events = trace.wait(2)
        sock.close()
    expect((events[1][0], events[1][1]["sni"]), ("hello", long))
    for name in (b"a\x1b[31mb", b"\xff\xfe\xff", b"a b%s%n"):
        hello = client_hello(name="n" * len(name))
        expect(hello.count(b"n" * len(name)), 1)
        with traced() as trace:
            sock = tcp_connect(own.getsockname())
            sock.sendall(hello.replace(b"n" * len(name), name))
            events = trace.wait(2)
            sock.close()
        expect_true(events[1][0] in ("hello", "fail"), f"{events}")
        expect(re.sub(r"[A-Za-z0-9._?-]", "", events[1][1]["sni"]), "")
        with open(f"{TRACE}/trace", "rb") as file:
            expect_true(b"\x1b" not in file.read(), "no escape sequences")


# --- inet_diag ---

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
INET_DIAG_INFO, INET_DIAG_ULP_INFO = 2, 19
TCP_LISTEN, TCP_ESTABLISHED = 10, 1
DIAG = {name.removeprefix("TLS_HS_DIAG_"): value for name, value in HEADER.items() if name.startswith("TLS_HS_DIAG")}


def attributes(data):
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack("=HH", data[:4])
        found[kind & 0x3FFF] = data[4:size]
        data = data[(size + 3) & ~3 :]
    return found


def diag(port, states):
    """ULP attributes of the sockets with this local port."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0, states)
    request += bytes(48)
    sock.send(struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, 0x301, 1, 0) + request)
    found = []
    while True:
        data = sock.recv(1 << 20)
        while data:
            size, kind = struct.unpack("=IH", data[:6])
            if kind == 3:
                sock.close()
                return found
            expect(kind, SOCK_DIAG_BY_FAMILY)
            (sport,) = struct.unpack(">H", data[20:22])
            if sport == port:
                outer = attributes(data[16 + 72 : size])
                found.append(attributes(outer.get(INET_DIAG_ULP_INFO, b"")))
            data = data[(size + 3) & ~3 :]


def ours(entry):
    inner = attributes(entry[HEADER["TLS_HS_DIAG"]])
    return {kind: int.from_bytes(value, "little") for kind, value in inner.items()}


@case("inet_diag: what a listener serves and has done")
def _():
    own = listener()
    port = own.getsockname()[1]

    def of_listener():
        (entry,) = diag(port, 1 << TCP_LISTEN)
        expect(entry[1], b"tls\0")
        return ours(entry)

    first = of_listener()
    expect(first[DIAG["STATE"]], DIAG["STATE_LISTEN"])
    expect(first[DIAG["PENDING"]], 0)
    expect(first[DIAG["MAX_PENDING"]], 65536)
    clients = [tcp_connect(own.getsockname()) for _ in range(3)]
    wait_until(lambda: of_listener()[DIAG["PENDING"]] == 3)
    for client in clients:
        client.close()
    wait_until(lambda: of_listener()[DIAG["FAILED"]] == 3)
    Client(own.getsockname()).handshake()
    client = Client(own.getsockname(), groups="X448")
    client.sock.sendall(client.produce())
    wait_until(lambda: of_listener()[DIAG["FELL_BACK"]] == 1)
    expect(of_listener()[DIAG["COMPLETED"]], 1)
    expect(of_listener()[DIAG["PENDING"]], 0)


@case("inet_diag: a connection in handshake, when it waits, and when it is accepted")
def _():
    own = listener()
    port = own.getsockname()[1]
    client = Client(own.getsockname())

    def of_child():
        (entry,) = diag(port, 1 << TCP_ESTABLISHED)
        expect(entry[1], b"tls\0")
        return entry

    first = ours(wait_until(of_child))
    expect(first[DIAG["STATE"]], DIAG["STATE_HANDSHAKE"])
    time.sleep(0.3)
    later = ours(of_child())
    expect_true(later[DIAG["AGE"]] >= first[DIAG["AGE"]] + 250, f"{first} {later}")
    client.handshake()
    wait_until(lambda: ours(of_child())[DIAG["STATE"]] == DIAG["STATE_COMPLETE"])
    accept_it = [accept(own)]
    entry = of_child()
    expect_true(HEADER["TLS_HS_DIAG"] not in entry, f"{entry}")
    # Version and cipher of kTLS.
    stock = attributes(entry[2])
    expect(stock[1], struct.pack("=H", TLS_1_3_VERSION))
    accept_it.clear()


@case("ss shows sockets of every kind")
def _():
    own = listener()
    port = own.getsockname()[1]
    pending = tcp_connect(own.getsockname())
    client = Client(own.getsockname()).handshake()
    conn, _ = accept(own)
    output = subprocess.run(["ss", "-tiaOnH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    print("# " + output.replace("\n", "\n# "))
    lines = output.splitlines()
    expect(len(lines), 3)
    for line in lines:
        expect_true("tcp-ulp-tls" in line, line)
    expect(sum("rxconf: sw" in line for line in lines), 1)
    expect(sum("rxconf: none" in line for line in lines), 2)
    for sock in (pending, client.sock, conn):
        sock.close()


@case("inet_diag while connections come and go", limit=60)
def _():
    own = listener()
    stop = []

    def look():
        rounds = 0
        while not stop:
            for entry in diag(own.getsockname()[1], 0xFFF):
                if HEADER["TLS_HS_DIAG"] in entry:
                    expect_true(1 <= ours(entry)[DIAG["STATE"]] <= 5, f"{entry}")
            rounds += 1
        return rounds

    looker = Background(look)
    for number in range(60):
        client = Client(own.getsockname())
        if number % 3:
            client.handshake()
            accept(own)[0].close()
        client.close()
    stop.append(1)
    expect_true(looker.result() > 3, "looked")


# --- latency ---


def histogram():
    mounted("debugfs", "/sys/kernel/debug")
    with open(LATENCY) as file:
        names, *rows = (line.split("\t") for line in file.read().splitlines())
    return names[1:], [[int(value) for value in row] for row in rows]


@case("the histogram in debugfs counts each handshake where it belongs")
def _():
    ring = host()
    add_key(HEADER["TLS_HS_KEY_TYPE_TICKET"], os.urandom(48), ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    own = listener(ring=ring)
    names, before = histogram()
    expect(names, ["tls12_full", "tls12_resumed", "tls13_full", "tls13_resumed"])
    expect([row[0] for row in before], [0] + [1 << row for row in range(1, 26)])
    began = time.monotonic()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(maximum=version)
        session = None
        for _ in range(4):
            client = Client(own.getsockname(), context=context, session=session).handshake()
            conn, _ = accept(own)
            conn.sendall(b"x")
            client.receive_exactly(1)
            session = client.tls.session
    longest = (time.monotonic() - began) * 1e6
    _, after = histogram()
    grown = [[new - old for new, old in zip(a[1:], b[1:])] for a, b in zip(after, before)]
    expect([sum(column) for column in zip(*grown)], [1, 3, 1, 3])
    for row, counts in zip(after, grown):
        expect_true(not any(counts) or row[0] <= longest, f"{row[0]} µs in {longest} µs")


@case("failures and fallbacks are not in it")
def _():
    _, before = histogram()
    client = Client(server().getsockname(), groups="X448")
    client.sock.sendall(client.produce())
    accept(server())
    sock = tcp_connect(server().getsockname())
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    read_to_end(sock)
    expect(histogram()[1], before)


# --- counters ---


@case("every handshake of this test has ended for a reason")
def _():
    wait_until(lambda: (now := counters())["admitted"] == now["completed"] + now["fell_back"] + now["failed"])
    now = counters()
    # The engine's reasons come last, those for a fallback first.
    names = list(now)
    engine = names.index("unsupported_version")
    alerts = names.index("not_tls")
    local = ("timeout", "idle_timeout", "peer_closed", "peer_reset", "send_failed", "listener_closed", "shed")
    fallback = sum(now[name] for name in names[engine:alerts])
    other = sum(now[name] for name in [*local, *names[alerts:]])
    expect_true(now["fell_back"] >= 3 and now["failed"] > 5, f"{now}")
    expect(now["fell_back"], fallback)
    # An alert that waits, and then the client that leaves: two reasons of one end.
    expect_true(now["failed"] <= other <= 2 * now["failed"], f"{now}")


if __name__ == "__main__":
    run()
