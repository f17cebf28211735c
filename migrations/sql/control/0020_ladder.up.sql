-- SPDX-License-Identifier: Apache-2.0
-- What a promotion is judged by, who may override it, and what takes a route back by itself.

-- Evidence counts from here on: since the route came to `shadow` or below, or since a rule about
-- what is ignored changed. Climbing on (canary, new) keeps it.
ALTER TABLE ficus.route_state ADD COLUMN evidence_since timestamptz NOT NULL DEFAULT now();
UPDATE ficus.route_state SET evidence_since = changed_at;
CREATE FUNCTION ficus.evidence_since() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.changed_at <> OLD.changed_at AND (NEW.stage IN ('legacy', 'shadow') OR
        (NEW.stage = OLD.stage AND NEW.canary_bp = OLD.canary_bp)) THEN
        NEW.evidence_since := NEW.changed_at;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_since BEFORE UPDATE ON ficus.route_state
    FOR EACH ROW EXECUTE FUNCTION ficus.evidence_since();

ALTER TABLE ficus.route_history
    ADD COLUMN forced      boolean NOT NULL DEFAULT false, -- the evidence was missing
    ADD COLUMN automatic   boolean NOT NULL DEFAULT false, -- a facade took the route back
    ADD COLUMN approved_by text;                           -- the second person

-- Reads of a route that clients made, and how many of them were compared, by kind of operation
-- and by what the client was told.
CREATE TABLE ficus.coverage (
    route       text NOT NULL,
    stage_since timestamptz NOT NULL,
    operation   text NOT NULL,
    status      text NOT NULL,
    seen        bigint NOT NULL DEFAULT 0,
    compared    bigint NOT NULL DEFAULT 0,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, stage_since, operation, status)
);

-- What the two arms of a route did, in windows of 10 seconds kept for an hour. `slots` counts
-- answers by duration: slot i holds those below 2^i * 64 us, the last one all others.
CREATE TABLE ficus.arm (
    route       text NOT NULL,
    stage_since timestamptz NOT NULL,
    arm         text NOT NULL CHECK (arm IN ('legacy','new')),
    win         timestamptz NOT NULL,
    instance    text NOT NULL,
    requests    bigint NOT NULL DEFAULT 0,
    errors      bigint NOT NULL DEFAULT 0,
    slots       bigint[] NOT NULL,
    PRIMARY KEY (route, stage_since, arm, win, instance)
);
CREATE INDEX arm_win ON ficus.arm (win);

-- Every operation that a route took, for good; and who still calls a retired route (a hash of
-- the user, at most 100 a route, the rest as 'other').
CREATE TABLE ficus.route_hit (
    route    text PRIMARY KEY,
    hits     bigint NOT NULL DEFAULT 0,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ficus.retired_hit (
    route    text NOT NULL,
    client   text NOT NULL,
    hits     bigint NOT NULL DEFAULT 0,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, client)
);

-- Promotions of a group's routes that wait for a second person.
CREATE TABLE ficus.proposal (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changes     jsonb NOT NULL,            -- [{"route","stage","canary_bp"}]
    who         text NOT NULL,
    why         text NOT NULL,
    forced      boolean NOT NULL DEFAULT false,
    at          timestamptz NOT NULL DEFAULT now(),
    outcome     text CHECK (outcome IN ('done','withdrawn')),
    decided_by  text,
    decided_at  timestamptz
);
