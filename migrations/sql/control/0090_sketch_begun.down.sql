-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE ficus.reconcile_sketch DROP COLUMN oldest, DROP COLUMN heap;
