-- SPDX-License-Identifier: Apache-2.0
DROP TRIGGER audit_keep ON ficus.audit;
DROP TRIGGER audit_link ON ficus.audit;
DROP FUNCTION ficus.audit_keep();
DROP FUNCTION ficus.audit_link();
DROP FUNCTION ficus.audit_hash(text, ficus.audit);
ALTER TABLE ficus.audit DROP COLUMN seq, DROP COLUMN hash;
DROP TABLE ficus.audit_head;
