-- SPDX-License-Identifier: Apache-2.0
-- Streams that lost messages, and how they go on. A position keeps a fingerprint of the message
-- before it, so that another topic of the same name is not taken for the old one. `lost`: only a
-- new copy makes the stream whole; ficus.anew names the partitions that then begin at the first
-- message that is there.
ALTER TABLE ficus.position ADD COLUMN last_print bigint NOT NULL DEFAULT 0;
ALTER TABLE ficus.stream_state ADD COLUMN lost boolean NOT NULL DEFAULT false;
CREATE TABLE ficus.anew (
    stream text NOT NULL,
    part   integer NOT NULL,
    PRIMARY KEY (stream, part)
);
