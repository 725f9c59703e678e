# SPDX-License-Identifier: GPL-2.0
#
# What the tests of keys share: which certificate a listener serves, and processes
# that have fewer rights.

import errno
import os
import socket
import ssl
import subprocess

from tls_hs import *

ENOKEY, EKEYEXPIRED, EKEYREVOKED, EKEYREJECTED = 126, 127, 128, 129
E = errno


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def leaf(cert):
    """The first certificate of a file, in DER."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(read_cert(cert + ".pem").decode().partition(end)[0].strip() + f"\n{end}\n")


def serves(server, name, cert):
    """The server answers to this name with the certificate of that file."""
    client = Client(server.getsockname(), name=name, verify=False).handshake()
    conn, family = accept(server)
    expect(family, PF_TLS, str(name))
    got = client.tls.getpeercert(binary_form=True)
    expect(got == leaf(cert), True, f"{name}: the certificate is that of {cert}")
    echo_check(conn, client)
    conn.close()
    client.close()


def falls_back(server, name, reason="unrecognized_name"):
    with counted(admitted=1, fell_back=1, **{reason: 1}):
        client = Client(server.getsockname(), name=name, verify=False)
        hello = client.produce()
        client.sock.sendall(hello)
        conn, family = accept(server)
    expect(family, socket.AF_INET, str(name))
    expect(conn.recv(65536), hello)
    conn.close()
    client.close()


def as_nobody(function):
    """Runs the function in a child without privileges and without our session keyring; what
    error it ends in is raised here."""
    reader, writer = os.pipe()

    def child():
        keyctl(KEYCTL_JOIN_SESSION_KEYRING, None)
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        try:
            function()
            os.write(writer, b"0")
        except OSError as error:
            os.write(writer, b"%d" % error.errno)

    pid = forked(child)
    os.close(writer)
    joined(pid)
    number = int(os.read(reader, 16))
    os.close(reader)
    if number:
        raise OSError(number, os.strerror(number))
