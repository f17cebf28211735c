# SPDX-License-Identifier: Apache-2.0
"""What becomes of an application's replies that are broken, ambiguous or more than one."""
import pytest

from harness import Upstream, Workdir
from passing import Front
from reply_probes import PROBES
from reply_run import probe


@pytest.fixture(scope="module")
def app():
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def front(app):
    with Workdir() as work, Front(work, app.port, {"silence_ms": 3000}) as facade:
        yield facade


@pytest.mark.parametrize("name,text,allowed", PROBES, ids=[p[0] for p in PROBES])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_reply(app, front, method, name, text, allowed):
    outcome, second, evil = probe(app, front.address, name, text, method)
    if method == b"HEAD":  # the head decides, a body behind it is nobody's
        assert outcome in ("passed", "refused"), outcome
    else:
        assert outcome in allowed and outcome != "closed", (outcome, second)
    assert second in ("second", "closed") and not evil, (outcome, second, evil)
    assert app.broken == []
