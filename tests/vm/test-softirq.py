#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
#
# Where public-key operations are done: bottom half, kernel threads, or both; what
# waits for them, and what becomes of it when client, listener, time or administrator
# end it meanwhile. Under overload full handshakes are refused, resumed ones and
# established connections are not.

import contextlib
import errno
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import time

from tls_hs import *

MODES = ("softirq", "threads", "hybrid")
CACHES = ("TCP", "TCPv6", "request_sock_TCP", "request_sock_TCPv6", "tls_hs_child")
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
DEFAULT = "hybrid"
CONTEXT = client_context()
# The CPU on which handshakes are made to wait.
CPU = 0


def parameter(name, value=None):
    """Reads a sysctl of the module, or sets it and returns what it was."""
    if name == "mode" and value is not None:
        value = MODES.index(value)
    path = f"net.tls_hs.{name}"
    if value is not None:
        before = sysctl(path, value)
    else:
        with open("/proc/sys/" + path.replace(".", "/")) as file:
            before = file.read().strip()
    return MODES[int(before)] if name == "mode" else before


@contextlib.contextmanager
def parameters(**values):
    before = {name: parameter(name, value) for name, value in values.items()}
    try:
        yield
    finally:
        for name, value in before.items():
            parameter(name, value)


def thread(cpu):
    """Process ID of the module's thread of a CPU."""
    return int(subprocess.run(["pgrep", "-x", f"tls_hs/{cpu}"], check=True, capture_output=True).stdout)


def tickets():
    """A listener that gives tickets."""
    ring = host()
    add_key(HEADER["TLS_HS_KEY_TYPE_TICKET"], os.urandom(48), ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    return listener(ring=ring)


def visit(server, version, session=None):
    """A connection and what it leaves for the next: (resumed, session)."""
    context = client_context(minimum=version, maximum=version)
    if session:
        context = session[0]
    client = Client(server.getsockname(), context=context, session=session and session[1]).handshake()
    conn, family = accept(server)
    expect(family, PF_TLS)
    conn.sendall(b"pong")
    expect(client.receive_exactly(4), b"pong")
    echo_check(conn, client)
    result = client.tls.session_reused, (context, client.tls.session)
    conn.close()
    client.close()
    return result


def growth(before):
    return {name: value - before[name] for name, value in counters().items() if value != before[name]}


@case("the mode is set at load time or later, and what does not exist is refused")
def _():
    expect(parameter("mode"), DEFAULT)
    unload()
    for mode in MODES:
        load(f"mode={mode}")
        expect(parameter("mode"), mode)
        unload()
    expect(subprocess.run(["insmod", KO, "mode=both"], capture_output=True).returncode, 1)
    load()
    with raises(errno.EINVAL):
        sysctl("net.tls_hs.mode", 3)
    expect(parameter("mode"), DEFAULT)


@case("every mode does every handshake, and does it where it says", limit=60)
def _():
    server = tickets()
    for mode in MODES:
        # A budget that no operation uses up.
        with parameters(mode=mode, softirq_budget_us=10**5):
            expect(parameter("mode"), mode)
            for version, full, resumed in ((V12, 3, 0), (V13, 3, 2)):
                deferred = mode == "threads"
                session = None
                for operations in (full, resumed):
                    with counted(admitted=1, completed=1, deferred=operations if deferred else 0):
                        again, session = visit(server, version, session)
                        expect(again, operations == resumed, f"{mode}, {version}: resumed")


@case("without any budget every operation but the first of a run goes to the thread, or comes back", limit=60)
def _():
    server = tickets()
    for mode, deferred in (("hybrid", 2), ("softirq", 0)):
        with parameters(mode=mode, softirq_budget_us=0):
            with counted(admitted=1, completed=1, deferred=deferred):
                visit(server, V13)


def wake_ups():
    """How often the module's threads have gone to sleep again."""
    total = 0
    for cpu in range(os.cpu_count()):
        with open(f"/proc/{thread(cpu)}/status") as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])
    return total


