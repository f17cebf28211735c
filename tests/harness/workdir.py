# SPDX-License-Identifier: Apache-2.0
"""A temporary folder for one test's or demo's servers."""
import os
import shutil
import tempfile

from .odbc import write_odbcinst


class Workdir:
    """Short path (unix sockets must fit in it); removed at the end unless
    FICUS_KEEP_TMP is set or keep() was called. Holds an odbcinst.ini of its own."""

    def __init__(self, prefix="ficus-"):
        self.path = tempfile.mkdtemp(prefix=prefix)
        os.chmod(self.path, 0o755)  # unprivileged servers pass through
        self._keep = bool(os.environ.get("FICUS_KEEP_TMP"))
        self.odbc_env = write_odbcinst(self.path)

    def keep(self):
        self._keep = True

    def file(self, name, text=None):
        """The path of NAME in here; writes `text` to it if given."""
        path = os.path.join(self.path, name)
        if text is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def folder(self, name):
        """A new folder in here, owned by the caller; a number is added if NAME is taken."""
        for i in range(1, 1000):
            path = os.path.join(self.path, name if i == 1 else f"{name}-{i}")
            try:
                os.mkdir(path, 0o755)
                return path
            except FileExistsError:
                continue
        raise RuntimeError(f"a thousand folders named {name} in {self.path}")

    def remove(self):
        if not self._keep:
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()
