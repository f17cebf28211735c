# SPDX-License-Identifier: Apache-2.0
"""The wire's rows of `make bench`: passing through beside nginx and HAProxy, idle connections.
All proxies stand before one nginx that answers by itself; each has one process or thread, its
access log on, and kept-alive connections behind it."""
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import free_port, wait_for_port  # noqa: E402
from passing import Front  # noqa: E402

IDLE = 10000
BODY = "x" * 1000
REQUEST = "GET /page?a=1 HTTP/1.1\r\nHost: crm.example\r\nAccept: */*\r\nCookie: session=0123456789abcdef\r\n\r\n"

NGINX = """daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log crit;
events {{ worker_connections 16384; }}
http {{ {paths} keepalive_requests 100000000; access_log {log};
  upstream u {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {what} }} }} }}
"""
HAPROXY = """global
  nbthread 1
  log stdout format raw local0
  maxconn 1000
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{to}
"""


@contextlib.contextmanager
def nginx(work, name, what, to=1, log="off"):
    port, folder = free_port(), work.folder(name)
    paths = " ".join(f"{k}_temp_path {folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = work.file(name + ".conf", NGINX.format(dir=folder, port=port, to=to, what=what, paths=paths,
                                                    log=f"{folder}/access.log" if log == "on" else "off"))
    with running(["nginx", "-c", config, "-p", folder], port) as pid:
        yield port, pid


@contextlib.contextmanager
def haproxy(work, to):
    port = free_port()
    config = work.file("haproxy.cfg", HAPROXY.format(port=port, to=to))
    with running(["haproxy", "-db", "-f", config], port) as pid:
        yield port, pid


@contextlib.contextmanager
def running(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def processes(pid):
    """The process and its children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [pid] + [int(word) for word in f.read().split()]


def cpu_of(bench, pid):
    return sum(bench.cpu_seconds(p) for p in processes(pid))


def load(bench, program, port, pid, requests, clients, seconds):
    """(CPU microseconds a request, p99 in microseconds)."""
    before = cpu_of(bench, pid)
    done = subprocess.run([program, str(port), requests, str(clients), str(seconds), BODY[:20]], check=True,
                          stdout=subprocess.PIPE, text=True)
    answered, failed, _, p99 = (float(word) for word in done.stdout.split())
    if failed:
        raise RuntimeError(f"{failed} of {answered} requests failed")
    return (cpu_of(bench, pid) - before) * 1e6 / answered, p99


def pass_rows(bench, work, program, requests, ours, peers):
    """Ours and each peer take turns; rows of CPU and p99."""
    rows = []
    for name, (port, pid) in peers.items():
        mine, theirs = [], []
        for _ in range(bench.ROUNDS):
            mine.append(load(bench, program, ours.port, ours.daemon.pid, requests, 64, bench.SECONDS))
            theirs.append(load(bench, program, port, pid, requests, 64, bench.SECONDS))
        goals = (0.8, 0.6) if name == "nginx" else (None, None)
        for at, what, goal in ((0, "CPU us a request", goals[0]), (1, "p99 us, 64 connections", goals[1])):
            rows.append(bench.row(f"pass-through: {what}", [m[at] for m in mine], [t[at] for t in theirs],
                                  name + ", its log on", goal))
    return rows


def kept_alive(port, n):
    """`n` connections that had one request each."""
    held = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(REQUEST.encode())
        s.recv(65536)
        held.append(s)
    return held


def idle_rows(bench, program, requests, ours):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    n = min(IDLE, hard - 500)
    without, with_them = [], []
    without.append(load(bench, program, ours.port, ours.daemon.pid, requests, 16, bench.SECONDS)[1])
    before = ours.resident()
    held = kept_alive(ours.port, n)
    each = (ours.resident() - before) / n
    for _ in range(bench.ROUNDS):
        with_them.append(load(bench, program, ours.port, ours.daemon.pid, requests, 16, bench.SECONDS)[1])
    for s in held:
        s.close()
    for _ in range(bench.ROUNDS - 1):
        without.append(load(bench, program, ours.port, ours.daemon.pid, requests, 16, bench.SECONDS)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [bench.row("memory of an idle keep-alive connection, bytes", [each], [4096], "4 KiB", 1.0),
            bench.row(f"p99 us with {n} idle connections", with_them, without, "without them", 1.2)]


def memory_row(bench, program, requests, ours):
    """Resident memory from the first tenth of a long run to its end."""
    load(bench, program, ours.port, ours.daemon.pid, requests, 64, bench.SECONDS)
    before = ours.resident()
    for _ in range(9):
        load(bench, program, ours.port, ours.daemon.pid, requests, 64, bench.SECONDS)
    return bench.row("memory at the end of a long run, bytes", [ours.resident()], [before], "after its tenth part", 1.05)


def bench_wire(bench, work):
    program, requests = bench.build(work, "http_load"), work.file("pages", f"{len(REQUEST)}\n{REQUEST}")
    with contextlib.ExitStack() as stack:
        to, _ = stack.enter_context(nginx(work, "origin", f'return 200 "{BODY}";'))
        ours = stack.enter_context(Front(work, to, {"connections": 64}, {"connections_max": 20000, "idle_ms": 600000},
                                         allow=["."]))
        what = 'proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
        peers = {"nginx": stack.enter_context(nginx(work, "nginx", what, to, "on"))}
        if shutil.which("haproxy"):
            peers["haproxy"] = stack.enter_context(haproxy(work, to))
        return (pass_rows(bench, work, program, requests, ours, peers) + idle_rows(bench, program, requests, ours)
                + [memory_row(bench, program, requests, ours)])
