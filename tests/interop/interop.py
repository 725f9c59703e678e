#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Other TLS implementations as clients of the user-space server, or of the kernel's: full
and resumed handshakes in both versions.

A cell is ok if the client verified the certificate, got the page and ended well, and
the server says that the last connection was of the right version, full or resumed.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
PAGE = b"x" * 1024
COLUMNS = [(version, mode) for version in ("1.2", "1.3") for mode in ("full", "resumed")]
LIMIT = 60


class Failed(Exception):
    """Why a cell is not ok."""


class Server:
    """A server, and what it says of its connections."""

    # What it calls full and resumed handshakes.
    modes = {"full": "handshake=full ", "resumed": "handshake=resumed "}

    def __init__(self, lines):
        self.lines = []
        self.changed = threading.Condition()
        threading.Thread(target=self.follow, args=(lines,), daemon=True).start()

    def stop(self):
        """Ends it, if it is ours."""

    def follow(self, lines):
        for line in lines:
            with self.changed:
                self.lines.append(line.strip())
                self.changed.notify_all()

    def mark(self):
        return len(self.lines)

    def check(self, mark, version, mode):
        """What was said since mark must end with such a connection, that got the page."""
        def wanted(line):
            return (line.startswith("conn ") and f"version=TLSv{version} " in line
                    and self.modes[mode] in line
                    and int(re.search(r"bytes=(\d+)", line)[1]) > len(PAGE))
        with self.changed:
            if self.changed.wait_for(lambda: any(map(wanted, self.lines[mark:])), 15):
                return
            raise Failed("the server says: " + (" | ".join(self.lines[mark:]) or "nothing"))


