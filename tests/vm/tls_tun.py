# SPDX-License-Identifier: GPL-2.0
#
# A network of which the test is all of the other side: it reads and writes IP packets, and
# has TCP clients that acknowledge what they like.

import fcntl
import os
import select
import socket
import struct
import subprocess
import time

from tap import *

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def _checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


class Tun:
    """An interface whose other side is here: 10.9.0.1 is the machine, 10.9.0.2 the test."""

    here, there = "10.9.0.2", "10.9.0.1"

    def __init__(self, name="hstun"):
        # Or it is built in.
        subprocess.run(["modprobe", "-q", "tun"], check=False)
        os.makedirs("/dev/net", exist_ok=True)
        if not os.path.exists("/dev/net/tun"):
            os.mknod("/dev/net/tun", 0o600 | 0o020000, os.makedev(10, 200))
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        subprocess.run(["ip", "address", "add", f"{self.there}/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        self.clients = {}
        self.port = 10000

    def close(self):
        os.close(self.fd)

    def send(self, client, flags, data=b"", seq=None, options=b""):
        header = struct.pack(
            ">HHIIBBHHH",
            client.port,
            client.to,
            (client.seq if seq is None else seq) & 0xFFFFFFFF,
            client.ack if flags & ACK else 0,
            (20 + len(options)) << 2,
            flags,
            client.window,
            0,
            0,
        )
        segment = header + options + data
        ends = socket.inet_aton(self.here) + socket.inet_aton(self.there)
        sum_ = _checksum(ends + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(segment)) + segment)
        segment = segment[:16] + struct.pack(">H", sum_) + segment[18:]
        start = struct.pack(">BBHIBBH", 0x45, 0, 20 + len(segment), 0, 64, socket.IPPROTO_TCP, 0) + ends
        start = start[:10] + struct.pack(">H", _checksum(start)) + start[12:]
        os.write(self.fd, start + segment)

    def pump(self, seconds=0.0):
        """Gives packets that have come to the clients; waits for the first."""
        while select.select([self.fd], [], [], seconds)[0]:
            seconds = 0.0
            packet = os.read(self.fd, 65536)
            if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            segment = packet[(packet[0] & 15) * 4 : struct.unpack(">H", packet[2:4])[0]]
            client = self.clients.get(struct.unpack(">H", segment[2:4])[0])
            if client:
                client.take_segment(segment)

    def client(self, to):
        self.port += 1
        return self.clients.setdefault(self.port, TunClient(self, self.port, to))


class TunClient:
    """A TCP client that acknowledges nothing by itself but the SYN: acknowledge() does. It can be
    the socket of a Client."""

    window = 65535

    def __init__(self, tun, port, to):
        self.tun, self.port, self.to = tun, port, to
        self.seq, self.ack = 1000 * port, 0
        self.next = None
        self.data = b""
        self.ended = None

    def take_segment(self, segment):
        seq, _ack, offset, flags = struct.unpack(">IIBB", segment[4:14])
        if flags & RST:
            self.ended = RST
        elif flags & SYN:
            self.next = self.ack = (seq + 1) & 0xFFFFFFFF
        elif self.next is not None:
            # What is sent again is there already, in part or as a whole.
            data = segment[(offset >> 4) * 4 :]
            have = (self.next - seq) & 0xFFFFFFFF
            if have <= len(data):
                self.data += data[have:]
                self.next = (self.next + len(data) - have) & 0xFFFFFFFF
                if flags & FIN and not self.ended:
                    self.ended = FIN
                    self.next += 1

    def wait(self, condition, seconds=10):
        end = time.monotonic() + seconds * SLOW
        while not condition():
            if time.monotonic() > end:
                raise Failure("nothing comes")
            self.tun.pump(0.1)

    def connect(self):
        self.tun.send(self, SYN, options=struct.pack(">BBH", 2, 4, 1460))
        self.seq += 1
        self.wait(lambda: self.next is not None)
        self.acknowledge()
        return self

    def acknowledge(self):
        self.ack = self.next
        self.tun.send(self, ACK)

    def reset(self):
        self.tun.send(self, RST | ACK)

    # As a socket has them.

    def sendall(self, data):
        for at in range(0, len(data), 1400):
            part = data[at : at + 1400]
            self.tun.send(self, ACK | PSH, part)
            self.seq += len(part)

    def recv(self, size):
        self.wait(lambda: self.data or self.ended)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def close(self):
        self.tun.clients.pop(self.port, None)
