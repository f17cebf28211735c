-- SPDX-License-Identifier: Apache-2.0
-- What the walk of a heap goes by at its end, however many processes walked: rows written since, and
-- whether the heap is still the same one.
ALTER TABLE ficus.reconcile_sketch
    ADD COLUMN oldest text, -- pg_snapshot_xmin() before the first page was read
    ADD COLUMN heap   text; -- pg_relation_filenode() then
