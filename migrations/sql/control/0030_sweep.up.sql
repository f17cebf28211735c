-- SPDX-License-Identifier: Apache-2.0
-- Where the sweep of each entity is, and what it found (cdc/capture/sweep.c).
CREATE TABLE ficus.sweep (
    entity      text PRIMARY KEY,
    side        text NOT NULL DEFAULT 'legacy' CHECK (side IN ('legacy','new')), -- walked now
    last_key    text,                          -- walked up to here; NULL: from the start
    walked      bigint NOT NULL DEFAULT 0,     -- rows of this pass so far
    pass_rows   bigint,                        -- of the last full pass
    passes      bigint NOT NULL DEFAULT 0,
    found       bigint NOT NULL DEFAULT 0,     -- changes that capture had not seen, ever
    found_at    timestamptz,
    pass_started  timestamptz NOT NULL DEFAULT now(),
    pass_finished timestamptz,
    at          timestamptz NOT NULL DEFAULT now()
);