@case("no thread is woken when the last operation uses the budget up", limit=60)
def _():
    server = tickets()
    with parameters(mode="hybrid", softirq_budget_us=0):
        client = Client(server.getsockname(), context=client_context(minimum=V12, maximum=V12))
        client.sock.sendall(client.produce())
        client.take()
        while not (flight := client.produce()):
            client.take()
        time.sleep(0.2)
        before = wake_ups()
        # One operation: the shared secret.
        client.sock.sendall(flight)
        conn, family = accept(server)
        expect(family, PF_TLS)
        time.sleep(0.2)
        expect(wake_ups(), before)
        echo_check(conn, client.handshake())


# --- many at a time -----------------------------------------------------------


def serve(server):
    """Accepts for ever and answers in capitals."""
    while True:
        try:
            conn, _family = accept(server)
            conn.settimeout(5)
            conn.sendall(conn.recv(64).upper())
            conn.close()
        except OSError:
            time.sleep(0.001)


def visits(address, count):
    """Full handshakes, so many at a time, over and over, until it is killed."""
    while True:
        clients = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                clients.append(Client(address, context=CONTEXT))
        for client in clients:
            with contextlib.suppress(OSError):
                client.sock.sendall(client.produce())
        for client in clients:
            with contextlib.suppress(OSError, ssl.SSLError, Failure):
                client.sock.settimeout(0.5)
                client.handshake()
        for client in clients:
            client.close()


def flood(address):
    """ClientHellos that cost nothing to make, until it is killed."""
    hello = client_hello()
    socks = []
    while True:
        with contextlib.suppress(OSError):
            sock = tcp_connect(address)
            socks.append(sock)
            sock.sendall(hello)
        if len(socks) > 200:
            reset(socks.pop(0))


@contextlib.contextmanager
def running(*functions):
    pids = [forked(function) for function in functions]
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def nothing_left():
    """Every handshake that began in the block has ended, and nothing of it is there."""
    start, before = slab(*CACHES), counters()
    yield

    def balance():
        grown = {name: value - before[name] for name, value in counters().items()}
        return grown["admitted"] == grown["completed"] + grown["fell_back"] + grown["failed"]

    def settled():
        now = slab(*CACHES)
        return all(now[name] <= start[name] for name in start)

    wait_until(balance, 20, "an end of every handshake")
    try:
        wait_until(settled, 20)
    except Failure:
        raise Failure(f"was {start}, is {slab(*CACHES)}: {growth(before)}") from None


@case("bursts in every mode: all are served, and batches are made", limit=100)
def _():
    server = listener(backlog=128)
    with nothing_left(), running(lambda: serve(server)):
        for mode in MODES:
            before = counters()
            with parameters(mode=mode):
                for _ in range(2):
                    clients = [Client(server.getsockname(), context=CONTEXT) for _ in range(40)]
                    hellos = [client.produce() for client in clients]
                    for client, hello in zip(clients, hellos):
                        client.sock.sendall(hello)
                    for client in clients:
                        client.handshake()
                        client.send(b"x")
                        expect(client.receive(1), b"X")
                        client.close()
            grown = growth(before)
            expect(grown["completed"], 80, mode)
            print(f"# {mode}: {grown}")
            if mode != "softirq":
                expect_true(grown.get("batched", 0) > 0, f"{mode}: no batches in {grown}")
        server.close()


@case("the mode changes while handshakes wait, and the budget", limit=60)
def _():
    server = listener(backlog=128)
    before = counters()
    with parameters(mode="hybrid", softirq_budget_us=200), nothing_left():
        with running(lambda: serve(server), lambda: visits(server.getsockname(), 16), lambda: visits(server.getsockname(), 3)):
            end = time.monotonic() + 8
            while time.monotonic() < end:
                parameter("mode", random.choice(MODES))
                parameter("softirq_budget_us", random.choice((0, 50, 1000)))
                time.sleep(0.01)
        server.close()
    grown = growth(before)
    expect_true(grown["completed"] > 50 and "shed" not in grown, grown)


