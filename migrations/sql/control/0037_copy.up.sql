-- SPDX-License-Identifier: Apache-2.0
-- A snapshot may be of a slice of keys, and may go straight into the new store (cdc/snapshot/copy.h).
ALTER TABLE ficus.snapshot
    ADD COLUMN direct boolean NOT NULL DEFAULT false,
    ADD COLUMN above  text,                      -- first part of the key: beyond this
    ADD COLUMN up_to  text,                      -- and up to this
    ADD COLUMN paused boolean NOT NULL DEFAULT false, -- the copy paused the stream and resumes it
    ADD COLUMN empty  boolean NOT NULL DEFAULT false; -- the table was, when the copy began
-- Where each connection of a direct copy has got to, moved with the rows that it copied.
CREATE TABLE ficus.copy_range (
    entity   text NOT NULL REFERENCES ficus.snapshot ON DELETE CASCADE,
    n        integer NOT NULL,
    above    text,
    up_to    text,
    last_key text,
    done     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (entity, n)
);
-- Keys whose rows cannot be copied as they are: they go through the stream, which parks or applies them.
CREATE TABLE ficus.copy_left (
    entity text NOT NULL REFERENCES ficus.snapshot ON DELETE CASCADE,
    k      text NOT NULL,
    PRIMARY KEY (entity, k)
);
