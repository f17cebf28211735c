# SPDX-License-Identifier: Apache-2.0
"""The legacy clients of the demo: crm_client.py under the virtual environment's Python."""
import hashlib
import json
import os
import subprocess
import urllib.parse
import urllib.request

from harness import seconds, wait_for
from harness.daemon import ROOT


class Clients:
    """Workers of one process; `log` and `acked` are read while they run."""

    def __init__(self, work, url, workers=4, seed=1, pause=0.03, name="clients"):
        self.work = work
        folder = work.folder(name)
        self.files = {n: os.path.join(folder, n) for n in ("log", "acked", "output")}
        self._argv = [os.path.join(ROOT, "build/venv/bin/python"), os.path.join(ROOT, "tests/demo/crm_client.py"),
                      "--url", url, "--log", self.files["log"], "--acked", self.files["acked"],
                      "--workers", str(workers), "--seed", str(seed), "--pause", str(pause)]
        self.child = None

    def start(self):
        with open(self.files["output"], "ab") as out:
            self.child = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=out, stderr=out)
        wait_for(lambda: "ready" in self.output(), "the clients to log in", 60, alive=self.must_live)
        return self

    def must_live(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"the clients ended with status {self.child.returncode}\n{self.output()}")

    def output(self):
        with open(self.files["output"], encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.child is None:
            return
        child, self.child = self.child, None
        child.stdin.close()  # they end when it does
        try:
            status = child.wait(seconds(60))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise
        if status != 0:
            raise RuntimeError(f"the clients ended with status {status}\n{self.output()[-3000:]}")

    def count(self):
        """Operations so far."""
        with open(self.files["log"], "rb") as f:
            return f.read().count(b"\n")

    def _lines(self, name):
        if not os.path.exists(self.files[name]):
            return []
        with open(self.files[name], encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def operations(self):
        return self._lines("log")

    def acknowledged(self):
        return self._lines("acked")


class Form:
    """One session of the legacy endpoint, spoken as any HTTP client would: form fields."""

    def __init__(self, url, user="admin", password="admin1", timeout=20):
        self.url, self.timeout = url, timeout
        digest = hashlib.md5(password.encode()).hexdigest()
        self.session = self.call("login", [{"user_name": user, "password": digest}, "demo", []])["id"]

    def at(self, url):
        """The same session at another facade."""
        other = object.__new__(Form)
        other.url, other.timeout, other.session = url, self.timeout, self.session
        return other

    def call(self, method, data):
        body = urllib.parse.urlencode({"method": method, "input_type": "JSON", "response_type": "JSON",
                                       "rest_data": json.dumps(data)}).encode()
        with urllib.request.urlopen(self.url, data=body, timeout=self.timeout) as reply:
            text = reply.read().decode("utf-8")
        found = json.loads(text)
        if isinstance(found, dict) and "number" in found and "description" in found:
            raise RuntimeError(f"{method}: {text[:300]}")
        return found

    def set(self, module, **fields):
        pairs = [{"name": name, "value": value} for name, value in fields.items()]
        return self.call("set_entry", [self.session, module, pairs])["id"]

    def get(self, module, key, *fields):
        found = self.call("get_entry", [self.session, module, key, list(fields), [], False])["entry_list"][0]
        pairs = found["name_value_list"]
        return {n: p["value"] for n, p in pairs.items()} if isinstance(pairs, dict) else None

    def list(self, module, query="", order="", limit=20, fields=("id",), offset=0):
        return self.call("get_entry_list", [self.session, module, query, order, offset, list(fields), [],
                                            limit, 0, False])["entry_list"]

