# SPDX-License-Identifier: Apache-2.0
"""Waiting for conditions, the only place where tests let time pass."""
import os
import socket
import time


def seconds(value):
    """A time limit, stretched by FICUS_TEST_TIMEOUT on slow machines."""
    return value * float(os.environ.get("FICUS_TEST_TIMEOUT", "1"))


def wait_for(condition, what, timeout=30, interval=0.02, alive=None):
    """Calls condition() until it returns something true, and returns that.

    An exception of condition() counts as "not yet" and is told when time runs out.
    `alive`, if given, is called in between and raises when waiting has become pointless.
    """
    limit = time.monotonic() + seconds(timeout)
    last = None
    while True:
        try:
            got = condition()
            if got:
                return got
            last = None
        except Exception as e:  # pylint: disable=broad-except
            last = e
        if alive is not None:
            alive()
        if time.monotonic() >= limit:
            raise TimeoutError(f"waited {seconds(timeout):g} s for {what}" + (f": {last!r}" if last else ""))
        time.sleep(interval)


def port_open(port, host="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


def wait_for_port(port, timeout=30, alive=None):
    wait_for(lambda: port_open(port), f"port {port}", timeout, alive=alive)
