#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one checker over the sources, in parallel, skipping files whose text, headers and
settings have not changed since they were last found clean.

usage: lint_tools.py headers|cppcheck|tidy|scripts
"""
import concurrent.futures
import glob
import hashlib
import os
import re
import shlex
import subprocess
import sys

FOLDERS = ("base", "connectors", "migrations", "routes", "cdc", "facade", "cli")
PKGS = "libevent_core libpq jansson rdkafka openssl libxxhash odbc".split()
CACHE = "build/lint"
WARN = "-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla".split()


def flags():
    out = subprocess.run(["pkg-config", "--cflags", *PKGS], stdout=subprocess.PIPE, check=True).stdout.decode()
    return ["-std=c17", "-D_GNU_SOURCE", '-DFICUS_VERSION="lint"', "-DFICUS_FAILPOINTS=1", "-I.", *shlex.split(out)]


def files(end):
    found = []
    for folder in FOLDERS:
        found += glob.glob(f"{folder}/**/*{end}", recursive=True)
    return sorted(found)


def digest(paths):
    h = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            h.update(path.encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()


def each(name, paths, command, settings=(), show=lambda text: text):
    """Runs command(path) for every path not known to be clean; a path's result holds for
    its own text, all headers and the settings."""
    common = digest([*files(".h"), "scripts/lint_tools.py", *settings])
    os.makedirs(f"{CACHE}/{name}", exist_ok=True)

    def one(path):
        stamp = f"{CACHE}/{name}/" + hashlib.sha256((common + digest([path])).encode()).hexdigest()
        if os.path.exists(stamp):
            return None
        done = subprocess.run(command(path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = show(done.stdout.decode("utf-8", "replace")).strip() if done.returncode else ""
        if text:
            return text
        with open(stamp, "wb"):
            pass
        return None

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        bad = [text for text in pool.map(one, paths) if text is not None]
    for text in bad:
        print(text)
    return 1 if bad else 0


def headers():
    cc = shlex.split(os.environ.get("CC", "gcc"))
    status = 0
    for compiler in (cc, ["clang"]):
        # -include after an empty file: the header is the first and only thing read
        status |= each("headers-" + os.path.basename(compiler[-1]), files(".h"),
                       lambda path, c=compiler: [*c, *flags(), *WARN, "-fsyntax-only", "-x", "c", "-include", path,
                                                 "/dev/null"])
    return status


def cppcheck():
    return each("cppcheck", files(".c"), lambda path: [
        "cppcheck", "--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr", "-I.", "-D_GNU_SOURCE",
        "-DFICUS_FAILPOINTS=1", '-DFICUS_VERSION="lint"', "--enable=warning,performance,portability",
        "-Djson_object_foreach(o,k,v)=for(k=0,v=0;k;)", "-Djson_array_foreach(a,i,v)=for(i=0,v=0;v;)",
        "--suppress=getpwuidCalled", "--suppress=missingIncludeSystem", "--suppress=normalCheckLevelMaxBranches", "--library=posix",
        "--max-configs=2", path])


def about_uthash(line):
    """The analyzer cannot follow uthash's lists and calls HASH_DEL plus free a use after free."""
    m = re.match(r"(\S+?):(\d+):\d+: error: Use of memory after it is freed", line)
    if not m:
        return False
    with open(m.group(1), encoding="utf-8") as f:
        return "HASH_" in f.read().splitlines()[int(m.group(2)) - 1]


def tidy_findings(text):
    """The findings without the paths that lead there (LINT_V=1 keeps those)."""
    if os.environ.get("LINT_V"):
        return text
    here = os.getcwd() + "/"
    lines = [line.replace(here, "") for line in text.splitlines() if "error:" in line]
    if not lines:
        return text.strip() or "clang-tidy failed without a word"
    return "\n".join(line for line in lines if not about_uthash(line))


def tidy():
    return each("tidy", files(".c"), lambda path: [
        "clang-tidy-14", "--quiet", path, "--", *flags()], settings=[".clang-tidy"], show=tidy_findings)


def scripts():
    status = 0
    for path in glob.glob("scripts/*.py") + glob.glob("tests/**/*.py", recursive=True):
        with open(path, encoding="utf-8") as f:
            try:
                compile(f.read(), path, "exec")
            except SyntaxError as e:
                print(f"{path}:{e.lineno}: {e.msg}")
                status = 1
    for path in [*glob.glob("scripts/*.sh"), ".ci/run"]:
        status |= subprocess.run(["bash", "-n", path], check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit({"headers": headers, "cppcheck": cppcheck, "tidy": tidy, "scripts": scripts}[sys.argv[1]]())
