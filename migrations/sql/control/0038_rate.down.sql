-- SPDX-License-Identifier: Apache-2.0
ALTER TABLE ficus.stream_state DROP COLUMN rate;
