-- SPDX-License-Identifier: Apache-2.0
-- Keys that changed while capture of their stream stood still (a table that no longer is what
-- the map says): published from the rows as they are then, once someone resumes it.
CREATE TABLE ficus.held (
    stream text NOT NULL,
    k      text NOT NULL,
    PRIMARY KEY (stream, k)
);
