# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports, each handed out to one process only.

A port is taken below the range from which the kernel serves outgoing connections, so no
client can grab it between now and the server's start (or its restart), and is held by a
lock on a small file until this process ends.
"""
import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST = 20000, 32000
_held = []


def _lock(port):
    folder = os.path.join(tempfile.gettempdir(), f"ficus-ports-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd = os.open(os.path.join(folder, str(port)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def _bindable(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    for _ in range(1000):
        port = random.randrange(FIRST, LAST)
        fd = _lock(port)
        if fd is None:
            continue
        if _bindable(port):
            _held.append(fd)
            return port
        os.close(fd)
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")
