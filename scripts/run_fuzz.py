#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs libFuzzer binaries: `--replay` feeds each its committed corpus once (a crash or an
empty corpus is a failure); `--seconds N` fuzzes each for N seconds, new inputs going to
build/fuzz/corpus, crashes to build/fuzz/crash. The corpus of build/fuzz/bin/fuzz_x is
tests/fuzz/corpus/x/, its dictionary, if any, tests/fuzz/x.dict."""
import argparse
import json
import os
import subprocess
import sys

LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"]


def command(binary, args):
    name = os.path.basename(binary).replace("fuzz_", "", 1)
    corpus = os.path.join("tests/fuzz/corpus", name)
    files = sorted(os.path.join(corpus, f) for f in os.listdir(corpus)) if os.path.isdir(corpus) else []
    if args.replay:
        return files, [binary, *LIMITS, *files]
    found = os.path.join("build/fuzz/corpus", name)
    os.makedirs(found, exist_ok=True)
    os.makedirs("build/fuzz/crash", exist_ok=True)
    line = [binary, *LIMITS, f"-max_total_time={args.seconds}", "-print_final_stats=1",
            f"-artifact_prefix=build/fuzz/crash/{name}-", found]
    if os.path.isdir(corpus):
        line.append(corpus)
    words = os.path.join("tests/fuzz", name + ".dict")
    if os.path.exists(words):
        line.insert(1, f"-dict={words}")
    return files, line


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--results", required=True)
    ap.add_argument("--replay", action="store_true")
    ap.add_argument("--seconds", type=int, default=60)
    ap.add_argument("binary", nargs="*")
    args = ap.parse_args()
    supp = os.path.abspath("tests/harness/lsan.supp")
    env = dict(os.environ, LSAN_OPTIONS=f"suppressions={supp}:print_suppressions=0")
    passed, failed = 0, 0
    for binary in args.binary:
        files, line = command(binary, args)
        name = os.path.basename(binary)
        if args.replay and not files:
            print(f"{name}: no corpus in tests/fuzz/corpus/")
            failed += 1
            continue
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            failed += 1
            print(f"---- {name}: exit status {done.returncode}\n{text.rstrip()[-8000:]}\n----")
        else:
            passed += 1
            runs = [t.split()[-1] for t in text.splitlines() if "number_of_executed_units" in t]
            print(f"{name}: " + (f"{len(files)} inputs" if args.replay else f"{runs[0] if runs else '?'} runs"))
    os.makedirs(os.path.dirname(args.results), exist_ok=True)
    with open(args.results, "w", encoding="utf-8") as f:
        json.dump({"passed": passed, "failed": failed}, f)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
