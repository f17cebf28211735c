-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.reconcile_sketch;
DELETE FROM ficus.reconcile_range WHERE part <> 'both';
ALTER TABLE ficus.reconcile_range DROP COLUMN part;
