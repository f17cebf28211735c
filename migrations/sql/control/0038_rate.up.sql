-- SPDX-License-Identifier: Apache-2.0
-- Events a second that are applied now, as the applier's process sees it.
ALTER TABLE ficus.stream_state ADD COLUMN rate numeric(12,1) NOT NULL DEFAULT 0;
