-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.reconcile_range;
DELETE FROM ficus.difference WHERE kind = 'duplicate';
ALTER TABLE ficus.difference DROP CONSTRAINT difference_kind_check;
ALTER TABLE ficus.difference ADD CONSTRAINT difference_kind_check
    CHECK (kind IN ('missing_new','missing_legacy','field'));
ALTER TABLE ficus.difference DROP COLUMN detail;
ALTER TABLE ficus.reconcile_entity DROP COLUMN detail, DROP COLUMN coverage;
ALTER TABLE ficus.reconcile_run DROP COLUMN receipt, DROP COLUMN positions, DROP COLUMN options;
