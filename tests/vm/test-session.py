#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# After the handshake: a program that only reads and writes sees data, end of file
# and errors, while alerts, close_notify and KeyUpdate are handled below it.

import errno
import fcntl
import os
import socket
import ssl
import struct
import subprocess
import time

from tls_hs import *

CLOSE = bytes([1, CLOSE_NOTIFY])
KEY_UPDATE, KEY_UPDATE_REQUEST = b"\x18\0\0\1\0", b"\x18\0\0\1\1"
SERVER = None


def server():
    global SERVER
    SERVER = SERVER or listener()
    return SERVER


def pair():
    return record_client(server())


def flows(conn, client, text=b"data"):
    client.send(text)
    expect(conn.recv(100), text)
    conn.sendall(text[::-1])
    expect(client.receive(), (DATA, text[::-1]))


# --- the end ---


@case("close_notify is the end of file, and what came before is read first")
def _():
    conn, client = pair()
    client.send(b"one")
    client.send(b"two")
    client.send(CLOSE, ALERT)
    expect(receive_exactly(conn, 6), b"onetwo")
    expect(ready(conn), True, "readable")
    for _ in range(3):
        expect(conn.recv(10), b"")
    # RFC 8446, 6.1: it closes one direction only.
    conn.sendall(b"still here")
    expect(client.receive(), (DATA, b"still here"))


@case("close() sends close_notify, once")
def _():
    conn, client = pair()
    conn.sendall(b"bye")
    conn.close()
    expect(client.receive(), (DATA, b"bye"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"")


@case("shutdown(SHUT_WR) sends close_notify, and reading goes on")
def _():
    for how in (socket.SHUT_WR, socket.SHUT_RDWR):
        conn, client = pair()
        conn.shutdown(how)
        expect(client.receive(), (ALERT, CLOSE))
        expect(client.sock.recv(1), b"")
        if how == socket.SHUT_WR:
            client.send(b"late")
            expect(conn.recv(10), b"late")
        with raises(errno.EPIPE):
            conn.send(b"x")
        conn.close()


@case("a program that sends close_notify itself sends the only one")
def _():
    conn, client = pair()
    send_close_notify(conn)
    conn.close()
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "nothing more")


@case("a program that is killed leaves close_notify")
def _():
    reader, writer = os.pipe()

    def child():
        conn, _ = accept(server())
        os.write(writer, b"x")
        conn.recv(1)

    server()
    pid = forked(child)
    client = Client(server().getsockname()).handshake()
    os.read(reader, 1)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    expect(client.receive(), b"", "close_notify")


@case("a fatal alert of the client: ECONNRESET, then end of file")
def _():
    conn, client = pair()
    with counted(peer_alert=1):
        client.send(b"data")
        client.send(bytes([FATAL, 80]), ALERT)
        expect(conn.recv(10), b"data")
        with raises(errno.ECONNRESET):
            conn.recv(10)
    expect(conn.recv(10), b"")


@case("the end without close_notify is the end of file as well")
def _():
    conn, client = pair()
    client.send(b"data")
    client.sock.shutdown(socket.SHUT_WR)
    expect(conn.recv(10), b"data")
    expect(conn.recv(10), b"")


@case("non-blocking: EAGAIN, not the end, while nothing has come")
def _():
    conn, client = pair()
    conn.setblocking(False)
    with raises(errno.EAGAIN):
        conn.recv(10)
    client.send(CLOSE, ALERT)
    wait_until(lambda: ready(conn))
    expect(conn.recv(10), b"")


@case("a reader that waits is woken by close_notify")
def _():
    conn, client = pair()
    reader = Background(conn.recv, 10)
    time.sleep(0.2)
    client.send(CLOSE, ALERT)
    expect(reader.result(), b"")


@case("who asks for control messages gets records as from kTLS")
def _():
    conn, client = pair()
    client.send(b"data")
    client.send(CLOSE, ALERT)
    expect(receive(conn), (DATA, b"data"))
    expect(receive(conn), (ALERT, CLOSE))


# --- KeyUpdate ---


