-- SPDX-License-Identifier: Apache-2.0
-- Rendered by tests/unit/test_dialect_files.c; never run on a server.

-- objects 1
IF OBJECT_ID(N'ficus_ids') IS NULL CREATE SEQUENCE ficus_ids AS bigint START WITH 1

-- objects 2
IF OBJECT_ID(N'ficus_changelog') IS NULL CREATE TABLE ficus_changelog (
  rv rowversion NOT NULL PRIMARY KEY,
  entity nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
  k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
  write_id nvarchar(36),
  at_us bigint NOT NULL DEFAULT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()))

-- objects 3
IF OBJECT_ID(N'ficus_fence') IS NULL CREATE TABLE ficus_fence (
  grp nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  writable smallint NOT NULL,
  epoch bigint NOT NULL,
  opened bigint NOT NULL DEFAULT 0)

-- objects 4
IF OBJECT_ID(N'ficus_position') IS NULL CREATE TABLE ficus_position (
  stream nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  part int NOT NULL,
  next bigint NOT NULL,
  epoch bigint NOT NULL,
  term bigint NOT NULL DEFAULT 0,
  through bigint NOT NULL DEFAULT 0,
  opened bigint NOT NULL DEFAULT 0,
  last_print bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (stream, part))

-- objects 5
IF OBJECT_ID(N'ficus_marker') IS NULL CREATE TABLE ficus_marker (
  marker nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  stream nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  part int NOT NULL,
  at_us bigint NOT NULL DEFAULT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()),
  PRIMARY KEY (marker, stream, part))

-- objects 6
IF OBJECT_ID(N'ficus_parked') IS NULL CREATE TABLE ficus_parked (
  id bigint NOT NULL DEFAULT NEXT VALUE FOR ficus_ids PRIMARY KEY,
  stream nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
  part int NOT NULL,
  offset_no bigint NOT NULL,
  entity nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
  k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
  reason nvarchar(64) NOT NULL,
  detail nvarchar(max) NOT NULL,
  sql_state nvarchar(5) NOT NULL DEFAULT '',
  before_image nvarchar(max),
  after_image nvarchar(max),
  opened bigint NOT NULL DEFAULT 0,
  state nvarchar(16) NOT NULL DEFAULT 'parked',
  why nvarchar(512) NOT NULL DEFAULT '',
  at_us bigint NOT NULL DEFAULT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()),
  UNIQUE (stream, part, offset_no),
  INDEX ficus_parked_open (stream, state, k))

-- objects 7
IF OBJECT_ID(N'ficus_rogue') IS NULL CREATE TABLE ficus_rogue (
  id bigint NOT NULL DEFAULT NEXT VALUE FOR ficus_ids PRIMARY KEY,
  entity nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
  grp nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
  k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
  op nchar(1) NOT NULL,
  at_us bigint NOT NULL DEFAULT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()))

-- objects 8
IF OBJECT_ID(N'ficus_meta') IS NULL CREATE TABLE ficus_meta (
  name nvarchar(128) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY,
  value nvarchar(max) NOT NULL)

-- drop of objects 1
DROP TABLE IF EXISTS ficus_changelog

-- drop of objects 2
DROP TABLE IF EXISTS ficus_fence

-- drop of objects 3
DROP TABLE IF EXISTS ficus_position

-- drop of objects 4
DROP TABLE IF EXISTS ficus_marker

-- drop of objects 5
DROP TABLE IF EXISTS ficus_parked

-- drop of objects 6
DROP TABLE IF EXISTS ficus_rogue

-- drop of objects 7
DROP TABLE IF EXISTS ficus_meta

-- drop of objects 8
DROP SEQUENCE IF EXISTS ficus_ids

-- trigger of accounts 1
CREATE OR ALTER TRIGGER ficus_account_0_i ON [accounts] AFTER INSERT AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM inserted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'o''crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    THROW 51000, N'ficus: fence: group o''crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- trigger of accounts 2
CREATE OR ALTER TRIGGER ficus_account_0_u ON [accounts] AFTER UPDATE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM inserted AS r WHERE r.id IS NOT NULL
    UNION SELECT CONVERT(nvarchar(512), r.id) FROM deleted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'o''crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    THROW 51000, N'ficus: fence: group o''crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- trigger of accounts 3
