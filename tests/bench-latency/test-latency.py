#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
#
# Latency of the rest of the system while clients flood it with full handshakes, for
# each net.tls_hs.mode in turn. CPU 0 is the server: it gets all packets of its
# interface, and another service's process. CPU 1 is the clients' machine: a flood that
# does not wait for answers, and probes.

import os
import select
import signal
import socket
import statistics
import struct
import subprocess
import time

from tls_hs import *

SERVER, CLIENT = "10.9.0.1", "10.9.0.2"
SERVER_CPU, CLIENT_CPU = 0, 1
MODES = ("softirq", "threads", "hybrid")


def option(name, default):
    with open("/proc/cmdline") as file:
        for word in file.read().split():
            key, _, value = word.partition("=")
            if key == f"bench.{name}":
                return value
    return default


ROUNDS = int(option("ROUNDS", "3"))
SECONDS = float(option("SECONDS_EACH", "5"))
RATES = [int(rate) for rate in option("RATES", "20,200").split(",")]


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def write(path, value):
    with open(path, "w") as file:
        file.write(str(value))


def make_network():
    """A link to a namespace with the clients. Packets are handled on the receiver's CPU."""
    ip("netns add clients")
    ip("link add server0 type veth peer name client0 netns clients")
    ip(f"address add {SERVER}/24 dev server0")
    ip("link set server0 up")
    ip(f"-n clients address add {CLIENT}/24 dev client0")
    ip("-n clients link set client0 up")
    write("/sys/class/net/server0/queues/rx-0/rps_cpus", f"{1 << SERVER_CPU:x}")
    pid = forked(lambda: (enter(), write_client_rps()))
    joined(pid)


def enter():
    with open("/run/netns/clients") as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)


def write_client_rps():
    # sysfs shows the interfaces of the namespace that mounted it.
    subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            f"mount -t sysfs sysfs /sys && echo {1 << CLIENT_CPU:x} >/sys/class/net/client0/queues/rx-0/rps_cpus",
        ],
        check=True,
    )


# --- processes --------------------------------------------------------------------


def plain_service(ready):
    """A service that has nothing to do with TLS."""
    os.sched_setaffinity(0, {SERVER_CPU})
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((SERVER, 80))
    sock.listen(8)
    os.write(ready, b"x")
    while True:
        conn, _address = sock.accept()
        conn.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1)
        while request := conn.recv(64):
            conn.sendall(request)


def child(function, cpu=CLIENT_CPU):
    """Runs function() in a process among the clients; result() returns the numbers it returned."""
    reader, writer = os.pipe()

    def body():
        os.close(reader)
        os.sched_setaffinity(0, {cpu})
        enter()
        values = function()
        with os.fdopen(writer, "wb") as file:
            file.write(struct.pack(f"={len(values)}d", *values))

    pid = forked(body)
    os.close(writer)

    def result():
        with os.fdopen(reader, "rb") as file:
            data = file.read()
        joined(pid)
        return list(struct.unpack(f"={len(data) // 8}d", data))

    return result