@case("KeyUpdate of the client: data goes on")
def _():
    conn, client = pair()
    with counted(key_update=10):
        for number in range(10):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            flows(conn, client, b"after %d" % number)


@case("KeyUpdate that asks for one of ours: it goes before the next data")
def _():
    conn, client = pair()
    with counted(key_update=10, own_key_update=10):
        for number in range(10):
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"request")
            expect(conn.recv(100), b"request")
            conn.sendall(b"answer %d" % number)
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer %d" % number))


@case("KeyUpdate behind data, in the middle of a large read")
def _():
    conn, client = pair()
    client.send(b"a" * 1000)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"b" * 1000)
    expect(receive_exactly(conn, 2000), b"a" * 1000 + b"b" * 1000)


@case("KeyUpdate with poll and a non-blocking socket")
def _():
    conn, client = pair()
    conn.setblocking(False)
    for number in range(5):
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        wait_until(lambda: ready(conn), what="poll sees the KeyUpdate")
        with raises(errno.EAGAIN):
            conn.recv(10)
        expect(ready(conn), False, "nothing to read")
        client.send(b"%d" % number)
        expect(ready(conn, 5), True, "poll sees data behind a KeyUpdate")
        expect(conn.recv(10), b"%d" % number)
        # Both at once.
        client.send(KEY_UPDATE, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"more")
        got = b""
        while len(got) < 4:
            expect(ready(conn, 5), True, "poll sees KeyUpdate and data")
            try:
                got += conn.recv(10)
            except BlockingIOError:
                pass
        expect(got, b"more")


@case("several KeyUpdates with data between, all queued: poll sees each")
def _():
    for blocking in (True, False):
        conn, client = pair()
        client.send(b"data")
        for _ in range(5):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"data")
        conn.setblocking(blocking)
        got = b""
        while len(got) < 24:
            expect(ready(conn, 2), True, f"poll after {got!r}")
            got += conn.recv(100)
        expect(got, b"data" * 6)


@case("KeyUpdate while a reader waits, and while a writer writes", limit=60)
def _():
    conn, client = pair()
    reader = Background(receive_exactly, conn, 5)
    time.sleep(0.1)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"woken")
    expect(reader.result(), b"woken")

    data = os.urandom(500000)
    writer = Background(conn.sendall, data)
    reader = Background(receive_exactly, conn, 20)
    for _ in range(20):
        client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
        client.update(TLS_TX)
        client.send(b"x")
    # poll() of kTLS does not show a KeyUpdate that was met behind data.
    client.sock.settimeout(None)
    got = b""
    while len(got) < len(data):
        kind, content = client.receive()
        if kind == HANDSHAKE:
            expect(content, KEY_UPDATE)
            client.update(TLS_RX)
        else:
            got += content
    expect(got == data, True, "all of it")
    writer.result()
    expect(reader.result(), b"x" * 20)


@case("openssl s_client asks for new keys")
def _():
    port = server().getsockname()[1]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-groups", "P-256", "-msg"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    conn, family = accept(server())
    expect(family, PF_TLS)
    conn.settimeout(10)
    got = b""
    try:
        with counted(key_update=2, own_key_update=1):
            for text in (b"K\n", b"first\n", b"k\n", b"second\n"):
                process.stdin.write(text)
                process.stdin.flush()
                time.sleep(0.3)
            got = receive_exactly(conn, 13)
            expect(got, b"first\nsecond\n")
            conn.sendall(b"third\n")
    except TimeoutError:
        raise Failure(f"timed out after {got!r}") from None
    finally:
        conn.close()
        process.stdin.close()
        output = process.stdout.read()
        process.wait(10)
        print("# " + output.decode(errors="replace")[-1500:].replace("\n", "\n# "))
    expect_true(b"third" in output, output[-500:])
    expect(output.count(b"KeyUpdate"), 3, "two of the client, one of the server")


