-- SPDX-License-Identifier: Apache-2.0
-- Reconciliation that reads each side in its own order: ranges of one side, and the sketch that
-- holds the rows of those that are done. Gone when the run ends.
ALTER TABLE ficus.reconcile_range
    ADD COLUMN part text NOT NULL DEFAULT 'both' CHECK (part IN ('both','legacy','pages'));
    -- of 'pages', above and up_to are heap pages of the new store: first, and the one behind the last
CREATE TABLE ficus.reconcile_sketch (
    run    bigint NOT NULL REFERENCES ficus.reconcile_run ON DELETE CASCADE,
    entity text NOT NULL,
    cells  bytea NOT NULL,
    PRIMARY KEY (run, entity)
);
ALTER TABLE ficus.reconcile_sketch ALTER COLUMN cells SET STORAGE EXTERNAL; -- nothing to compress
