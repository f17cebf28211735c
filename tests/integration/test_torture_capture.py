# SPDX-License-Identifier: Apache-2.0
"""A bounded run of `make torture-capture` on every legacy: nothing lost, doubled, torn or reordered."""
import os
import sys

import pytest

from loop import LEGACY_OF, Loop
from test_sync import legacy_database

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from consistency.torture_capture import torture  # noqa: E402


@pytest.mark.parametrize("dbms", ["sqlite", "mariadb", "postgres"])
def test_torture_capture(request, work, postgres, kafka, unique, dbms):
    if dbms == "sqlite":
        legacy = request.getfixturevalue("sqlite")
        legacy.script(LEGACY_OF[dbms])
    else:
        legacy = legacy_database(request, dbms, unique)
    loop = Loop(work, dbms, legacy, postgres, kafka, unique)
    loop.migrate()
    seed = 20240229
    print(f"seed {seed}")
    wrong, figures = torture(loop, seed, 6000, keys=1500, kills=4)
    print(figures)
    assert wrong == []
    assert figures["committed"] >= 6000 and figures["kills"] == 4