@case("KeyUpdate of our own after net.tls_hs.rekey_records records")
def _():
    with sysctl_set("net.tls_hs.rekey_records", 10):
        conn, client = pair()
        with counted(own_key_update=4):
            updates = 0
            for number in range(50):
                conn.sendall(b"%d" % number)
                kind, content = client.receive()
                if kind == HANDSHAKE:
                    expect(content, KEY_UPDATE)
                    client.update(TLS_RX)
                    updates += 1
                    kind, content = client.receive()
                expect((kind, content), (DATA, b"%d" % number))
            expect(updates, 4)
        # In the middle of a large write as well. poll() of kTLS does not show a KeyUpdate that
        # was met behind data.
        client.sock.settimeout(None)
        writer = Background(conn.sendall, bytes(1000000))
        got = 0
        while got < 1000000:
            try:
                kind, content = client.receive()
            except TimeoutError as error:
                writer.result(1)
                raise Failure(f"nothing more after {got} bytes, {updates} updates") from error
            if kind == HANDSHAKE:
                client.update(TLS_RX)
                updates += 1
            else:
                got += len(content)
        writer.result()
        expect_true(updates >= 8, f"{updates} updates")
        client.send(b"data")
        expect(conn.recv(10), b"data")


@case("TLS 1.2 has no KeyUpdate: its keys stay")
def _():
    with sysctl_set("net.tls_hs.rekey_records", 1):
        client = Client(server().getsockname(), maximum=ssl.TLSVersion.TLSv1_2).handshake()
        conn, _ = accept(server())
        with counted():
            for _ in range(20):
                echo_check(conn, client)


@case("who asks for control messages has KeyUpdates handled all the same")
def _():
    conn, client = pair()
    with counted(key_update=6, own_key_update=3):
        for number in range(3):
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"%d" % number)
            expect(receive(conn), (DATA, b"%d" % number))
            # While the reader waits.
            reader = Background(receive, conn)
            time.sleep(0.1)
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"more")
            expect(reader.result(), (DATA, b"more"))
            conn.sendall(b"answer")
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer"))
    conn.setblocking(False)
    with raises(errno.EAGAIN):
        receive(conn)
    client.send(b"\x01\0\0\0", HANDSHAKE)
    wait_until(lambda: ready(conn))
    with raises(errno.EPROTO):
        receive(conn)
    expect(client.receive(), (ALERT, bytes([FATAL, UNEXPECTED_MESSAGE])))


# --- shutdown(SHUT_RD) ---


def deaf():
    conn, client = pair()
    conn.shutdown(socket.SHUT_RD)
    return conn, client


@case("SHUT_RD: reads end, whatever comes; writes and KeyUpdates go on")
def _():
    conn, client = pair()
    client.send(b"before")
    wait_until(lambda: ready(conn))
    conn.shutdown(socket.SHUT_RD)
    with counted(key_update=5, own_key_update=5):
        before = counters()["key_update"]
        for number in range(5):
            expect(conn.recv(10), b"")
            client.send(b"nobody reads this")
            client.send(KEY_UPDATE_REQUEST, HANDSHAKE)
            client.update(TLS_TX)
            client.send(b"nor this")
            expect(conn.recv(10), b"")
            wait_until(lambda: conn.recv(1) or counters()["key_update"] - before > number)
            conn.sendall(b"answer %d" % number)
            expect(client.receive(), (HANDSHAKE, KEY_UPDATE))
            client.update(TLS_RX)
            expect(client.receive(), (DATA, b"answer %d" % number))
    expect(receive(conn), (None, b""), "for who asks for control messages, too")


@case("SHUT_RD: the client's alert ends the session, and writes fail")
def _():
    conn, client = deaf()
    with counted(peer_alert=1):
        client.send(b"data")
        client.send(bytes([FATAL, 80]), ALERT)
        with raises(errno.EPIPE):
            for _ in range(100):
                conn.send(b"x")
                time.sleep(0.05)
    conn.close()
    while client.receive()[0] == DATA:
        pass


