-- SPDX-License-Identifier: Apache-2.0
-- The epoch by which a side was last opened, and how far each partition has told of openings of
-- its source. A store takes a change only if its source was opened after itself: what was sent
-- before (by a sync process that died, by a snapshot) may be older than its own rows.
ALTER TABLE ficus.fence ADD COLUMN opened bigint NOT NULL DEFAULT 0;
UPDATE ficus.fence SET opened = epoch WHERE writable;
ALTER TABLE ficus.position ADD COLUMN opened bigint NOT NULL DEFAULT 0;
ALTER TABLE ficus.parked ADD COLUMN opened bigint NOT NULL DEFAULT 0;

-- As before; opening also tells capture, in the same transaction (cdc/marker.h).
CREATE OR REPLACE FUNCTION ficus.fence_set(g text, w boolean, x bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ficus.fence.' || g, 0));
    UPDATE ficus.fence SET writable = w, epoch = x, opened = CASE WHEN w THEN x ELSE opened END
        WHERE grp = g AND (epoch < x OR (epoch = x AND writable = w));
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF w THEN
        PERFORM pg_logical_emit_message(true, 'ficus.marker', 'opened-' || x || '-' || g);
    END IF;
    RETURN true;
END $$;
