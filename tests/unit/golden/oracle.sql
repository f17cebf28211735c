-- SPDX-License-Identifier: Apache-2.0
-- Rendered by tests/unit/test_dialect_files.c; never run on a server.

-- objects 1
BEGIN
  EXECUTE IMMEDIATE 'CREATE SEQUENCE ficus_changelog_seq NOCACHE ORDER';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 2
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_changelog (
  seq number(19) DEFAULT ficus_changelog_seq.NEXTVAL PRIMARY KEY,
  entity varchar2(64) NOT NULL,
  k varchar2(2048) NOT NULL,
  write_id varchar2(36),
  at_us number(19) DEFAULT (ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE ''1970-01-01'') * 86400) * 1000000 + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, ''FF6''))) NOT NULL)';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 3
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_fence (
  grp varchar2(64) PRIMARY KEY,
  writable number(1) NOT NULL,
  epoch number(19) NOT NULL,
  opened number(19) DEFAULT 0 NOT NULL)';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 4
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_position (
  stream varchar2(128) NOT NULL,
  part number(10) NOT NULL,
  next number(19) NOT NULL,
  epoch number(19) NOT NULL,
  term number(19) DEFAULT 0 NOT NULL,
  through number(19) DEFAULT 0 NOT NULL,
  opened number(19) DEFAULT 0 NOT NULL,
  last_print number(19) DEFAULT 0 NOT NULL,
  PRIMARY KEY (stream, part))';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 5
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_marker (
  marker varchar2(128) NOT NULL,
  stream varchar2(128) NOT NULL,
  part number(10) NOT NULL,
  at_us number(19) DEFAULT (ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE ''1970-01-01'') * 86400) * 1000000 + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, ''FF6''))) NOT NULL,
  PRIMARY KEY (marker, stream, part))';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 6
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_parked (
  id number(19) GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream varchar2(128) NOT NULL,
  part number(10) NOT NULL,
  offset_no number(19) NOT NULL,
  entity varchar2(64) NOT NULL,
  k varchar2(2048) NOT NULL,
  reason varchar2(64) NOT NULL,
  detail clob NOT NULL,
  sql_state varchar2(5),
  before_image clob,
  after_image clob,
  opened number(19) DEFAULT 0 NOT NULL,
  state varchar2(16) DEFAULT ''parked'' NOT NULL,
  why varchar2(2048),
  at_us number(19) DEFAULT (ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE ''1970-01-01'') * 86400) * 1000000 + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, ''FF6''))) NOT NULL,
  UNIQUE (stream, part, offset_no))';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 7
BEGIN
  EXECUTE IMMEDIATE 'CREATE INDEX ficus_parked_open ON ficus_parked (stream, state, k)';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 8
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_rogue (
  id number(19) GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity varchar2(64) NOT NULL,
  grp varchar2(64) NOT NULL,
  k varchar2(2048) NOT NULL,
  op char(1) NOT NULL,
  at_us number(19) DEFAULT (ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE ''1970-01-01'') * 86400) * 1000000 + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, ''FF6''))) NOT NULL)';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 9
BEGIN
  EXECUTE IMMEDIATE 'CREATE TABLE ficus_meta (
  name varchar2(128) PRIMARY KEY,
  value clob NOT NULL)';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -955 THEN RAISE; END IF;
END;

-- objects 10
CREATE OR REPLACE PACKAGE ficus_session AS
  origin varchar2(128);
  epoch number(19);
  write_id varchar2(36);
  FUNCTION rogue(g IN varchar2, allowed IN boolean) RETURN boolean;
END;

-- objects 11
CREATE OR REPLACE PACKAGE BODY ficus_session AS
  PROCEDURE fence(g IN varchar2, w OUT number, x OUT number) IS
    PRAGMA AUTONOMOUS_TRANSACTION;
  BEGIN
    SELECT MAX(f.writable), MAX(f.epoch) INTO w, x FROM ficus_fence f WHERE f.grp = g;
    COMMIT;
  END;
  FUNCTION rogue(g IN varchar2, allowed IN boolean) RETURN boolean IS
    w number;
    x number;
  BEGIN
    LOCK TABLE ficus_fence IN SHARE MODE;
    fence(g, w, x);
    IF w = 1 AND (epoch IS NULL OR epoch = x) THEN RETURN FALSE; END IF;
    IF allowed AND epoch IS NULL THEN RETURN TRUE; END IF;
    RAISE_APPLICATION_ERROR(-20900, 'ficus: fence: group ' || g || ' is owned by the other side');
  END;
