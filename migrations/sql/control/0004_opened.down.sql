-- SPDX-License-Identifier: Apache-2.0
CREATE OR REPLACE FUNCTION ficus.fence_set(g text, w boolean, x bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ficus.fence.' || g, 0));
    UPDATE ficus.fence SET writable = w, epoch = x
        WHERE grp = g AND (epoch < x OR (epoch = x AND writable = w));
    RETURN FOUND;
END $$;
ALTER TABLE ficus.fence DROP COLUMN opened;
ALTER TABLE ficus.position DROP COLUMN opened;
ALTER TABLE ficus.parked DROP COLUMN opened;
