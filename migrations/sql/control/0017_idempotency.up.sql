-- SPDX-License-Identifier: Apache-2.0
-- Answers of requests with an Idempotency-Key (facade/idempotency.h): the same on every instance.
CREATE TABLE ficus.idempotency (
    scope        text        NOT NULL, -- mount and principal
    key          text        NOT NULL, -- as the client chose it
    hash         text        NOT NULL, -- of the request: another one may not use the key
    record_key   uuid        NOT NULL DEFAULT gen_random_uuid(), -- of the record it creates
    attempt      integer     NOT NULL DEFAULT 1,
    lease_until  timestamptz NOT NULL, -- while it runs
    expires_at   timestamptz NOT NULL,
    status       integer,              -- NULL: no answer yet
    content_type text,
    headers      text,
    body         text,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_expires ON ficus.idempotency (expires_at);
