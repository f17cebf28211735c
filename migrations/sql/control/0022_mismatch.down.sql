-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.noise;
DROP INDEX ficus.mismatch_route;
ALTER TABLE ficus.mismatch DROP COLUMN kind, DROP COLUMN operation, DROP COLUMN unkept;
