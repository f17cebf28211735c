# SPDX-License-Identifier: Apache-2.0
"""Unit tests that take a store from the environment, on every kind of store: the legacy on
SQLite and on MariaDB, the new store on PostgreSQL. Without these variables they run on SQLite
alone and leave the PostgreSQL half out."""
import glob
import os
import re
import subprocess

import pytest

from harness import build_folder, seconds
from harness.daemon import ROOT, SANITIZER, environment

FIXTURES = re.compile(r'#include "tests/unit/(legacy|store)_fixture\.h"')


def programs():
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/unit/test_*.c"))):
        with open(path, encoding="utf-8") as f:
            if FIXTURES.search(f.read()):
                found.append(os.path.basename(path)[:-2])
    return found


def run(work, program, env):
    path = os.path.join(build_folder(), "unit", program)
    done = subprocess.run([path], cwd=ROOT, env=environment(work, dict(env, CMOCKA_MESSAGE_OUTPUT="STDOUT")),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds(120), check=False)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0 and not SANITIZER.search(text), text
    assert "[       OK ]" in text and "SKIPPED" not in text, text


@pytest.mark.parametrize("program", programs())
@pytest.mark.parametrize("legacy", ["sqlite", "mariadb"])
def test_unit_on(legacy, program, work, postgres, unique, request):
    postgres.create_database(unique)
    env = {"FICUS_TEST_PG": postgres.conninfo(unique), "FICUS_TEST_DBMS": legacy}
    if legacy == "mariadb":
        mariadb = request.getfixturevalue("mariadb")
        mariadb.execute(f"CREATE DATABASE {unique}")
        env["FICUS_TEST_ODBC"] = mariadb.odbc(unique)
    run(work, program, env)
