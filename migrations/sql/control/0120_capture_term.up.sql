-- SPDX-License-Identifier: Apache-2.0
-- Every term that capture of the new store has drawn, the newest days of them. A term is raised by
-- chance, so that a history which was lost with a backup's restoring cannot come again: the legacy
-- keeps the last one that it saw (cdc/capture/history.c). The first row is the floor: what is
-- older says nothing.
CREATE TABLE ficus.capture_term (
    term bigint PRIMARY KEY,
    at   timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ficus.capture_term (term)
    SELECT coalesce(max(term), 0) FROM ficus.capture WHERE side = 'new';