CREATE OR ALTER TRIGGER ficus_account_0_d ON [accounts] AFTER DELETE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM deleted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'o''crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    THROW 51000, N'ficus: fence: group o''crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- trigger of rel 1
CREATE OR ALTER TRIGGER ficus_account_1_i ON [rel] AFTER INSERT AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.bean_id) FROM inserted AS r WHERE (r.bean_module = 'Accounts') AND r.bean_id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'i' FROM @keys;
END

-- trigger of rel 2
CREATE OR ALTER TRIGGER ficus_account_1_u ON [rel] AFTER UPDATE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.bean_id) FROM inserted AS r WHERE (r.bean_module = 'Accounts') AND r.bean_id IS NOT NULL
    UNION SELECT CONVERT(nvarchar(512), r.bean_id) FROM deleted AS r WHERE (r.bean_module = 'Accounts') AND r.bean_id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'u' FROM @keys;
END

-- trigger of rel 3
CREATE OR ALTER TRIGGER ficus_account_1_d ON [rel] AFTER DELETE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.bean_id) FROM deleted AS r WHERE (r.bean_module = 'Accounts') AND r.bean_id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'd' FROM @keys;
END

-- trigger of addresses 1
CREATE OR ALTER TRIGGER ficus_account_2_i ON [addresses] AFTER INSERT AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), q.k) FROM inserted AS r CROSS APPLY (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = r.id) AS q WHERE q.k IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'i' FROM @keys;
END

-- trigger of addresses 2
CREATE OR ALTER TRIGGER ficus_account_2_u ON [addresses] AFTER UPDATE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), q.k) FROM inserted AS r CROSS APPLY (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = r.id) AS q WHERE q.k IS NOT NULL
    UNION SELECT CONVERT(nvarchar(512), q.k) FROM deleted AS r CROSS APPLY (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = r.id) AS q WHERE q.k IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'u' FROM @keys;
END

-- trigger of addresses 3
CREATE OR ALTER TRIGGER ficus_account_2_d ON [addresses] AFTER DELETE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), q.k) FROM deleted AS r CROSS APPLY (SELECT l0.bean_id AS k FROM rel l0 WHERE l0.address_id = r.id) AS q WHERE q.k IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  DECLARE @w smallint, @x bigint, @rogue bit = 0;
  DECLARE @mine bigint = CONVERT(bigint, SESSION_CONTEXT(N'ficus.epoch'));
  SELECT @w = writable, @x = epoch FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = N'crm';
  IF @w IS NULL OR @w <> 1 OR @mine <> @x
  BEGIN
    SET @rogue = 1;
    IF @mine IS NOT NULL
      THROW 51000, N'ficus: fence: group crm is owned by the other side', 1;
  END;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'account', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
  IF @rogue = 1
    INSERT INTO ficus_rogue (entity, grp, k, op)
      SELECT DISTINCT N'account', N'crm', k, N'd' FROM @keys;
END

-- trigger of users 1
CREATE OR ALTER TRIGGER ficus_user_0_i ON [users] AFTER INSERT AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM inserted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'user', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- trigger of users 2
CREATE OR ALTER TRIGGER ficus_user_0_u ON [users] AFTER UPDATE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM inserted AS r WHERE r.id IS NOT NULL
    UNION SELECT CONVERT(nvarchar(512), r.id) FROM deleted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'user', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- trigger of users 3
CREATE OR ALTER TRIGGER ficus_user_0_d ON [users] AFTER DELETE AS
BEGIN
  SET NOCOUNT ON;
  IF SESSION_CONTEXT(N'ficus.origin') IS NOT NULL RETURN;
  DECLARE @keys TABLE (k nvarchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL);
  INSERT INTO @keys (k) SELECT CONVERT(nvarchar(512), r.id) FROM deleted AS r WHERE r.id IS NOT NULL;
  IF NOT EXISTS (SELECT 1 FROM @keys) RETURN;
  INSERT INTO ficus_changelog (entity, k, write_id)
    SELECT DISTINCT N'user', k, CONVERT(nvarchar(36), SESSION_CONTEXT(N'ficus.write_id')) FROM @keys;