@case("SHUT_RD: the end is a close_notify and no reset, though data was not read")
def _():
    conn, client = deaf()
    client.send(b"x" * 50000)
    client.send(CLOSE, ALERT)
    conn.sendall(b"answer")
    time.sleep(0.2)
    conn.close()
    expect(client.receive(), (DATA, b"answer"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "no reset")


@case("SHUT_RD: what breaks the protocol is answered")
def _():
    for kind, content in ((HANDSHAKE, b"\x01\0\0\0"), (99, b"x")):
        conn, client = deaf()
        client.send(content, kind)
        with raises(errno.EPIPE):
            for _ in range(100):
                conn.send(b"x")
                time.sleep(0.05)
        conn.close()
        while (got := client.receive())[0] == DATA:
            pass
        expect(got, (ALERT, bytes([FATAL, UNEXPECTED_MESSAGE])))


@case("a reader that waits is woken by SHUT_RD of another thread")
def _():
    conn, client = pair()
    reader = Background(conn.recv, 10)
    time.sleep(0.2)
    conn.shutdown(socket.SHUT_RD)
    expect(reader.result(), b"")
    conn.sendall(b"still")
    expect(client.receive(), (DATA, b"still"))


@case("close() with an unread close_notify of the client is no reset")
def _():
    conn, client = pair()
    conn.sendall(b"answer")
    client.send(CLOSE, ALERT)
    wait_until(lambda: ready(conn))
    conn.close()
    expect(client.receive(), (DATA, b"answer"))
    expect(client.receive(), (ALERT, CLOSE))
    expect(client.sock.recv(1), b"", "no reset")


# --- what breaks the protocol ---


@case("messages that have no place after the handshake: alert and EPROTO")
def _():
    for kind, content, alert in (
        (HANDSHAKE, b"\x01\0\0\0", UNEXPECTED_MESSAGE),
        (HANDSHAKE, b"\x14\0\0\x20" + bytes(32), UNEXPECTED_MESSAGE),
        (HANDSHAKE, b"\x18\0\0\1\2", ILLEGAL_PARAMETER),
        (HANDSHAKE, b"\x18\0\0\2\0\0", DECODE_ERROR),
        (99, b"x", UNEXPECTED_MESSAGE),
    ):
        conn, client = pair()
        client.send(content, kind)
        with raises(errno.EPROTO):
            conn.recv(10)
        expect(client.receive(), (ALERT, bytes([FATAL, alert])), f"{kind} {content!r}")
        expect(conn.recv(10), b"")
        conn.close()


@case("records without end that are not data do not keep a reader busy for ever")
def _():
    conn, client = pair()
    with raises(errno.EPROTO, errno.ECONNRESET):
        def send():
            try:
                for _ in range(2000):
                    client.send(KEY_UPDATE, HANDSHAKE)
                    client.update(TLS_TX)
            except OSError:
                pass

        sender = Background(send)
        conn.recv(1)
    conn.close()
    sender.result()


# --- calls besides read and write ---


@case("readv, recvmsg, MSG_PEEK, MSG_WAITALL, writev, send with MSG_MORE")
def _():
    conn, client = pair()
    client.send(b"abcdef")
    expect(conn.recv(3, socket.MSG_PEEK), b"abc")
    one, two = bytearray(2), bytearray(2)
    expect(os.readv(conn.fileno(), [one, two]), 4)
    expect(one + two, b"abcd")
    expect(conn.recvmsg(10)[0], b"ef")
    waiter = Background(conn.recv, 8, socket.MSG_WAITALL)
    client.send(b"1234")
    time.sleep(0.1)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"5678")
    expect(waiter.result(), b"12345678")
    os.writev(conn.fileno(), [b"gather", b"ed"])
    expect(client.receive(), (DATA, b"gathered"))
    conn.send(b"to", socket.MSG_MORE)
    conn.send(b"gether")
    expect(client.receive(), (DATA, b"together"))


