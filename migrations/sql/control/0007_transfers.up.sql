-- SPDX-License-Identifier: Apache-2.0
-- A transfer may wait for its time or for a second person, and says what it waits for; a group
-- whose reverse stream was ended can no longer go back.
ALTER TABLE ficus.transfer
    ADD COLUMN not_before timestamptz,
    ADD COLUMN needs_approval boolean NOT NULL DEFAULT false,
    ADD COLUMN approved_by text,
    ADD COLUMN approved_at timestamptz,
    ADD COLUMN note text NOT NULL DEFAULT '',
    ADD COLUMN waiting text NOT NULL DEFAULT '';
ALTER TABLE ficus.owner
    ADD COLUMN completed_at timestamptz,
    ADD COLUMN completed_by text,
    ADD COLUMN completed_why text;
