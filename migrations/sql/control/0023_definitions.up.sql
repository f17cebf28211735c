-- SPDX-License-Identifier: Apache-2.0
-- `ficus route load` raises the number; every process then reads its definitions again and
-- says in its heartbeat what came of it.
CREATE TABLE ficus.definitions (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    load   bigint NOT NULL DEFAULT 0,
    hash   text NOT NULL DEFAULT '',
    who    text NOT NULL DEFAULT '',
    why    text NOT NULL DEFAULT '',
    at     timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ficus.definitions DEFAULT VALUES;
CREATE TRIGGER bump AFTER UPDATE ON ficus.definitions
    FOR EACH STATEMENT EXECUTE FUNCTION ficus.bump();
