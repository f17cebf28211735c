# SPDX-License-Identifier: Apache-2.0
"""Sends one probe (wire_probes.py) and tells what came back."""
import re
import socket
import time

from wire_probes import TAIL

WAIT = 3.0      # seconds for an answer
QUIET = 0.25    # seconds of silence after it that count as "nothing more comes"


def read_all(s):
    """(bytes, closed): until the server closes or falls silent."""
    got, limit = b"", time.monotonic() + WAIT
    while time.monotonic() < limit:
        s.settimeout(max(0.01, limit - time.monotonic()))
        try:
            piece = s.recv(65536)
        except socket.timeout:
            return got, False
        except OSError:
            return got, True
        if not piece:
            return got, True
        got += piece
        limit = min(limit, time.monotonic() + QUIET) if b"\r\n\r\n" in got else limit
    return got, False


def statuses(data, head=False):
    """Status codes of the responses in a byte stream, in order; bodies are told by Content-Length.
    `head`: the first has none whatever it says."""
    found = []
    while data:
        m = re.match(rb"HTTP/1\.[01] (\d{3})", data)
        end = data.find(b"\r\n\r\n")
        if not m or end < 0:
            return found
        found.append(int(m.group(1)))
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", data[:end])
        nothing = found[-1] < 200 or found[-1] in (204, 304) or (head and len(found) == 1)
        data = data[end + 4 + (0 if nothing or not length else int(length.group(1))):]
    return found


def probe(address, text, tail=True):
    """(statuses, closed) of the probe followed by a second request."""
    with socket.create_connection(address, timeout=WAIT) as s:
        try:
            s.sendall(text + (TAIL if tail else b""))
        except OSError:
            pass  # refused and closed before all was sent
        data, closed = read_all(s)
    return statuses(data, text.startswith(b"HEAD")), closed
