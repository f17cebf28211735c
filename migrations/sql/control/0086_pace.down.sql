-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE ficus.snapshot DROP COLUMN waits, DROP COLUMN rest_ms;
