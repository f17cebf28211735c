-- SPDX-License-Identifier: Apache-2.0
-- The control store: what facades, sync processes and the command line agree on.
-- It lives in the new store's PostgreSQL, so that rows, position, origin and parked events
-- of the direction legacy -> new commit together.
CREATE SCHEMA IF NOT EXISTS ficus;

-- ---------------------------------------------------------------- versions and pushing
-- One row; every change of state below raises it and wakes all listeners.
CREATE TABLE ficus.version (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint  NOT NULL DEFAULT 1
);
INSERT INTO ficus.version DEFAULT VALUES;

CREATE FUNCTION ficus.bump() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE v bigint;
BEGIN
    UPDATE ficus.version SET version = version + 1 RETURNING version INTO v;
    PERFORM pg_notify('ficus', v::text);
    RETURN NULL;
END $$;

-- ---------------------------------------------------------------- routes and owners
CREATE TABLE ficus.route_state (
    route       text PRIMARY KEY,
    stage       text NOT NULL CHECK (stage IN ('legacy','shadow','canary','new','retired')),
    canary_bp   integer NOT NULL DEFAULT 0 CHECK (canary_bp BETWEEN 0 AND 10000), -- 1/100 per cent
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text NOT NULL,
    why         text NOT NULL
);
CREATE TABLE ficus.route_history (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route       text NOT NULL,
    from_stage  text,
    from_bp     integer,
    to_stage    text NOT NULL,
    to_bp       integer NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    who         text NOT NULL,
    why         text NOT NULL,
    evidence    jsonb
);
-- Who may accept writes of a group. `phase` 'holding': facades queue new writes of it until
-- it is 'open' again or `hold_until` has passed.
CREATE TABLE ficus.owner (
    grp         text PRIMARY KEY,
    owner       text NOT NULL CHECK (owner IN ('legacy','new')),
    epoch       bigint NOT NULL DEFAULT 0,
    phase       text NOT NULL DEFAULT 'open' CHECK (phase IN ('open','holding')),
    hold_until  timestamptz,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON ficus.route_state
    FOR EACH STATEMENT EXECUTE FUNCTION ficus.bump();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE ON ficus.owner
    FOR EACH STATEMENT EXECUTE FUNCTION ficus.bump();

-- Numbers of transfer attempts: handed out once, ever growing, never rolled back.
CREATE SEQUENCE ficus.epoch START 1 CACHE 1;

-- ---------------------------------------------------------------- the new store's fence
CREATE TABLE ficus.fence (
    grp      text PRIMARY KEY,
    writable boolean NOT NULL,
    epoch    bigint NOT NULL
);
-- Called by a statement trigger on every table of a group. Applying sessions carry an origin
-- and pass. Everyone else holds the group's advisory lock shared until commit and then reads
-- the fence: sound only with a snapshot taken after the lock, hence VOLATILE plpgsql and, at
-- REPEATABLE READ or SERIALIZABLE, the locking read that fails with 40001 on a changed row.
CREATE FUNCTION ficus.guard() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    f ficus.fence%ROWTYPE;
    mine text := current_setting('ficus.epoch', true);
BEGIN
    IF coalesce(current_setting('ficus.origin', true), '') <> '' THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ficus.fence.' || TG_ARGV[0], 0));
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT * INTO f FROM ficus.fence WHERE grp = TG_ARGV[0];
    ELSE
        SELECT * INTO f FROM ficus.fence WHERE grp = TG_ARGV[0] FOR SHARE;
    END IF;
    IF NOT FOUND OR NOT f.writable OR (coalesce(mine, '') <> '' AND mine::bigint <> f.epoch) THEN
        RAISE EXCEPTION 'ficus: fence: group % is not writable here (fence epoch %, writer epoch %)',
            TG_ARGV[0], coalesce(f.epoch::text, 'none'), coalesce(nullif(mine, ''), 'none')
            USING ERRCODE = 'FC001',
                  HINT = 'Another side owns this group now; ficus status shows which.';
    END IF;
    RETURN NULL;
END $$;

-- Exclusive: waits for every writer in flight, refuses the later ones. False: a later attempt
-- is under way. Used by the coordinator for both sealing and opening.
CREATE FUNCTION ficus.fence_set(g text, w boolean, x bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ficus.fence.' || g, 0));
    UPDATE ficus.fence SET writable = w, epoch = x
        WHERE grp = g AND (epoch < x OR (epoch = x AND writable = w));
    RETURN FOUND;
END $$;

-- ---------------------------------------------------------------- transfers
CREATE TABLE ficus.transfer (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    grp         text NOT NULL,
    target      text NOT NULL CHECK (target IN ('legacy','new')),
    kind        text NOT NULL CHECK (kind IN ('cutover','rollback','abort')),
    epoch       bigint,
    step        text NOT NULL DEFAULT 'requested',
    outcome     text CHECK (outcome IN ('done','refused','aborted','failed')),
    who         text NOT NULL,
    why         text NOT NULL DEFAULT '',
    options     jsonb NOT NULL DEFAULT '{}',
    coordinator text,
    heartbeat   timestamptz,
    requested_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    steps       jsonb NOT NULL DEFAULT '[]',   -- [{"step","at_ms","ms","detail"}]
    receipt     jsonb
);
CREATE UNIQUE INDEX transfer_active ON ficus.transfer (grp) WHERE outcome IS NULL;

-- ---------------------------------------------------------------- instances
CREATE TABLE ficus.instance (
    id            text PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('serve','sync','service')),
    host          text NOT NULL,
    pid           integer NOT NULL,
    address       text NOT NULL DEFAULT '',
    started_at    timestamptz NOT NULL DEFAULT now(),
    heartbeat     timestamptz NOT NULL DEFAULT now(),
    table_version bigint NOT NULL DEFAULT 0,
    maps_hash     text NOT NULL DEFAULT '',
    detail        jsonb NOT NULL DEFAULT '{}'  -- held requests per group, counters
);

-- ---------------------------------------------------------------- streams
-- A stream is one entity in one direction: 'legacy.account' carries legacy's changes.
-- The sink's position, in the sink: this is the one for legacy -> new.
CREATE TABLE ficus.position (
    stream  text NOT NULL,
    part    integer NOT NULL,
    next    bigint NOT NULL,       -- offset of the next message to apply
    epoch   bigint NOT NULL,       -- of the applier that may move it
    term    bigint NOT NULL DEFAULT 0, -- highest capture term seen
    through bigint NOT NULL DEFAULT 0, -- every change up to this changelog seq has been applied
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, part)
);
CREATE TABLE ficus.marker (
    marker  text NOT NULL,
    stream  text NOT NULL,
    part    integer NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (marker, stream, part)
);
-- How far capture of a side got, and the term of the process that may move it.
CREATE TABLE ficus.capture (
    side      text PRIMARY KEY CHECK (side IN ('legacy','new')),
    term      bigint NOT NULL DEFAULT 0,
    holder    text NOT NULL DEFAULT '',
    captured  text NOT NULL DEFAULT '',  -- read from the store
    published text NOT NULL DEFAULT '',  -- acknowledged by the broker; restart here
    identity  text NOT NULL DEFAULT '',  -- system id, timeline, changelog identity
    stopped   text NOT NULL DEFAULT '',  -- why a new snapshot is due; '' while it runs
    at        timestamptz NOT NULL DEFAULT now()
);
-- Requests from the command line to the sync process, and per stream what it shows.
CREATE TABLE ficus.stream_state (
    stream    text PRIMARY KEY,
    paused    boolean NOT NULL DEFAULT false,
    reason    text NOT NULL DEFAULT '',
    captured  bigint NOT NULL DEFAULT 0,  -- events, since the process started
    published bigint NOT NULL DEFAULT 0,
    applied   bigint NOT NULL DEFAULT 0,
    lag_events bigint NOT NULL DEFAULT 0,
    lag_ms    bigint NOT NULL DEFAULT 0,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ficus.snapshot (
    entity    text PRIMARY KEY,
    source    text NOT NULL DEFAULT 'legacy' CHECK (source IN ('legacy','new')),
    state     text NOT NULL CHECK (state IN ('requested','running','done','failed')),
    last_key  text,                        -- resume after this key
    rows      bigint NOT NULL DEFAULT 0,
    estimate  bigint NOT NULL DEFAULT 0,
    started_at timestamptz,
    finished_at timestamptz,
    error     text
);
CREATE TABLE ficus.parked (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream    text NOT NULL,
    part      integer NOT NULL,
    offset_no bigint NOT NULL,
    entity    text NOT NULL,
    k         text NOT NULL,
    reason    text NOT NULL,               -- a stable word: type, constraint, malformed, behind
    detail    text NOT NULL,
    sqlstate  text NOT NULL DEFAULT '',
    before_image text,
    after_image  text,                     -- the event's value as it came
    state     text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked','retry','applied','dropped')),
    why       text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, part, offset_no)
);
CREATE INDEX parked_open ON ficus.parked (stream, k) WHERE state IN ('parked','retry');