END;

-- drop of objects 1
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_changelog';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 2
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_fence';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 3
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_position';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 4
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_marker';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 5
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_parked';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 6
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_rogue';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 7
BEGIN
  EXECUTE IMMEDIATE 'DROP TABLE ficus_meta';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -942 THEN RAISE; END IF;
END;

-- drop of objects 8
BEGIN
  EXECUTE IMMEDIATE 'DROP SEQUENCE ficus_changelog_seq';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -2289 THEN RAISE; END IF;
END;

-- drop of objects 9
BEGIN
  EXECUTE IMMEDIATE 'DROP PACKAGE ficus_session';
EXCEPTION WHEN OTHERS THEN
  IF SQLCODE <> -4043 THEN RAISE; END IF;
END;

-- trigger of accounts 1
CREATE OR REPLACE TRIGGER ficus_account_0_i AFTER INSERT ON "ACCOUNTS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :NEW.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('o''crm', FALSE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- trigger of accounts 2
CREATE OR REPLACE TRIGGER ficus_account_0_u AFTER UPDATE ON "ACCOUNTS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :NEW.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('o''crm', FALSE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    logged := ks;
  END IF;
  ks := :OLD.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('o''crm', FALSE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- trigger of accounts 3
CREATE OR REPLACE TRIGGER ficus_account_0_d AFTER DELETE ON "ACCOUNTS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :OLD.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('o''crm', FALSE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- trigger of rel 1
CREATE OR REPLACE TRIGGER ficus_account_1_i AFTER INSERT ON "REL" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := CASE WHEN :NEW.bean_module = 'Accounts' THEN :NEW.bean_id END;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('crm', TRUE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', ks, 'i'); END IF;
    logged := ks;
  END IF;
END;

-- trigger of rel 2
CREATE OR REPLACE TRIGGER ficus_account_1_u AFTER UPDATE ON "REL" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := CASE WHEN :NEW.bean_module = 'Accounts' THEN :NEW.bean_id END;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('crm', TRUE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', ks, 'u'); END IF;
    logged := ks;
  END IF;
  ks := CASE WHEN :OLD.bean_module = 'Accounts' THEN :OLD.bean_id END;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('crm', TRUE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', ks, 'u'); END IF;
    logged := ks;
  END IF;
END;

-- trigger of rel 3
CREATE OR REPLACE TRIGGER ficus_account_1_d AFTER DELETE ON "REL" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := CASE WHEN :OLD.bean_module = 'Accounts' THEN :OLD.bean_id END;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    r := ficus_session.rogue('crm', TRUE);
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', ks, ficus_session.write_id);
    IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', ks, 'd'); END IF;
    logged := ks;
  END IF;
END;

-- trigger of addresses 1
CREATE OR REPLACE TRIGGER ficus_account_2_i AFTER INSERT ON "ADDRESSES" FOR EACH ROW
DECLARE
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  FOR q IN (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = :NEW.id) LOOP
    IF q.k IS NOT NULL THEN
      r := ficus_session.rogue('crm', TRUE);
      INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', q.k, ficus_session.write_id);
      IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', q.k, 'i'); END IF;
    END IF;
  END LOOP;
END;

-- trigger of addresses 2
CREATE OR REPLACE TRIGGER ficus_account_2_u AFTER UPDATE ON "ADDRESSES" FOR EACH ROW
DECLARE
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  FOR q IN (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = :NEW.id) LOOP
    IF q.k IS NOT NULL THEN
      r := ficus_session.rogue('crm', TRUE);
      INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', q.k, ficus_session.write_id);
      IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', q.k, 'u'); END IF;
    END IF;
  END LOOP;
  FOR q IN (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = :OLD.id) LOOP
    IF q.k IS NOT NULL THEN
      r := ficus_session.rogue('crm', TRUE);
      INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', q.k, ficus_session.write_id);
      IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', q.k, 'u'); END IF;
    END IF;
  END LOOP;
END;

-- trigger of addresses 3
CREATE OR REPLACE TRIGGER ficus_account_2_d AFTER DELETE ON "ADDRESSES" FOR EACH ROW
DECLARE
  r boolean;
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  FOR q IN (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = :OLD.id) LOOP
    IF q.k IS NOT NULL THEN
      r := ficus_session.rogue('crm', TRUE);
      INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('account', q.k, ficus_session.write_id);
      IF r THEN INSERT INTO ficus_rogue (entity, grp, k, op) VALUES ('account', 'crm', q.k, 'd'); END IF;
    END IF;
  END LOOP;
END;

-- trigger of users 1
CREATE OR REPLACE TRIGGER ficus_user_0_i AFTER INSERT ON "USERS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :NEW.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('user', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- trigger of users 2
CREATE OR REPLACE TRIGGER ficus_user_0_u AFTER UPDATE ON "USERS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :NEW.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('user', ks, ficus_session.write_id);
    logged := ks;
  END IF;
  ks := :OLD.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('user', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- trigger of users 3
CREATE OR REPLACE TRIGGER ficus_user_0_d AFTER DELETE ON "USERS" FOR EACH ROW
DECLARE
  ks varchar2(2048);
  logged varchar2(2048);
BEGIN
  IF ficus_session.origin IS NOT NULL THEN RETURN; END IF;
  ks := :OLD.id;
  IF ks IS NOT NULL AND (logged IS NULL OR ks <> logged) THEN
    INSERT INTO ficus_changelog (entity, k, write_id) VALUES ('user', ks, ficus_session.write_id);
    logged := ks;
  END IF;
END;

-- drop of triggers 1
DROP TRIGGER ficus_account_0_i

-- drop of triggers 2
DROP TRIGGER ficus_account_0_u

-- drop of triggers 3
DROP TRIGGER ficus_account_0_d

-- drop of a trigger by its name 1
DROP TRIGGER "FICUS_ACCOUNT_0_I"

-- marks of an applier 1
BEGIN ficus_session.origin := 'o''rigin'; ficus_session.epoch := NULL; ficus_session.write_id := NULL; END;

-- marks of a facade 1
BEGIN ficus_session.origin := NULL; ficus_session.epoch := 7; ficus_session.write_id := 'w1'; END;

-- marks cleared 1
BEGIN ficus_session.origin := NULL; ficus_session.epoch := NULL; ficus_session.write_id := NULL; END;

-- session 1
ALTER SESSION SET TIME_ZONE = 'UTC'

-- session 2
ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'

-- session 3
ALTER SESSION SET ISOLATION_LEVEL = READ COMMITTED

-- trigger names 1
SELECT LOWER(trigger_name), CASE WHEN table_name = UPPER(table_name) THEN LOWER(table_name) ELSE table_name END, CASE status WHEN 'ENABLED' THEN 1 ELSE 0 END FROM user_triggers WHERE trigger_name LIKE 'FICUS\_%' ESCAPE '\'

-- fence seal 1
UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < ?

-- fence open 1
UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ? WHERE grp = ? AND epoch < ?

-- fence read 1
SELECT writable, epoch FROM ficus_fence WHERE grp = ?

-- fence hold 1
SELECT writable, opened FROM ficus_fence WHERE grp = ? FOR UPDATE

-- fence openings 1
SELECT grp, opened FROM ficus_fence WHERE opened > 0

-- fence init 1
MERGE INTO ficus_fence t USING (SELECT ? AS grp, ? AS writable, ? AS epoch FROM dual) s ON (t.grp = s.grp) WHEN NOT MATCHED THEN INSERT (grp, writable, epoch) VALUES (s.grp, s.writable, s.epoch)

-- columns 1
WITH p AS (SELECT ? AS t FROM dual) SELECT CASE WHEN c.column_name = UPPER(c.column_name) THEN LOWER(c.column_name) ELSE c.column_name END, c.data_type || '(' || c.data_length || ',' || c.data_precision || ',' || c.data_scale || ')' FROM user_tab_columns c, p WHERE c.table_name IN (p.t, CASE WHEN p.t = LOWER(p.t) THEN UPPER(p.t) END) ORDER BY c.column_id

-- indexes 1
WITH p AS (SELECT ? AS t FROM dual) SELECT i.index_name, CASE i.uniqueness WHEN 'UNIQUE' THEN 1 ELSE 0 END, CASE WHEN x.column_name = UPPER(x.column_name) THEN LOWER(x.column_name) ELSE x.column_name END, CASE c.nullable WHEN 'N' THEN 1 ELSE 0 END FROM p, user_indexes i JOIN user_ind_columns x ON x.index_name = i.index_name JOIN user_tab_columns c ON c.table_name = i.table_name AND c.column_name = x.column_name WHERE i.table_name IN (p.t, CASE WHEN p.t = LOWER(p.t) THEN UPPER(p.t) END) AND i.index_type = 'NORMAL' ORDER BY i.index_name, x.column_position

-- now 1
SELECT (ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400) * 1000000 + TO_NUMBER(TO_CHAR(SYSTIMESTAMP, 'FF6'))) FROM dual

-- page 1
SELECT t.c, TO_CHAR(t.c, 'TM9'), RTRIM(TO_CHAR(t.c, 'FM9999999999999999999999999999990.999999999999999999999999999999'), '.'), TO_CHAR(t.c), TO_CHAR(t.c), TO_CHAR(t.c, 'YYYY-MM-DD'), t.c, TO_CHAR(CAST(t.c AS TIMESTAMP(6)), 'YYYY-MM-DD HH24:MI:SS.FF6'), LOWER(RAWTOHEX(t.c)), t.c FROM "CRM"."ACCOUNTS" t ORDER BY UPPER(t.a) DESC NULLS LAST, t.b NULLS FIRST OFFSET 40 ROWS FETCH NEXT 20 ROWS ONLY

-- match 1
SELECT 1 FROM accounts WHERE name = ? AND name <> ? AND name < ? AND name <= ? AND name > ? AND name >= ? AND name LIKE ? ESCAPE '\' AND name NOT LIKE ? ESCAPE '\'

-- match without case 1
SELECT 1 FROM accounts WHERE UPPER(name) = UPPER(?) AND UPPER(name) <> UPPER(?) AND UPPER(name) < UPPER(?) AND UPPER(name) <= UPPER(?) AND UPPER(name) > UPPER(?) AND UPPER(name) >= UPPER(?) AND UPPER(name) LIKE UPPER(?) ESCAPE '\' AND UPPER(name) NOT LIKE UPPER(?) ESCAPE '\'

-- composite key 1
SELECT a || CHR(31) || b FROM accounts

-- types 1
CREATE TABLE kinds (c0 varchar2(6 char), c1 number(10), c2 number(18,2), c3 binary_double, c4 number(1), c5 date, c6 varchar2(16), c7 timestamp(6), c8 blob, c9 clob, whole clob, big number(19))

-- upsert 1
MERGE INTO "LINKS" t USING (SELECT ? AS "A", TO_NUMBER(?) AS "B", ? AS "TEXT", HEXTORAW(?) AS "BYTES", TO_TIMESTAMP(?, 'YYYY-MM-DD HH24:MI:SS.FF6') AS "SEEN", TO_NUMBER(?) AS "PRICE" FROM dual) s ON (t."A" = s."A" AND t."B" = s."B") WHEN MATCHED THEN UPDATE SET t."TEXT" = s."TEXT", t."BYTES" = s."BYTES", t."SEEN" = s."SEEN", t."PRICE" = s."PRICE" WHEN NOT MATCHED THEN INSERT ("A", "B", "TEXT", "BYTES", "SEEN", "PRICE") VALUES (s."A", s."B", s."TEXT", s."BYTES", s."SEEN", s."PRICE")

-- upsert of a key 1
MERGE INTO "LINKS" t USING (SELECT ? AS "A", TO_NUMBER(?) AS "B" FROM dual) s ON (t."A" = s."A" AND t."B" = s."B") WHEN NOT MATCHED THEN INSERT ("A", "B") VALUES (s."A", s."B")