@case("sendfile() and splice() both ways")
def _():
    conn, client = pair()
    path = f"{os.environ['HS_TMP']}/file"
    data = os.urandom(50000)
    with open(path, "wb") as file:
        file.write(data)
    with open(path, "rb") as file:
        sender = Background(conn.sendfile, file)
        got = b""
        while len(got) < len(data):
            got += client.receive()[1]
        expect(got == data, True, "sendfile()")
        sender.result()

    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 17)
    client.send(b"x" * 10000)
    client.send(KEY_UPDATE, HANDSHAKE)
    client.update(TLS_TX)
    client.send(b"y" * 10000)
    client.send(CLOSE, ALERT)
    moved = 0
    while True:
        size = os.splice(conn.fileno(), writer, 65536)
        if not size:
            break
        moved += size
    expect(moved, 20000)
    expect(os.read(reader, 65536), b"x" * 10000 + b"y" * 10000)
    os.write(writer, b"from a pipe")
    os.splice(reader, conn.fileno(), 11)
    expect(client.receive(), (DATA, b"from a pipe"))


@case("several threads read and write one connection", limit=60)
def _():
    conn, client = pair()
    readers = [Background(lambda: sum(len(conn.recv(100, socket.MSG_WAITALL)) for _ in range(50))) for _ in range(4)]
    writers = [Background(lambda: [conn.sendall(b"y" * 50) for _ in range(50)]) for _ in range(4)]
    for number in range(200):
        client.send(b"x" * 100)
        if number % 20 == 0:
            client.send(KEY_UPDATE, HANDSHAKE)
            client.update(TLS_TX)
    got = 0
    while got < 4 * 50 * 50:
        got += len(client.receive()[1])
    expect(sum(reader.result() for reader in readers), 20000)
    for writer in writers:
        writer.result()


# --- what was agreed on ---


@case("TLS_HS_INFO tells version, suite, group and server name")
def _():
    for name in ("localhost", None, "some.other.name"):
        client = Client(server().getsockname(), name=name, verify=False).handshake()
        conn, _ = accept(server())
        expect(session_info(conn), (TLS_1_3_VERSION, 0x1301, 23, 0, name or ""))
        client.close()


@case("TLS_HS_INFO tells how old the client's ticket is")
def _():
    ring = host()
    add_key(HEADER["TLS_HS_KEY_TYPE_TICKET"], os.urandom(48), ring, HEADER["TLS_HS_KEY_DESC_TICKET"])
    own = listener(ring=ring)
    resumed, aged = HEADER["TLS_HS_INFO_RESUMED"], HEADER["TLS_HS_INFO_TICKET_AGE"]

    def connect(session=None):
        client = Client(own.getsockname(), context=context, session=session).handshake()
        conn, _ = accept(own)
        conn.sendall(b"x")
        client.receive_exactly(1)
        value = conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
        (age,) = struct.unpack("=I", value[HEADER["TLS_HS_INFO_SIZE_VER0"] :])
        return session_info(conn)[3], age, client.tls.session

    for version, flags in ((ssl.TLSVersion.TLSv1_3, resumed | aged), (ssl.TLSVersion.TLSv1_2, resumed)):
        context = client_context(maximum=version)
        *first, session = connect()
        expect(first, [0, 0])
        time.sleep(2)
        got, age, _ = connect(session)
        expect(got, flags)
        # OpenSSL counts in seconds.
        expect_true(1000 <= age < 60000 if got & aged else age == 0, f"{age} ms")


@case("TLS_HS_INFO gives as much as there is room for")
def _():
    conn, _client = pair()
    whole = conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)
    for size in (1, 2, 7, 8, 100, len(whole)):
        expect(conn.getsockopt(SOL_TLS, TLS_HS_INFO, size), whole[:size])
    expect(conn.getsockopt(SOL_TLS, TLS_HS_INFO, 1), whole[:1])


@case("TLS_HS_INFO of sockets that have no session is an error")
def _():
    client = Client(server().getsockname(), groups="X448")
    client.sock.sendall(client.produce())
    conn, family = accept(server())
    expect(family, socket.AF_INET)
    for sock in (conn, client.sock, server()):
        with raises(errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ENOTCONN):
            sock.getsockopt(SOL_TLS, TLS_HS_INFO, 1024)


if __name__ == "__main__":
    run()