def probe(once, interval=0.01):
    """Milliseconds that once() takes, over and over. Not kept from it by the flood."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    taken = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = time.monotonic()
        once()
        taken.append(1000 * (time.monotonic() - start))
        time.sleep(interval)
    return taken


def ping():
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.connect((SERVER, 0))
    sock.settimeout(20)
    number = 0

    def once():
        nonlocal number
        number = number + 1 & 0xFFFF
        body = struct.pack("!HHHHH", 0x0800, 0, os.getpid() & 0xFFFF, number, 0)
        total = sum(struct.unpack("!5H", body))
        total = (total & 0xFFFF) + (total >> 16)
        sock.send(struct.pack("!HHHHH", 0x0800, ~total & 0xFFFF, os.getpid() & 0xFFFF, number, 0))
        while True:
            reply = sock.recv(64)[20:]
            if reply[0] == 0 and struct.unpack("!H", reply[6:8])[0] == number:
                return

    return probe(once)


def request():
    sock = tcp_connect((SERVER, 80))

    def once():
        sock.sendall(b"ping")
        receive_exactly(sock, 4)

    return probe(once)


def flood(rate, hello, seconds=None):
    """Sends `rate` ClientHellos a second, each on a connection of its own, whatever the server
    does. Returns milliseconds until the answer, of those that got one."""
    poll = select.epoll()
    socks, taken = {}, []
    start = time.monotonic()
    end = start + (seconds or SECONDS)
    number = 0
    while (now := time.monotonic()) < end:
        if number < (now - start) * rate:
            number += 1
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.connect_ex((SERVER, 443))
            poll.register(sock, select.EPOLLOUT)
            socks[sock.fileno()] = (sock, now)
            continue
        wait = max(0, start + number / rate - now)
        for fd, events in poll.poll(min(wait, end - now)):
            sock, began = socks[fd]
            try:
                if events & select.EPOLLOUT and not events & (select.EPOLLERR | select.EPOLLHUP):
                    sock.send(hello)
                    poll.modify(fd, select.EPOLLIN)
                    socks[fd] = (sock, time.monotonic())
                    continue
                if sock.recv(1):
                    taken.append(1000 * (time.monotonic() - began))
            except OSError:
                pass
            del socks[fd]
            sock.close()
    return taken


# --- measurements -----------------------------------------------------------------


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def row(*cells):
    texts = [f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print("# | " + " | ".join(texts) + " |", flush=True)


def three(values):
    return f"{percentile(values, 0.5):.1f}, {percentile(values, 0.99):.1f}, {percentile(values, 1):.1f}"


def idle(hello):
    """One handshake at a time, on a machine that has nothing else to do."""
    results = {mode: [] for mode in MODES}

    def some():
        taken = []
        for _ in range(40):
            sock = tcp_connect((SERVER, 443))
            start = time.monotonic()
            sock.sendall(hello)
            sock.recv(1)
            taken.append(1000 * (time.monotonic() - start))
            reset(sock)
        return taken

    # A module that has no modes can be compared with one that has.
    modes = MODES if os.path.exists("/proc/sys/net/tls_hs/mode") else ("",)
    results = {mode: [] for mode in modes}
    for _ in range(2 * ROUNDS):
        for mode in modes:
            if mode:
                sysctl("net.tls_hs.mode", MODES.index(mode))
            results[mode] += child(some)()
    row("ClientHello to ServerHello, idle", "ms: median, p99, max")
    row("---", "---")
    for mode, taken in results.items():
        row(mode, three(taken))
    return bool(modes[0])


def busy(hello):
    loads = [("", 0)] + [(mode, rate) for rate in RATES for mode in MODES]
    results = {load: ([], [], [], []) for load in loads}
    for _ in range(ROUNDS):
        for load in loads:
            mode, rate = load
            if mode:
                sysctl("net.tls_hs.mode", MODES.index(mode))
            before = counters()
            running = child(lambda: flood(rate, hello)) if rate else None
            probes = child(ping), child(request)
            pings, requests, answers, more = results[load]
            pings += probes[0]()
            requests += probes[1]()
            answers += running() if running else []
            after = counters()
            more.append(after["shed"] - before["shed"])
            wait_until(lambda: sum(counters()[name] for name in ("completed", "failed")) >= counters()["admitted"], 60)
    row("mode", "handshakes/s asked", "answered/s", "shed/s", "ping RTT, ms", "TCP request, ms", "ServerHello, ms")
    row(*["---"] * 7)
    for (mode, rate), (pings, requests, answers, shed) in results.items():
        seconds = ROUNDS * SECONDS
        row(mode or "no flood", rate, len(answers) / seconds, sum(shed) / seconds, three(pings), three(requests), three(answers))


@case("latency", limit=800)
def _():
    make_network()
    reader, writer = os.pipe()
    service = forked(lambda: plain_service(writer))
    os.read(reader, 1)
    server = listener(address=SERVER, port=443, backlog=1024)
    hello = client_hello()
    # The first handshake of all pays for what is made once.
    child(lambda: flood(20, hello, 1))()
    if idle(hello):
        busy(hello)
    os.kill(service, signal.SIGKILL)
    os.waitpid(service, 0)
    server.close()


if __name__ == "__main__":
    run()
