-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.copy_left;
DROP TABLE ficus.copy_range;
ALTER TABLE ficus.snapshot DROP COLUMN direct, DROP COLUMN above, DROP COLUMN up_to, DROP COLUMN paused, DROP COLUMN empty;
