-- SPDX-License-Identifier: Apache-2.0
-- Reconciliation: runs that can be gone on with, what each covered, causes, receipts.
ALTER TABLE ficus.reconcile_run
    ADD COLUMN options   text  NOT NULL DEFAULT '',    -- what was asked; a resumed run asks the same
    ADD COLUMN positions jsonb NOT NULL DEFAULT '{}',  -- both streams' ends when it began
    ADD COLUMN receipt   jsonb;                        -- signed, of a finished run
ALTER TABLE ficus.reconcile_entity
    ADD COLUMN coverage text NOT NULL DEFAULT 'full' CHECK (coverage IN ('full','slice')),
    ADD COLUMN detail   jsonb NOT NULL DEFAULT '{}';   -- plan, ranges, findings by field and cause
ALTER TABLE ficus.difference
    ADD COLUMN detail   jsonb NOT NULL DEFAULT '{}';   -- versions, last events on both streams

ALTER TABLE ficus.difference DROP CONSTRAINT difference_kind_check;
ALTER TABLE ficus.difference ADD CONSTRAINT difference_kind_check
    CHECK (kind IN ('missing_new','missing_legacy','field','duplicate'));

-- The first pass of a run that has not ended, range by range. `waiting`: prints (hashes and keys)
-- that found no partner within their range. Gone when the run ends.
CREATE TABLE ficus.reconcile_range (
    run         bigint NOT NULL REFERENCES ficus.reconcile_run ON DELETE CASCADE,
    entity      text NOT NULL,
    ordinal     integer NOT NULL,
    above       text,
    up_to       text,
    done        boolean NOT NULL DEFAULT false,
    rows_legacy bigint NOT NULL DEFAULT 0,
    rows_new    bigint NOT NULL DEFAULT 0,
    waiting     bytea NOT NULL DEFAULT '',
    PRIMARY KEY (run, entity, ordinal)
);