END

-- drop of triggers 1
DROP TRIGGER IF EXISTS ficus_account_0_i

-- drop of triggers 2
DROP TRIGGER IF EXISTS ficus_account_0_u

-- drop of triggers 3
DROP TRIGGER IF EXISTS ficus_account_0_d

-- drop of a trigger by its name 1
DROP TRIGGER IF EXISTS [ficus_account_0_i]

-- marks of an applier 1
EXEC sp_set_session_context @key = N'ficus.origin', @value = N'o''rigin'

-- marks of an applier 2
EXEC sp_set_session_context @key = N'ficus.epoch', @value = NULL

-- marks of an applier 3
EXEC sp_set_session_context @key = N'ficus.write_id', @value = NULL

-- marks of a facade 1
EXEC sp_set_session_context @key = N'ficus.origin', @value = NULL

-- marks of a facade 2
EXEC sp_set_session_context @key = N'ficus.epoch', @value = 7

-- marks of a facade 3
EXEC sp_set_session_context @key = N'ficus.write_id', @value = N'w1'

-- marks cleared 1
EXEC sp_set_session_context @key = N'ficus.origin', @value = NULL

-- marks cleared 2
EXEC sp_set_session_context @key = N'ficus.epoch', @value = NULL

-- marks cleared 3
EXEC sp_set_session_context @key = N'ficus.write_id', @value = NULL

-- session 1
SET XACT_ABORT OFF

-- session 2
SET DATEFORMAT ymd

-- session 3
SET ANSI_NULLS ON

-- session 4
SET QUOTED_IDENTIFIER ON

-- session 5
SET TRANSACTION ISOLATION LEVEL READ COMMITTED

-- transaction 1
BEGIN TRANSACTION

-- trigger names 1
SELECT name, OBJECT_NAME(parent_id), 1 - is_disabled FROM sys.triggers WHERE name LIKE 'ficus\_%' ESCAPE '\'

-- fence seal 1
UPDATE ficus_fence SET writable = 0, epoch = ? WHERE grp = ? AND epoch < ?

-- fence open 1
UPDATE ficus_fence SET writable = 1, epoch = ?, opened = ? WHERE grp = ? AND epoch < ?

-- fence read 1
SELECT writable, epoch FROM ficus_fence WHERE grp = ?

-- fence hold 1
SELECT writable, opened FROM ficus_fence WITH (HOLDLOCK, ROWLOCK) WHERE grp = ?

-- fence openings 1
SELECT grp, opened FROM ficus_fence WHERE opened > 0

-- fence init 1
MERGE INTO ficus_fence WITH (HOLDLOCK) AS t USING (VALUES (?, ?, ?)) AS s (grp, writable, epoch) ON t.grp = s.grp WHEN NOT MATCHED THEN INSERT (grp, writable, epoch) VALUES (s.grp, s.writable, s.epoch);

-- session id 1
SELECT @@SPID

-- changelog read 1
DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION(); SELECT CAST(rv AS bigint), entity, k, write_id, at_us FROM ficus_changelog WHERE rv > CAST(CAST(? AS bigint) AS binary(8)) AND rv < @open ORDER BY rv OFFSET 0 ROWS FETCH NEXT CAST(? AS bigint) ROWS ONLY

-- changelog max 1
DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION(); SELECT COALESCE(CAST(MAX(rv) AS bigint), 0) FROM ficus_changelog WHERE rv < @open

-- changelog trim 1
DELETE FROM ficus_changelog WHERE rv <= CAST(CAST(? AS bigint) AS binary(8))

-- changelog marker 1
INSERT INTO ficus_changelog (entity, k) VALUES ('', ?)

-- columns 1
SELECT c.name, CONCAT(TYPE_NAME(c.user_type_id), '(', c.max_length, ',', c.precision, ',', c.scale, ')') FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(?) ORDER BY c.column_id

