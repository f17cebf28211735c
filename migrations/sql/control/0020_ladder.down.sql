-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.proposal, ficus.retired_hit, ficus.route_hit, ficus.arm, ficus.coverage;
ALTER TABLE ficus.route_history DROP COLUMN forced, DROP COLUMN automatic, DROP COLUMN approved_by;
DROP TRIGGER evidence_since ON ficus.route_state;
DROP FUNCTION ficus.evidence_since();
ALTER TABLE ficus.route_state DROP COLUMN evidence_since;
