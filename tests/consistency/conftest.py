# SPDX-License-Identifier: Apache-2.0
"""Each consistency test has everything of its own: it kills what it started."""
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from harness import Workdir  # noqa: E402


@pytest.fixture
def work():
    with Workdir() as folder:
        yield folder


@pytest.fixture
def seed():
    """FICUS_SEED repeats the choices (not the timing) of an earlier run."""
    chosen = int(os.environ.get("FICUS_SEED") or random.randrange(10 ** 9))
    print(f"FICUS_SEED={chosen}")
    return chosen
