#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300 + HS_STORM / 15
#
# A storm of clients (storm.c), most of which go wrong at some stage of the handshake:
# on a good network and on a bad one, with listeners that come and go, with little
# memory for TCP, with allocations that fail. Valid clients succeed wherever nothing
# of that can be in their way, the counters add up and all memory comes back.
# HS_STORM says how many there are in all.

import contextlib
import os
import subprocess
import time

from balance import *
from tls_hs import *

TOTAL = int(os.environ.get("HS_STORM", "4000"))
CLIENTS = 3
# No valid client may meet it, however busy the machine is.
DEADLINE_MS = 10000 * SLOW
LIMIT = 60 + TOTAL // 20
FAULTS = "/sys/kernel/debug"


class Server:
    """Listeners of both families and the process that accepts from them."""

    running = []

    def __init__(self, port=0, address="127.0.0.1", address6="::1", **info):
        self.sockets = [listener(socket.AF_INET, address, port, RING, 512, **info)]
        self.port = self.sockets[0].getsockname()[1]
        if address6:
            self.sockets.append(listener(socket.AF_INET6, address6, self.port, RING, 512, **info))
        numbers = [server.fileno() for server in self.sockets]
        self.process = subprocess.Popen(["./storm_server", *map(str, numbers)], pass_fds=numbers)
        Server.running.append(self)

    def configure(self, **info):
        for server in self.sockets:
            server.setsockopt(SOL_TLS, TLS_HS, crypto_info(RING, **info))

    def close(self):
        """The process goes first with some of its connections, or the listeners."""
        Server.running.remove(self)
        for server in self.sockets[: self.process.pid % 3]:
            server.close()
        self.process.kill()
        self.process.wait()
        for server in self.sockets:
            server.close()


class Storm:
    """Processes with clients; all of them share a number of connections."""

    serial = 0

    def __init__(self, port, share, hosts=("127.0.0.1", "::1"), options=(), prefix=()):
        count = max(1, int(TOTAL * share) // CLIENTS)
        self.processes = []
        for number in range(CLIENTS):
            Storm.serial += 1
            command = [*prefix, "./storm", "-n", str(count), "-s", str(Storm.serial)]
            command += ["-t", str(60 * SLOW), *options]
            command += [hosts[number % len(hosts)], str(port), f"{CERTS}/ca.pem"]
            self.processes.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )

    def running(self):
        return any(process.poll() is None for process in self.processes)

    def result(self):
        """What each kind tried and reached; fails if valid clients went wrong."""
        tally, wrong, words = {}, 0, []
        for process in self.processes:
            out, err = process.communicate()
            expect(process.returncode, 0, f"status of the clients, {err}")
            words += err.splitlines()
            for line in out.splitlines():
                kind, *numbers = line.split()
                if kind == "wrong":
                    wrong += int(numbers[0])
                else:
                    tried, reached = tally.get(kind, (0, 0))
                    tally[kind] = tried + int(numbers[0]), reached + int(numbers[1])
        for kind, (tried, reached) in tally.items():
            print(f"# {kind}: {reached} of {tried}")
        expect_true(not wrong, f"{wrong} valid clients went wrong: {'; '.join(words[:5])}")
        return tally


@contextlib.contextmanager
def balanced(memory=True):
    """In the block every handshake that begins ends, and its memory comes back."""
    start, before = connection_slabs(), counters()
    try:
        yield
        account(before)
        if memory:
            nothing_left(start)
    finally:
        # Only after a failure there are some.
        for server in list(Server.running):
            server.close()
        growth = {name: value - before[name] for name, value in counters().items()}
        print("#", ", ".join(f"{name} {value}" for name, value in growth.items() if value))


def valid(port, count=12, **options):
    """Nothing is wrong: all succeed."""
    names = "full-1.2,full-1.3,resumed-1.3,resumed-1.2,key-update,library"
    Storm(port, CLIENTS * count / TOTAL, options=["-k", names], **options).result()


def set_deadline(milliseconds):
    for name in ("handshake_timeout_ms", "idle_timeout_ms"):
        sysctl(f"net.tls_hs.{name}", milliseconds)


@case("clients that go wrong at every stage", limit=LIMIT)
def _():
    with balanced():
        server = Server()
        tally = Storm(server.port, 0.4).result()
        server.close()
    expect_true(len(tally) >= 17 or TOTAL < 500, f"kinds: {list(tally)}")


@case("listeners that come and go, new keys and options meanwhile", limit=LIMIT)
def _():
    with balanced():
        steady, shaky = Server(), Server()
        storm = Storm(steady.port, 0.12)
        storm_with_losses = Storm(shaky.port, 0.12, options=["-f"])
        turns = 0
        while storm.running() or storm_with_losses.running():
            turns += 1
            steady.configure(**(P256_ONLY if turns % 2 else {}))
            add_key(CERT, read_cert("localhost.pem"), RING)
            add_key(PRIV, read_cert("localhost.key"), RING)
            if turns % 4 == 0:
                shaky.close()
                shaky = Server(shaky.port)
            time.sleep(0.1)
        storm.result()
        storm_with_losses.result()
        valid(shaky.port)
        steady.close()
        shaky.close()
        print(f"# {turns} turns")