class UserSpace(Server):
    """tls_hs_server."""

    def __init__(self, program, certs):
        self.process = subprocess.Popen(
            [program, "--address", "127.0.0.1", "--port", "0", "--cert", certs / "localhost.pem",
             "--key", certs / "localhost.key", "--body-size", str(len(PAGE)), "--close",
             "--verbose"], stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        self.port = int(ready.rsplit(":", 1)[1])
        super().__init__(self.process.stdout)

    def stop(self):
        self.process.kill()
        time.sleep(0.1)


class Kernel(Server):
    """tls_hs_httpd in a VM. What the library has served there does not count."""

    modes = {"full": " resumed=no ", "resumed": " resumed=yes "}

    def __init__(self, port, log):
        self.port = port
        super().__init__(self.tail(log))

    @staticmethod
    def tail(log):
        line = ""
        with open(log, encoding="ascii", errors="replace") as file:
            while True:
                line += file.readline()
                if not line.endswith("\n"):
                    time.sleep(0.1)
                elif " tls=kernel " in line:
                    yield line
                    line = ""
                else:
                    line = ""


class Client:
    """A client. With `resumed` it makes at least two connections."""

    program = None
    # Columns that cannot be had, and why.
    impossible = {}

    def __init__(self, context):
        self.context = context
        self.ca = str(context.certs / "ca.pem")
        self.port = str(context.server.port)

    def prepare(self):
        """Builds it."""

    def call(self, *command, stdin=None, env=None):
        """Runs a command; its standard output."""
        try:
            done = subprocess.run([str(word) for word in command], input=stdin, env=env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise Failed("takes too long") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise Failed(f"status {done.returncode}: {said[-1] if said else ''}")
        return done.stdout

    def page(self, output):
        if PAGE not in output:
            raise Failed("no page")


class OpenSsl(Client):
    program = "openssl"

    def run(self, version, resumed):
        session = self.context.tmp / "openssl-session"
        base = ["openssl", "s_client", "-connect", f"localhost:{self.port}", "-quiet",
                "-CAfile", self.ca, "-verify_return_error", "-verify_hostname", "localhost",
                "-servername", "localhost", "-tls" + version.replace(".", "_")]
        self.page(self.call(*base, "-sess_out", session, stdin=REQUEST))
        if resumed:
            self.page(self.call(*base, "-sess_in", session, stdin=REQUEST))


class Curl(Client):
    program = "curl"
    impossible = {("1.2", "resumed"): "offers no tickets in TLS 1.2, and the server stores nothing"}

    def run(self, version, resumed):
        urls = [f"https://localhost:{self.port}/"] * (2 if resumed else 1)
        output = self.call("curl", "-sS", "--cacert", self.ca, f"--tlsv{version}", "--tls-max",
                           version, "-H", "Connection: close", *urls)
        if output != PAGE * len(urls):
            raise Failed("no page")


class GnuTls(Client):
    program = "gnutls-cli"

    def run(self, version, resumed):
        options = ["--resume", "--waitresumption"] if resumed else []
        self.page(self.call("gnutls-cli", "--x509cafile", self.ca, "--priority",
                            f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "--port", self.port, *options,
                            "localhost", stdin=REQUEST))


class Nss(Client):
    program = "tstclnt"

    def prepare(self):
        self.database = self.context.tmp / "nss"
        self.request = self.context.tmp / "request"
        self.database.mkdir()
        self.request.write_bytes(REQUEST)
        trust(self, f"sql:{self.database}")

    def run(self, version, resumed):
        again = ["-L", "2"] if resumed else []
        # Two connections one after another print two pages.
        self.page(self.call("tstclnt", "-h", "localhost", "-p", self.port, "-d",
                            f"sql:{self.database}", "-4", "-u", "-V", f"tls{version}:tls{version}", "-A",
                            self.request, *again))


def trust(client, database):
    """Makes an NSS database that trusts the tests' authority."""
    client.call("certutil", "-d", database, "-N", "--empty-password")
    client.call("certutil", "-d", database, "-A", "-n", "tests", "-t", "C,,", "-i", client.ca)


class Script(Client):
    """A client of our own: COMMAND HOST PORT CA VERSION MODE."""

    def command(self):
        raise NotImplementedError

    def run(self, version, resumed):
        self.call(*self.command(), "localhost", self.port, self.ca, version,
                  "resumed" if resumed else "full")


class Python(Script):
    program = "python3"

    def command(self):
        return ["python3", HERE / "clients/client.py"]


class Node(Script):
    program = "node"

    def command(self):
        return ["node", HERE / "clients/client.js"]


class Go(Script):
    program = "go"

    def prepare(self):
        env = dict(os.environ, GOCACHE=str(self.context.tmp / "go"), GO111MODULE="off",
                   GOFLAGS="-buildvcs=false", HOME=str(self.context.tmp))
        self.call("go", "build", "-o", self.context.tmp / "go-client", HERE / "clients/client.go",
                  env=env)

    def command(self):
        return [self.context.tmp / "go-client"]


class Java(Script):
    program = "javac"

    def prepare(self):
        self.call("javac", "-d", self.context.tmp, HERE / "clients/Client.java")

    def command(self):
        return ["java", "-cp", self.context.tmp, "Client"]


class WolfSsl(Script):
    program = "gcc"

    def prepare(self):
        if not pathlib.Path("/usr/include/wolfssl/ssl.h").exists():
            raise Failed("not installed")
        self.call("gcc", "-O1", "-Wall", "-o", self.context.tmp / "wolfssl-client",
                  HERE / "clients/wolfssl.c", "-lwolfssl")

    def command(self):
        return [self.context.tmp / "wolfssl-client"]


class Chromium(Client):
    """Headless, told what to do over its debugging pipe."""

    program = "chromium"

    def prepare(self):
        database = self.context.tmp / "home/.pki/nssdb"
        database.mkdir(parents=True)
        trust(self, f"sql:{database}")

    def run(self, version, resumed):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        profile = tempfile.mkdtemp(dir=self.context.tmp)
        # It reads commands from descriptor 3 and writes answers to 4.
        command = " ".join([
            f"exec 3<&{theirs_in} 4>&{theirs_out};",
            "exec chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run",
            "--disable-background-networking --disable-component-update --disable-sync",
            f"--ssl-version-max=tls{version} --user-data-dir={profile}",
            "--remote-debugging-pipe about:blank"])
        browser = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=str(self.context.tmp / "home")))
        os.close(theirs_in)
        os.close(theirs_out)
        timer = threading.Timer(LIMIT, browser.kill)
        timer.start()
        try:
            pipe = DebuggingPipe(ours_in, ours_out)
            pages = pipe.ask("Target.getTargets")["targetInfos"]
            page = next(info for info in pages if info["type"] == "page")
            session = pipe.ask("Target.attachToTarget",
                               {"targetId": page["targetId"], "flatten": True})["sessionId"]
            pipe.ask("Page.enable", session=session)
            # It connects ahead of need, before it has a ticket.
            for number in range(4 if resumed else 1):
                answer = pipe.ask("Page.navigate",
                                  {"url": f"https://localhost:{self.port}/?{number}"}, session)
                if "errorText" in answer:
                    raise Failed(answer["errorText"])
                pipe.wait_for("Page.loadEventFired")
                text = pipe.ask("Runtime.evaluate", {"expression": "document.body.innerText"},
                                session)["result"].get("value", "")
                self.page(text.encode())
        finally:
            timer.cancel()
            browser.kill()
            browser.wait()
            os.close(ours_out)


