# SPDX-License-Identifier: Apache-2.0
"""The connectors' C programs (test_*.c beside this file, built with ASan) on real servers."""
import os
import re
import subprocess

from harness import seconds

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../.."))


def run(name, work, **servers):
    """Passes when cmocka ran some test and each of them passed, without a sanitizer's report."""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", **work.odbc_env, **servers)
    env["LSAN_OPTIONS"] = f"suppressions={ROOT}/tests/harness/lsan.supp:print_suppressions=0"
    done = subprocess.run([f"{ROOT}/build/asan/integration/{name}"], env=env, check=False,
                          timeout=seconds(300), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    passed = len(re.findall(r"\[       OK \]", text))
    assert done.returncode == 0, text
    assert passed > 0 and passed == len(re.findall(r"\[ RUN      \]", text)), text


def test_pg_pool(work, postgres):
    run("test_pg_pool", work, FICUS_TEST_POSTGRES=postgres.conninfo())


def test_odbc_mariadb(work, mariadb, unique):
    mariadb.execute(f"CREATE DATABASE {unique}")
    run("test_odbc_mariadb", work, FICUS_TEST_MARIADB=mariadb.odbc(unique))


def test_kafka(work, kafka):
    run("test_kafka", work, FICUS_TEST_KAFKA=kafka.bootstrap)


def test_pg(work, postgres):
    run("test_pg", work, FICUS_TEST_POSTGRES=postgres.conninfo())


def test_pg_stream(work, postgres):
    run("test_pg_stream", work, FICUS_TEST_POSTGRES=postgres.conninfo())
