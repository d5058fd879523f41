#include "store/postgres/schema.h"

namespace sortie::store::postgres {

namespace schema {

const char kTables[] = R"sql(
CREATE TABLE schema_version(version bigint NOT NULL);
INSERT INTO schema_version VALUES(0);
CREATE TABLE store_state(
  id bigint PRIMARY KEY CHECK (id = 1), last_execution_no bigint NOT NULL, last_log_sequence bigint NOT NULL);
INSERT INTO store_state VALUES(1, 0, 0);
CREATE TABLE node(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address bytea NOT NULL, generation bigint NOT NULL,
  group_no bigint NOT NULL, lease_until timestamptz NOT NULL) WITH (fillfactor = 20);
CREATE TABLE shard(no bigint PRIMARY KEY, epoch bigint NOT NULL, node bigint) WITH (fillfactor = 20);
CREATE TABLE word(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value bytea NOT NULL UNIQUE);
CREATE TABLE execution(
  no bigint PRIMARY KEY, started_at bigint NOT NULL, stopped_at bigint NOT NULL, machine bigint NOT NULL,
  status smallint NOT NULL, arn bytea NOT NULL, name bytea NOT NULL, image bytea NOT NULL);
CREATE INDEX execution_by_machine ON execution(machine, status, no);
CREATE INDEX execution_by_status ON execution(status, no);
CREATE INDEX execution_by_stop ON execution(stopped_at, no) WHERE status <> 0;
CREATE INDEX execution_by_arn ON execution(arn);
CREATE TABLE execution_count(
  machine bigint NOT NULL, status smallint NOT NULL, n bigint NOT NULL, PRIMARY KEY(machine, status))
  WITH (fillfactor = 50);
CREATE TABLE frame(
  execution bigint NOT NULL, frame bigint NOT NULL, wake_at bigint NOT NULL, image bytea NOT NULL,
  PRIMARY KEY(execution, frame))
  WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE history(
  execution bigint NOT NULL, first_event_id bigint NOT NULL, count integer NOT NULL, body bytea NOT NULL,
  PRIMARY KEY(execution, first_event_id));
CREATE TABLE payload(
  execution bigint NOT NULL, payload bigint NOT NULL, body bytea NOT NULL, PRIMARY KEY(execution, payload));
CREATE TABLE document(
  kind bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY(kind, key))
  WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE log(
  sequence bigint PRIMARY KEY, time bigint NOT NULL, stream bytea NOT NULL, source bytea NOT NULL,
  type bytea NOT NULL, subject bytea NOT NULL, body bytea NOT NULL);
CREATE INDEX log_by_stream ON log(stream, sequence);
CREATE INDEX log_by_time ON log(stream, time);
CREATE INDEX log_by_source ON log(stream, substring(source for 200), sequence);
CREATE INDEX log_by_type ON log(stream, substring(type for 200), sequence);
CREATE INDEX log_by_subject ON log(stream, substring(subject for 200), sequence) WHERE subject <> '';

CREATE FUNCTION fence(
  this_node bigint, this_generation bigint, this_group bigint, lease_ms bigint, shards bigint[], epochs bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  held bigint;
BEGIN
  UPDATE node SET group_no = this_group, lease_until = clock_timestamp() + lease_ms * interval '1 millisecond'
    WHERE id = this_node AND generation = this_generation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this node is not registered any more' USING ERRCODE = 'SF003';
  END IF;
  SELECT count(*) INTO held FROM (
    SELECT 1 FROM shard JOIN unnest(shards, epochs) AS wanted(no, epoch) USING (no, epoch)
    ORDER BY no FOR SHARE OF shard) AS locked;
  IF held <> cardinality(shards) THEN
    RAISE EXCEPTION 'a shard has another epoch' USING ERRCODE = 'SF001';
  END IF;
END $$;

-- The new epoch; or 0, who holds the shard, and for how many milliseconds more unless it renews its lease. A lease
-- that ran out counts for grace_ms longer.
CREATE FUNCTION acquire(this_shard bigint, this_node bigint, grace_ms bigint)
RETURNS TABLE(new_epoch bigint, holder bytea, left_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
  owner bigint;
BEGIN
  INSERT INTO shard(no, epoch) VALUES(this_shard, 0) ON CONFLICT DO NOTHING;
  SELECT shard.node INTO owner FROM shard WHERE no = this_shard FOR UPDATE;
  SELECT 0, address, greatest(ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000), 1)
    INTO new_epoch, holder, left_ms
    FROM node WHERE id = owner AND id <> this_node
      AND lease_until > clock_timestamp() - grace_ms * interval '1 millisecond';
  IF FOUND THEN
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE shard SET epoch = epoch + 1, node = this_node WHERE no = this_shard
    RETURNING epoch, '\x'::bytea, 0 INTO new_epoch, holder, left_ms;
  RETURN NEXT;
END $$;
)sql";

// Several nodes work: which of them do, and an index for walking one shard's frames.
const char kShards[] = R"sql(
ALTER TABLE node ADD COLUMN works boolean NOT NULL DEFAULT false;
CREATE INDEX frame_by_shard ON frame((execution % 16), execution, frame);

-- What nodes add to execution_count, a row for each that writes: nodes would wait for each other's commits
-- otherwise. The older table stays what it was, for a node of version 1 that still works.
CREATE TABLE execution_change(
  machine bigint NOT NULL, status smallint NOT NULL, slot bigint NOT NULL, n bigint NOT NULL,
  PRIMARY KEY(machine, status, slot)) WITH (fillfactor = 50);

-- Version 1 knew one shard only: a node of that version that stands by must not take shard 0 any more, where it
-- would carry on with every execution, so `acquire` has another shape.
DROP FUNCTION acquire(bigint, bigint, bigint);
-- The new epoch; or 0, who holds the shard, and for how many milliseconds more unless it renews its lease. A
-- lease that ran out counts for grace_ms longer. A node whose shard is taken for that reason is dead as a whole:
-- it is no node any more, and nothing of what it owned can be written by it. The order of locks is the fence's.
CREATE FUNCTION acquire(this_shard bigint, this_node bigint, grace_ms bigint, shard_count bigint)
RETURNS TABLE(new_epoch bigint, holder bytea, left_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
  owner bigint;
  owner_now bigint;
BEGIN
  IF shard_count <> 16 THEN
    RAISE EXCEPTION 'this database is divided into 16 shards';
  END IF;
  INSERT INTO shard(no, epoch) VALUES(this_shard, 0) ON CONFLICT DO NOTHING;
  SELECT shard.node INTO owner FROM shard WHERE no = this_shard;
  DELETE FROM node WHERE id = owner AND id <> this_node
    AND lease_until <= clock_timestamp() - grace_ms * interval '1 millisecond';
  SELECT shard.node INTO owner_now FROM shard WHERE no = this_shard FOR UPDATE;
  SELECT 0, address, greatest(ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000), 1)
    INTO new_epoch, holder, left_ms FROM node WHERE id = owner_now AND id <> this_node;
  IF FOUND THEN
    RETURN NEXT;
    RETURN;
  END IF;
  UPDATE shard SET epoch = epoch + 1, node = this_node WHERE no = this_shard
    RETURNING epoch, '\x'::bytea, 0 INTO new_epoch, holder, left_ms;
  RETURN NEXT;
END $$;

CREATE OR REPLACE FUNCTION fence(
  this_node bigint, this_generation bigint, this_group bigint, lease_ms bigint, shards bigint[], epochs bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  held bigint;
BEGIN
  UPDATE node SET group_no = this_group, lease_until = clock_timestamp() + lease_ms * interval '1 millisecond'
    WHERE id = this_node AND generation = this_generation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this node is not registered any more' USING ERRCODE = 'SF003';
  END IF;
  SELECT count(*) INTO held FROM (
    SELECT 1 FROM shard JOIN unnest(shards, epochs) AS wanted(no, epoch) USING (no, epoch)
    WHERE shard.node = this_node ORDER BY no FOR SHARE OF shard) AS locked;
  IF held <> cardinality(shards) THEN
    RAISE EXCEPTION 'a shard has another epoch' USING ERRCODE = 'SF001';
  END IF;
END $$;
)sql";

// kMigrations[v] brings a schema of version v to v + 1. Version 0 is an empty one.
const char* const kMigrations[kSchemaVersion] = {kTables, kShards};

Result<std::int64_t> find_version(Connection& connection) {
  SORTIE_TRY(Answer table,
             connection.query_once("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND"
                                   " tablename = 'schema_version'",
                                   {}));
  if (table.integer(0, 0) == 0) return 0;
  SORTIE_TRY(Answer version, connection.query_once("SELECT max(version) FROM schema_version", {}));
  return version.integer(0, 0);
}

Status migrate(Connection& connection, const std::string& schema) {
  // One node at a time; the others find everything done.
  SORTIE_TRY_STATUS(connection.execute("SELECT pg_advisory_xact_lock(1399812724)"));
  SORTIE_TRY(Answer known, connection.query_once(
                               "SELECT count(*) FROM pg_namespace WHERE nspname = convert_from($1, 'UTF8')",
                               Params().add_bytes(schema)));
  // Asked first: making what is there needs a right that a careful administrator does not give.
  if (known.integer(0, 0) == 0) SORTIE_TRY_STATUS(connection.execute("CREATE SCHEMA " + schema));
  SORTIE_TRY(std::int64_t version, find_version(connection));
  if (version > kSchemaVersion) {
    return Error{"StoreTooNew",
                 "the database was written by a later version of sortie (format " + std::to_string(version) +
                     ", this program knows " + std::to_string(kSchemaVersion) + ")",
                 "", "run the later version, or restore a backup made by this one"};
  }
  for (; version < kSchemaVersion; ++version) {
    SORTIE_TRY_STATUS(connection.execute(kMigrations[version]));
    SORTIE_TRY_STATUS(
        connection.execute("UPDATE schema_version SET version = " + std::to_string(version + 1)));
  }
  return {};
}

}  // namespace schema

Status prepare_schema(Connection& connection, const std::string& schema) {
  SORTIE_TRY_STATUS(connection.execute("BEGIN"));
  Status done = schema::migrate(connection, schema);
  if (done) return connection.execute("COMMIT");
  static_cast<void>(connection.execute("ROLLBACK"));
  return done;
}

}  // namespace sortie::store::postgres
