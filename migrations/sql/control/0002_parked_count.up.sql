-- SPDX-License-Identifier: Apache-2.0
-- Open parked events of each stream, of either store, as its applier counts them.
ALTER TABLE ficus.stream_state ADD COLUMN parked bigint NOT NULL DEFAULT 0;