@case("a CPU goes while handshakes wait, and comes back", limit=90)
def _():
    path = "/sys/devices/system/cpu/cpu1/online"
    if not os.path.exists(path):
        print("# this machine's CPUs stay")
        return
    server = listener(backlog=128)
    before = counters()
    try:
        with nothing_left():
            with running(lambda: serve(server), lambda: visits(server.getsockname(), 16), lambda: visits(server.getsockname(), 8)):
                for mode in MODES:
                    with parameters(mode=mode):
                        for value in "01":
                            time.sleep(0.7)
                            with open(path, "w") as file:
                                file.write(value)
                time.sleep(0.5)
            server.close()
    finally:
        with open(path, "w") as file:
            file.write("1")
    # Nobody waits for a CPU that is not there.
    grown = growth(before)
    expect_true(grown["completed"] > 50 and "timeout" not in grown, grown)


# --- ended while they wait ----------------------------------------------------


@contextlib.contextmanager
def hog():
    """Something that takes all time of the CPU, and none of our file descriptors."""
    process = subprocess.Popen(["nice", "-n", "-20", "taskset", "-c", str(CPU), "sh", "-c", "while :; do :; done"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def waiting(clients, mode="threads", **options):
    """ClientHellos of all these clients have arrived, and the thread that shall go on with them
    has no CPU time."""
    affinity = os.sched_getaffinity(0)
    hellos = [client.produce() for client in clients]
    with parameters(mode=mode, **options), hog():
        worker = thread(CPU)
        os.sched_setscheduler(worker, os.SCHED_IDLE, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        os.sched_setaffinity(0, {CPU})
        try:
            # Over the loopback device the server's side runs where the client's does.
            for client, hello in zip(clients, hellos):
                client.sock.sendall(hello)
            os.sched_setaffinity(0, affinity)
            yield
        finally:
            os.sched_setaffinity(0, affinity)
            os.setpriority(os.PRIO_PROCESS, 0, 0)
            os.sched_setscheduler(worker, os.SCHED_OTHER, os.sched_param(0))


def crowd(server, count=20):
    return [Client(server.getsockname(), context=CONTEXT) for _ in range(count)]


def ends(client, seconds=10):
    client.sock.settimeout(seconds)
    try:
        return read_to_end(client.sock)
    except TimeoutError:
        raise Failure("the connection goes on") from None


@case("they wait, and are served when their turn comes", limit=60)
def _():
    server = listener(backlog=64)
    # On a busy machine the thread may have its turn at once.
    for _ in range(5):
        with nothing_left():
            clients = crowd(server)
            with counted(admitted=0, completed=len(clients)):
                with waiting(clients):
                    time.sleep(0.2)
                    late = sum(not select.select([client.sock], [], [], 0)[0] for client in clients)
                for client in clients:
                    client.handshake()
            for client in clients:
                conn, _family = accept(server)
                conn.close()
                client.close()
        if late > 4:
            break
    expect_true(late > 4, f"all but {late} were served at once")
    server.close()


@case("clients reset, close and half-close while they wait", limit=60)
def _():
    server = listener(backlog=64)
    ways = {
        "peer_reset": lambda client: reset(client.sock),
        "peer_closed": lambda client: client.sock.shutdown(socket.SHUT_WR),
    }
    for counter, way in ways.items():
        with nothing_left():
            clients = crowd(server)
            before = counters()
            with waiting(clients):
                for client in clients:
                    way(client)
                wait_until(lambda: counters()[counter] - before[counter] == len(clients), 10, counter)
            grown = growth(before)
            expect(grown["failed"], len(clients))
            # Nearly none of their operations was done.
            expect_true(grown.get("deferred", 0) < len(clients), grown)
            for client in clients:
                client.close()
    server.close()


@case("the listener is closed while they wait", limit=60)
def _():
    for family in (socket.AF_INET, socket.AF_INET6):
        with nothing_left():
            server = listener(family, backlog=64)
            clients = crowd(server)
            before = counters()
            with waiting(clients):
                server.close()
                grown = growth(before)
                expect(grown["listener_closed"], len(clients))
                for client in clients:
                    ends(client)
                    client.close()


@case("their time is over while they wait: nothing is done for them", limit=60)
def _():
    server = listener(backlog=64)
    with nothing_left():
        clients = crowd(server)
        before = counters()
        # The crowd has come whole before its time is over.
        with waiting(clients), parameters(handshake_timeout_ms=1):
            wait_until(lambda: growth(before).get("timeout") == len(clients), 10, "timeouts")
            expect(growth(before)["failed"], len(clients))
            for client in clients:
                ends(client)
        grown = growth(before)
        expect_true(grown.get("deferred", 0) < len(clients), grown)
        for client in clients:
            client.close()
        server.close()


@case("the administrator ends them while they wait (ss --kill)", limit=60)
def _():
    server = listener(backlog=64)
    port = server.getsockname()[1]
    with nothing_left():
        clients = crowd(server)
        before = counters()
        with waiting(clients):
            subprocess.run(
                ["ss", "-K", "-t", "state", "established", "sport", "=", f":{port}"], check=True, stdout=subprocess.DEVNULL
            )
            expect(growth(before)["failed"], len(clients))
            for client in clients:
                ends(client)
                client.close()
        server.close()


# --- overload -------------------------------------------------------------------


def was_reset(client):
    client.sock.setblocking(False)
    try:
        client.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    except ConnectionResetError:
        return True
    finally:
        client.sock.settimeout(20)
    return False


@case("more than may wait are refused by a reset, cheaply", limit=60)
def _():
    server = listener(backlog=64)
    with nothing_left():
        clients = crowd(server, 40)
        before = counters()
        with waiting(clients, max_backlog=8):
            # Their turn may come for a batch or two meanwhile.
            shed = wait_until(lambda: growth(before).get("shed"), 10, "shed")
            expect_true(20 <= shed <= 32, f"{shed} refused")
            refused = wait_until(lambda: len(found := list(filter(was_reset, clients))) == shed and found)
        served = [client for client in clients if client not in refused]
        for client in served:
            client.handshake()
            accept(server)[0].close()
        grown = growth(before)
        expect((grown["completed"], grown["failed"]), (len(served), shed))
        for client in clients:
            client.close()
        server.close()


@case("when the first has waited too long the next are refused", limit=60)
def _():
    server = listener(backlog=64)
    clients, late = crowd(server, 12), crowd(server, 4)
    hellos = [client.produce() for client in late]
    with parameters(idle_timeout_ms=0, handshake_timeout_ms=60000), waiting(clients, max_backlog_ms=400):
        time.sleep(0.6)
        before = counters()
        os.sched_setaffinity(0, {CPU})
        for client, hello in zip(late, hellos):
            client.sock.sendall(hello)
        wait_until(lambda: growth(before).get("shed") == len(late), 10, "shed")
    for client in late:
        expect(ends(client), (b"", True))
        client.close()
    for client in clients:
        client.handshake()
        client.close()
    server.close()


@case_in_real_time("resumed handshakes and established connections go on when full ones are refused", limit=100)
def _():
    server = tickets()
    address = server.getsockname()
    sessions = {version: visit(server, version)[1] for version in (V12, V13)}
    _server, conn, established = connected(server)
    # The bottom half is too fast for clients of the same machine.
    for mode, limit in (("softirq", 0), ("threads", 1), ("hybrid", 0)):
        before = counters()
        with parameters(mode=mode, max_backlog=limit):
            with running(lambda: serve(server), *[lambda: flood(address)] * 2):
                wait_until(lambda: growth(before).get("shed", 0) > 5, 30, f"{mode}: refusals")
                meanwhile = counters()
                for turn in range(6):
                    context, session = sessions[(V12, V13)[turn % 2]]
                    client = Client(address, context=context, session=session).handshake()
                    expect(client.tls.session_reused, True)
                    client.send(b"hello")
                    expect(client.receive(5), b"HELLO", f"{mode}, resumed")
                    client.close()
                    established.send(b"ping")
                    expect(receive_exactly(conn, 4), b"ping")
                refused = growth(meanwhile).get("shed", 0)
            grown = growth(before)
            print(f"# {mode}: {grown}, {refused} meanwhile")
            expect_true(refused > 0, f"{mode}: nothing refused meanwhile")
            expect_true(grown["completed"] >= 6, grown)
    established.close()


# --- unloading ------------------------------------------------------------------


@case("the module is removed as soon as the last that waited has gone", limit=60)
def _():
    for mode in MODES:
        # The key types were those of another module.
        server = listener(ring=host(), backlog=64)
        clients = crowd(server)
        with waiting(clients):
            for client in clients:
                reset(client.sock)
            server.close()
            parameter("mode", mode)
        unload()
        load()


if __name__ == "__main__":
    run()
