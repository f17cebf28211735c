-- SPDX-License-Identifier: Apache-2.0
-- A mismatch says how its values differ and can be asked again; fields that differ between two
-- reads of the same side are counted as noise.
ALTER TABLE ficus.mismatch
    ADD COLUMN kind      text NOT NULL DEFAULT 'value',
    ADD COLUMN operation jsonb,                 -- canonical; NULL: not kept
    ADD COLUMN unkept    text NOT NULL DEFAULT ''; -- why it was not
CREATE INDEX mismatch_route ON ficus.mismatch (route, id);
CREATE TABLE ficus.noise (
    route    text NOT NULL,
    field    text NOT NULL,                     -- '' counts the pairs of reads themselves
    n        bigint NOT NULL DEFAULT 0,
    last_key text NOT NULL DEFAULT '',
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, field)
);