-- ---------------------------------------------------------------- evidence and sessions
CREATE TABLE ficus.shadow_stat (
    route     text NOT NULL,
    instance  text NOT NULL,
    stage_since timestamptz NOT NULL,
    matched   bigint NOT NULL DEFAULT 0,
    ignored   bigint NOT NULL DEFAULT 0,
    mismatched bigint NOT NULL DEFAULT 0,
    stale     bigint NOT NULL DEFAULT 0,
    dropped   bigint NOT NULL DEFAULT 0,
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, instance, stage_since)
);
CREATE TABLE ficus.mismatch (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route     text NOT NULL,
    entity    text NOT NULL,
    k         text NOT NULL,
    field     text NOT NULL,
    legacy_value text,                     -- redacted for personal data
    new_value text,
    request   text,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ficus.session (
    id        text PRIMARY KEY,            -- SHA-256 of the session id, hex
    user_id   text NOT NULL,
    user_name text NOT NULL,
    is_admin  boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at   timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);

-- ---------------------------------------------------------------- reconciliation, audit
CREATE TABLE ficus.reconcile_run (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    grp       text,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    complete  boolean NOT NULL DEFAULT false,
    who       text NOT NULL,
    summary   jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE ficus.reconcile_entity (
    run       bigint NOT NULL REFERENCES ficus.reconcile_run ON DELETE CASCADE,
    entity    text NOT NULL,
    rows_legacy bigint NOT NULL,
    rows_new  bigint NOT NULL,
    differences bigint NOT NULL,
    settled   bigint NOT NULL,             -- candidates that were merely in flight
    unsettled bigint NOT NULL,             -- keys that never stood still: not proven
    complete  boolean NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, entity)
);
CREATE TABLE ficus.difference (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run       bigint NOT NULL REFERENCES ficus.reconcile_run ON DELETE CASCADE,
    entity    text NOT NULL,
    k         text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('missing_new','missing_legacy','field')),
    field     text NOT NULL DEFAULT '',
    legacy_value text,
    new_value text,
    cause     text NOT NULL DEFAULT ''
);
CREATE TABLE ficus.audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    who       text NOT NULL,
    action    text NOT NULL,
    object    text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