class DebuggingPipe:
    """Chromium's debugging protocol: JSON, each message behind a NUL."""

    def __init__(self, read_end, write_end):
        self.input = os.fdopen(read_end, "rb")
        self.output = write_end
        self.events = []
        self.last = 0

    def receive(self):
        message = bytearray()
        while (byte := self.input.read(1)) != b"\0":
            if not byte:
                raise Failed("the browser is gone")
            message += byte
        return json.loads(message)

    def ask(self, method, params=None, session=None):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.last:
            self.events.append(answer.get("method"))
        if "error" in answer:
            raise Failed(answer["error"]["message"])
        return answer["result"]

    def wait_for(self, event):
        while event not in self.events:
            self.events.append(self.receive().get("method"))
        self.events.clear()


CLIENTS = {
    "openssl": OpenSsl,
    "curl": Curl,
    "gnutls": GnuTls,
    "nss": Nss,
    "go": Go,
    "python": Python,
    "node": Node,
    "java": Java,
    "wolfssl": WolfSsl,
    "chromium": Chromium,
}


class Context:
    """What all clients need."""

    def __init__(self, tmp, arguments):
        self.tmp = tmp
        if arguments.kernel:
            port, log, certs = arguments.kernel
            self.certs = pathlib.Path(certs)
            self.server = Kernel(int(port), log)
        else:
            self.certs = tmp / "certs"
            subprocess.run([HERE.parent / "certs/make-certs", self.certs], check=True)
            self.server = UserSpace(arguments.server, self.certs)


def cells(name, context):
    """The verdicts of a client, one a column: ok, "-" if it is not there, "- WHY" if that cannot
    be, or why it failed."""
    client = CLIENTS[name](context)
    if not shutil.which(client.program):
        return ["-"] * len(COLUMNS)
    try:
        client.prepare()
    except Failed as why:
        return ["-" if str(why) == "not installed" else str(why)] * len(COLUMNS)
    verdicts = []
    for version, mode in COLUMNS:
        if (version, mode) in client.impossible:
            verdicts.append("- " + client.impossible[version, mode])
            continue
        mark = context.server.mark()
        try:
            client.run(version, mode == "resumed")
            context.server.check(mark, version, mode)
            verdicts.append("ok")
        except Failed as why:
            verdicts.append(str(why))
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--server", help="program of the user-space server")
    which.add_argument("--kernel", nargs=3, metavar=("PORT", "LOG", "CERTS"))
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=", ".join(CLIENTS))
    arguments = parser.parse_args()
    unknown = set(arguments.clients) - set(CLIENTS)
    if unknown:
        parser.error(f"no client {' '.join(unknown)}")
    count = {"ok": 0, "-": 0, "FAIL": 0}
    notes = []
    with tempfile.TemporaryDirectory() as tmp:
        context = Context(pathlib.Path(tmp), arguments)
        titles = [f"{version} {mode}" for version, mode in COLUMNS]
        print(f"{'client':<10}" + "".join(f"{title:<13}" for title in titles))
        try:
            for name in arguments.clients or CLIENTS:
                row = f"{name:<10}"
                for title, verdict in zip(titles, cells(name, context)):
                    if verdict not in ("ok", "-"):
                        notes.append(f"{name} {title}: {verdict.removeprefix('- ')}")
                        verdict = "-" if verdict.startswith("- ") else "FAIL"
                    count[verdict] += 1
                    row += f"{verdict:<13}"
                print(row, flush=True)
        finally:
            context.server.stop()
    for note in notes:
        print(note)
    print(f"{count['ok']} passed, {count['FAIL']} failed"
          + (f", {count['-']} skipped" if count["-"] else ""))
    sys.exit(count["FAIL"] != 0 or count["ok"] == 0)


if __name__ == "__main__":
    main()
