# SPDX-License-Identifier: Apache-2.0
"""A private certificate authority, by the openssl command."""
import os
import shutil
import subprocess


class Authority:
    """Certificates in a folder of `work`: <name>.pem (leaf and intermediate chain) and <name>.key."""

    def __init__(self, work, name):
        self.dir = work.folder("ca-" + name)
        self.ca = self._path("ca.pem")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                  "-subj", f"/CN={name}", "-keyout", self._path("ca.key"), "-out", self.ca)

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _run(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.dir, check=False, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"openssl {args[0]}: {done.stderr}")

    def sign(self, name, *hosts, signer="ca", ca=False):
        """(certificate, key): for the hosts (names or addresses); `ca`: may sign others."""
        kinds = ("IP:" + h if h.replace(".", "").isdigit() or ":" in h else "DNS:" + h for h in hosts)
        with open(self._path(name + ".ext"), "w", encoding="utf-8") as f:
            f.write(f"basicConstraints=CA:{'TRUE' if ca else 'FALSE'}\n")
            if hosts:
                f.write("subjectAltName=" + ",".join(kinds) + "\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                  "-keyout", self._path(name + ".key"), "-out", self._path(name + ".csr"))
        self._run("x509", "-req", "-days", "30", "-in", self._path(name + ".csr"), "-CA", self._path(signer + ".pem"),
                  "-CAkey", self._path(signer + ".key"), "-CAcreateserial", "-extfile", self._path(name + ".ext"),
                  "-out", self._path(name + ".pem"))
        if signer != "ca":  # the chain up to, and without, the root
            with open(self._path(name + ".pem"), "a", encoding="utf-8") as f, \
                    open(self._path(signer + ".pem"), encoding="utf-8") as chain:
                f.write(chain.read())
        return self._path(name + ".pem"), self._path(name + ".key")


def install(pair, where):
    """Puts (certificate, key) at the paths `where`, each at one blow."""
    for source, target in zip(pair, where):
        shutil.copyfile(source, target + ".new")
        os.replace(target + ".new", target)
