-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE ficus.owner
    DROP COLUMN completed_at, DROP COLUMN completed_by, DROP COLUMN completed_why;
ALTER TABLE ficus.transfer
    DROP COLUMN not_before, DROP COLUMN needs_approval, DROP COLUMN approved_by,
    DROP COLUMN approved_at, DROP COLUMN note, DROP COLUMN waiting;