-- indexes 1
SELECT i.name, i.is_unique, c.name, 1 - c.is_nullable FROM sys.indexes AS i JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id AND x.is_included_column = 0 JOIN sys.columns AS c ON c.object_id = i.object_id AND c.column_id = x.column_id WHERE i.object_id = OBJECT_ID(?) AND i.has_filter = 0 AND i.is_disabled = 0 AND i.type IN (1, 2) ORDER BY i.name, x.key_ordinal

-- now 1
SELECT DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME())

-- lock timeout 1
SET LOCK_TIMEOUT 5000

-- holders 1
SELECT DISTINCT s.session_id, CONCAT('session ', s.session_id, ' ', s.login_name, '@', COALESCE(s.host_name, '?'), ', ', s.status, ', last request ended ', CONVERT(varchar(19), s.last_request_end_time, 120)) FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.blocking_session_id WHERE r.session_id = 51

-- end of a session 1
KILL 51

-- page 1
SELECT t.c, t.c, CONVERT(varchar(50), t.c, 2), CONVERT(varchar(40), t.c, 3), CONVERT(varchar(5), t.c), CONVERT(varchar(10), t.c, 23), CONVERT(varchar(16), t.c, 121), CONVERT(varchar(34), t.c, 121), LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), t.c), 2)), t.c FROM [crm].[accounts] AS t WITH (UPDLOCK, HOLDLOCK) ORDER BY t.a DESC, t.b OFFSET 40 ROWS FETCH NEXT 20 ROWS ONLY

-- match 1
SELECT 1 FROM accounts WHERE name = ? COLLATE Latin1_General_100_BIN2 AND name <> ? COLLATE Latin1_General_100_BIN2 AND name < ? COLLATE Latin1_General_100_BIN2 AND name <= ? COLLATE Latin1_General_100_BIN2 AND name > ? COLLATE Latin1_General_100_BIN2 AND name >= ? COLLATE Latin1_General_100_BIN2 AND name LIKE REPLACE(?, '[', '\[') COLLATE Latin1_General_100_BIN2 ESCAPE '\' AND name NOT LIKE REPLACE(?, '[', '\[') COLLATE Latin1_General_100_BIN2 ESCAPE '\'

-- match without case 1
SELECT 1 FROM accounts WHERE name = ? AND name <> ? AND name < ? AND name <= ? AND name > ? AND name >= ? AND name LIKE REPLACE(?, '[', '\[') ESCAPE '\' AND name NOT LIKE REPLACE(?, '[', '\[') ESCAPE '\'

-- composite key 1
SELECT CONVERT(nvarchar(512), a) + NCHAR(31) + CONVERT(nvarchar(512), b) FROM accounts

-- types 1
CREATE TABLE kinds (c0 nvarchar(6), c1 int, c2 decimal(18,2), c3 float(53), c4 bit, c5 date, c6 time(6), c7 datetime2(6), c8 varbinary(max), c9 nvarchar(max), whole nvarchar(max), big bigint)

-- upsert 1
MERGE INTO [links] WITH (HOLDLOCK) AS t USING (VALUES (?, ?, ?, CONVERT(varbinary(max), ?, 2), ?, ?)) AS s ([a], [b], [text], [bytes], [seen], [price]) ON t.[a] = s.[a] AND t.[b] = s.[b] WHEN MATCHED THEN UPDATE SET [text] = s.[text], [bytes] = s.[bytes], [seen] = s.[seen], [price] = s.[price] WHEN NOT MATCHED THEN INSERT ([a], [b], [text], [bytes], [seen], [price]) VALUES (s.[a], s.[b], s.[text], s.[bytes], s.[seen], s.[price]);

-- upsert of a key 1
MERGE INTO [links] WITH (HOLDLOCK) AS t USING (VALUES (?, ?)) AS s ([a], [b]) ON t.[a] = s.[a] AND t.[b] = s.[b] WHEN NOT MATCHED THEN INSERT ([a], [b]) VALUES (s.[a], s.[b]);

