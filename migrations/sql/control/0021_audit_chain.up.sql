-- SPDX-License-Identifier: Apache-2.0
-- Every row of the audit holds a hash over itself and the row before it, whoever inserts it.
-- Writers of audit rows queue on the one row of audit_head until they commit, so the chain has
-- one order. `ficus audit verify` walks it.
CREATE TABLE ficus.audit_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint NOT NULL,
    hash text NOT NULL
);
INSERT INTO ficus.audit_head (seq, hash) VALUES (0, '');
ALTER TABLE ficus.audit ADD COLUMN seq bigint, ADD COLUMN hash text;

-- Lengths in front of the texts: no two rows read the same.
CREATE FUNCTION ficus.audit_hash(prev text, r ficus.audit) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(concat(prev, ' ', r.seq, ' ',
        (extract(epoch FROM r.at) * 1000000)::bigint, ' ', length(r.who), ' ', r.who, ' ',
        length(r.action), ' ', r.action, ' ', length(r.object), ' ', r.object, ' ',
        r.detail::text), 'UTF8')), 'hex')
$$;
CREATE FUNCTION ficus.audit_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE h ficus.audit_head%ROWTYPE;
BEGIN
    SELECT * INTO h FROM ficus.audit_head FOR UPDATE;
    NEW.seq := h.seq + 1;
    NEW.hash := ficus.audit_hash(h.hash, NEW);
    UPDATE ficus.audit_head SET seq = NEW.seq, hash = NEW.hash;
    RETURN NEW;
END $$;
-- What was written before the chain begins it, in its order.
DO $$
DECLARE r ficus.audit; h text := ''; n bigint := 0;
BEGIN
    FOR r IN SELECT * FROM ficus.audit ORDER BY id LOOP
        n := n + 1;
        r.seq := n;
        h := ficus.audit_hash(h, r);
        UPDATE ficus.audit SET seq = n, hash = h WHERE id = r.id;
    END LOOP;
    UPDATE ficus.audit_head SET seq = n, hash = h;
END $$;
ALTER TABLE ficus.audit ALTER COLUMN seq SET NOT NULL, ALTER COLUMN hash SET NOT NULL;
ALTER TABLE ficus.audit ADD CONSTRAINT audit_seq UNIQUE (seq);
CREATE TRIGGER audit_link BEFORE INSERT ON ficus.audit
    FOR EACH ROW EXECUTE FUNCTION ficus.audit_link();
-- A row is never changed or removed by accident; who means to must drop this first.
CREATE FUNCTION ficus.audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ficus: rows of the audit are never changed or removed';
END $$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON ficus.audit
    FOR EACH ROW EXECUTE FUNCTION ficus.audit_keep();
