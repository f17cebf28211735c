-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.anew;
ALTER TABLE ficus.stream_state DROP COLUMN lost;
ALTER TABLE ficus.position DROP COLUMN last_print;
