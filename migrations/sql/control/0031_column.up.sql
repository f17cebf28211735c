-- SPDX-License-Identifier: Apache-2.0
-- How far capture by a column got (cdc/capture/column.c).
CREATE TABLE ficus.capture_column (
    entity    text PRIMARY KEY,
    watermark text NOT NULL,               -- greatest value seen, as the legacy's text
    told      bigint NOT NULL DEFAULT 0,   -- keys given to capture
    at        timestamptz NOT NULL DEFAULT now()
);
