# SPDX-License-Identifier: Apache-2.0
"""The bounded part of `make torture`: so many faults with everything at once, and no violation."""
import json

import pytest

from consistency.torture import torture

FAULTS = 24


@pytest.mark.parametrize("legacy", ["sqlite", "mariadb", "postgres"])
def test_no_violation_under_faults(work, legacy, seed):
    result, path = torture(work, legacy, seed, 0, limit=FAULTS)
    if result["violations"] or result["broken"]:
        work.keep()
    assert result["broken"] == [], f"seed {seed}, history {path}"
    assert result["violations"] == [], f"seed {seed}, history {path}\n" + "\n".join(result["text"])
    assert sum(result["faults"].values()) >= FAULTS, json.dumps(result["faults"])
    assert result["operations"]["ok"] > 100, json.dumps(result["operations"])
