-- SPDX-License-Identifier: Apache-2.0
-- What a snapshot does not do at the moment, and why: how long it has rested for its source's
-- sake so far, and whether it waits for the stream's changes to be applied.
ALTER TABLE ficus.snapshot
    ADD COLUMN rest_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN waits   boolean NOT NULL DEFAULT false;
