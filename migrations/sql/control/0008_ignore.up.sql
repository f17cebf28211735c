-- SPDX-License-Identifier: Apache-2.0
-- A difference between the sides that the engineers have looked at and live with, until a day.
CREATE TABLE ficus.ignore_rule (
    route     text NOT NULL,
    field     text NOT NULL,
    any_value boolean NOT NULL DEFAULT false, -- false: only what the map's policy explains
    why       text NOT NULL,
    who       text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (route, field)
);
