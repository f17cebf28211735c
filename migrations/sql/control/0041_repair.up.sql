-- SPDX-License-Identifier: Apache-2.0
-- Repairs: what was asked, who approved what goes toward an owner, and the receipt.
CREATE TABLE ficus.repair (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run         bigint REFERENCES ficus.reconcile_run ON DELETE SET NULL,
    entities    text NOT NULL,
    toward      text NOT NULL CHECK (toward IN ('other','owner')),
    state       text NOT NULL CHECK (state IN ('requested','approved','done')),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    approved_at timestamptz,
    receipt     jsonb
);