def run_quietly(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def network(rules):
    """A namespace behind a wire on which netem does this in both directions; yields the
    address here and what to prefix commands over there with."""
    there = ("ip", "netns", "exec", "clients")
    run_quietly("ip", "netns", "add", "clients")
    try:
        run_quietly(*"ip link add here type veth peer name there netns clients".split())
        run_quietly(*"ip address add 10.9.0.1/24 dev here".split())
        run_quietly(*"ip link set here up".split())
        run_quietly(*there, *"ip address add 10.9.0.2/24 dev there".split())
        run_quietly(*there, *"ip link set there up".split())
        run_quietly(*"tc qdisc add dev here root netem".split(), *rules.split())
        run_quietly(*there, *"tc qdisc add dev there root netem".split(), *rules.split())
        yield "10.9.0.1", there
    finally:
        run_quietly("ip", "netns", "delete", "clients")


@case("segments lost, doubled, late and out of order, tiny windows on both sides", limit=LIMIT)
def _():
    set_deadline(40000 * SLOW)
    rules = "limit 10000 delay 3ms 3ms reorder 20% duplicate 10% loss 3%"
    with sysctl_set("net.ipv4.tcp_wmem", "4096 4608 8192"), network(rules) as (address, there):
        with balanced():
            server = Server(address=address, address6=None)
            # A reset that was lost is not sent again: half closed clients may wait for ever.
            options = ["-l", "-w", "600", "-c", "64", "-t", str(45 * SLOW)]
            Storm(server.port, 0.16, hosts=[address], options=options, prefix=there).result()
            server.close()
    set_deadline(DEADLINE_MS)


@case("little memory for TCP", limit=LIMIT)
def _():
    with balanced():
        server = Server()
        with sysctl_set("net.ipv4.tcp_mem", "16 24 48"):
            Storm(server.port, 0.1, options=["-f", "-t", str(8 * SLOW)]).result()
        valid(server.port)
        server.close()


def text_of_module():
    """First and last address of the module's functions."""
    with open("/proc/kallsyms") as file:
        found = [line.split() for line in file if line.endswith("[tls_hs]\n")]
    addresses = [int(address, 16) for address, kind, *_ in found if kind in "tT"]
    return min(addresses), max(addresses) + 1


def attribute(name, **values):
    for key, value in values.items():
        with open(f"{FAULTS}/{name}/{key.replace('_', '-')}", "w") as file:
            file.write(str(value))


@contextlib.contextmanager
def failing(percent, **where):
    """Allocations fail: those that `where` chooses."""
    kinds = {"failslab": {"ignore_gfp_wait": "N"}, "fail_page_alloc": {"ignore_gfp_wait": "N", "min_order": 0}}
    for name, more in kinds.items():
        attribute(name, probability=0, interval=1, times=-1, verbose=0, space=0, **more)
        attribute(name, require_start=0, require_end=0, task_filter="N")
        attribute(name, stacktrace_depth=32, **where)
        attribute(name, probability=percent)
    try:
        yield
    finally:
        for name in kinds:
            attribute(name, probability=0, task_filter="N", require_start=0, require_end=0)


def tried(function, *arguments, **options):
    """True if it went well; what fails, fails for want of memory."""
    try:
        function(*arguments, **options)
        return True
    except OSError as error:
        expect_true(error.errno in (errno.ENOMEM, errno.ENOBUFS), f"{function.__name__}: {error}")
        return False


def case_with_faults(name):
    """For kernels that can let allocations fail: the stock one can't."""
    if os.path.isdir(f"{FAULTS}/failslab"):
        return case(name, limit=LIMIT)
    return lambda function: function


@case_with_faults("allocations of the module fail")
def _():
    start, end = text_of_module()
    before = counters()
    # TCP does not send a FIN for which it gets no memory, and does not try again: such a
    # socket stays in LAST_ACK for ever. kmemleak finds what else is left.
    with balanced(memory=False):
        server = Server()
        with failing(5, require_start=start, require_end=end):
            Storm(server.port, 0.1, options=["-f", "-t", str(8 * SLOW)]).result()
        valid(server.port)
        went_well = 0
        with failing(20, require_start=start, require_end=end):
            for _ in range(min(200, TOTAL // 20)):
                ring = keyring()
                went_well += tried(host, ring=ring) and tried(listener, ring=ring)
                tried(server.configure)
                keyctl(KEYCTL_UNLINK, ring, SESSION_KEYRING)
        print(f"# {went_well} listeners set up")
        valid(server.port)
        server.close()
    expect_true(counters()["no_memory"] > before["no_memory"], "no allocation failed at all")


@case_with_faults("allocations fail while the module is loaded")
def _():
    global RING
    keyctl(KEYCTL_CLEAR, SESSION_KEYRING)
    unload()
    loaded = 0
    with failing(2, task_filter="Y"):
        for _ in range(min(60, TOTAL // 60)):
            # The shell becomes insmod: only its allocations fail.
            script = 'echo 1 >/proc/self/make-it-fail; exec insmod "$1"'
            if subprocess.run(["sh", "-c", script, "-", KO], stderr=subprocess.DEVNULL).returncode == 0:
                loaded += 1
                unload()
    print(f"# loaded {loaded} times")
    load()
    set_deadline(DEADLINE_MS)
    RING = host()
    server = Server()
    valid(server.port)
    server.close()


RING = None

if __name__ == "__main__":
    load()
    set_deadline(DEADLINE_MS)
    # Connections that clients ended first must not use up the ports.
    sysctl("net.ipv4.tcp_max_tw_buckets", 2000)
    sysctl("net.ipv4.ip_local_port_range", "2000 65000")
    RING = host()
    run(load_module=False)
