#include "store/postgres/group.h"

namespace sortie::store::postgres {

namespace group {

const char kWriteExecutions[] =
    "WITH fresh AS (SELECT no, started_at, stopped_at, machine, status::smallint, arn, name, image FROM"
    "  unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[],"
    "  $8::bytea[]) AS t(no, started_at, stopped_at, machine, status, arn, name, image)),"
    " old AS (SELECT no, machine, status FROM execution WHERE no = ANY($1)),"
    " written AS (INSERT INTO execution(no, started_at, stopped_at, machine, status, arn, name, image)"
    "  SELECT * FROM fresh ON CONFLICT(no) DO UPDATE SET started_at = excluded.started_at,"
    "  stopped_at = excluded.stopped_at, machine = excluded.machine, status = excluded.status,"
    "  arn = excluded.arn, name = excluded.name, image = excluded.image),"
    " change AS (SELECT machine, status, sum(n) AS n FROM (SELECT machine, status, 1 AS n FROM fresh"
    "  UNION ALL SELECT machine, status, -1 FROM old) AS each GROUP BY machine, status HAVING sum(n) <> 0"
    "  ORDER BY machine, status)"
    " INSERT INTO execution_change(machine, status, n, slot) SELECT machine, status, n, $9 FROM change"
    " ON CONFLICT(machine, status, slot) DO UPDATE SET n = execution_change.n + excluded.n";
const char kClearFrames[] = "DELETE FROM frame WHERE execution = ANY($1::bigint[])";
const char kDeleteFrames[] =
    "DELETE FROM frame USING unnest($1::bigint[], $2::bigint[]) AS gone(execution, frame)"
    " WHERE frame.execution = gone.execution AND frame.frame = gone.frame";
const char kWriteFrames[] =
    "INSERT INTO frame SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])"
    " ON CONFLICT(execution, frame) DO UPDATE SET wake_at = excluded.wake_at, image = excluded.image";
const char kWritePayloads[] =
    "INSERT INTO payload SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])"
    " ON CONFLICT(execution, payload) DO UPDATE SET body = excluded.body";
const char kWriteHistory[] =
    "INSERT INTO history SELECT execution, first_event_id, count::integer, body FROM"
    " unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[]) AS t(execution, first_event_id, count, "
    "body)"
    " ON CONFLICT(execution, first_event_id) DO UPDATE SET count = excluded.count, body = excluded.body";
const char kWriteDocuments[] =
    "INSERT INTO document SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[])"
    " ON CONFLICT(kind, key) DO UPDATE SET value = excluded.value";
const char kDeleteDocuments[] =
    "DELETE FROM document USING unnest($1::bytea[], $2::bytea[]) AS gone(kind, key)"
    " WHERE document.kind = gone.kind AND document.key = gone.key";
const char kWriteLog[] =
    "WITH base AS (UPDATE store_state SET last_log_sequence = last_log_sequence + cardinality($1::bigint[])"
    "  RETURNING last_log_sequence - cardinality($1::bigint[]) AS last)"
    " INSERT INTO log(sequence, time, stream, source, type, subject, body)"
    " SELECT base.last + position, time, stream, source, type, subject, body FROM base,"
    "  unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[]) WITH ORDINALITY"
    "  AS t(time, stream, source, type, subject, body, position)";

std::int64_t db_int(std::uint64_t value) { return static_cast<std::int64_t>(value); }

using Numbers = std::vector<std::int64_t>;
using Texts = std::vector<std::string_view>;

}  // namespace group

void Group::add(const Batch& batch) {
  for (const ExecutionRow& row : batch.executions) executions_[row.no] = &row;
  for (const FrameRow& row : batch.frames) frames_[row.key] = &row;
  for (const FrameKey& key : batch.frames_gone) frames_[key] = nullptr;
  for (const PayloadRow& row : batch.payloads) payloads_[{row.execution, row.payload}] = &row;
  for (const HistoryChunk& chunk : batch.history) history_[{chunk.execution, chunk.first_event_id}] = &chunk;
  for (ExecutionNo no : batch.ended) {
    frames_.erase(frames_.lower_bound({no, 0}), frames_.lower_bound({no + 1, 0}));
    frames_cleared_.insert(no);
  }
  for (const Document& document : batch.documents) documents_[{document.kind, document.key}] = &document;
  for (const auto& [kind, key] : batch.documents_gone) documents_[{kind, key}] = nullptr;
  for (const LogLine& line : batch.log) log_.push_back(&line);
}

bool Group::empty() const {
  return executions_.empty() && frames_cleared_.empty() && frames_.empty() && payloads_.empty() &&
         history_.empty() && documents_.empty() && log_.empty();
}

std::set<std::string_view> Group::words() const {
  std::set<std::string_view> words;
  for (const auto& [no, row] : executions_) words.insert(row->state_machine_arn);
  return words;
}

std::vector<Statement> Group::statements(const std::unordered_map<std::string, WordId>& words,
                                         std::int64_t slot) const {
  std::vector<Statement> out;
  add_executions(out, words, slot);
  add_frames(out);
  add_history(out);
  add_documents(out);
  add_log(out);  // Last: what it locks is wanted by every node.
  return out;
}

void Group::add_executions(std::vector<Statement>& out, const std::unordered_map<std::string, WordId>& words,
                           std::int64_t slot) const {
  if (executions_.empty()) return;
  group::Numbers numbers, started, stopped, machines, statuses;
  group::Texts arns, names, images;
  for (const auto& [no, row] : executions_) {
    numbers.push_back(group::db_int(no));
    started.push_back(row->started_at.ms);
    stopped.push_back(row->stopped_at.ms);
    machines.push_back(words.at(row->state_machine_arn));
    statuses.push_back(static_cast<std::int64_t>(row->status));
    arns.push_back(row->arn);
    names.push_back(row->name);
    images.push_back(row->image);
  }
  Params params;
  params.add_array(numbers).add_array(started).add_array(stopped).add_array(machines).add_array(statuses);
  params.add_bytes_array(arns).add_bytes_array(names).add_bytes_array(images).add(slot);
  out.push_back({group::kWriteExecutions, std::move(params)});
}

void Group::add_frames(std::vector<Statement>& out) const {
  if (!frames_cleared_.empty()) {
    group::Numbers cleared;
    for (ExecutionNo no : frames_cleared_) cleared.push_back(group::db_int(no));
    out.push_back({group::kClearFrames, Params().add_array(cleared)});
  }
  group::Numbers executions, numbers, wakes, gone_executions, gone_numbers;
  group::Texts images;
  for (const auto& [key, row] : frames_) {
    if (row != nullptr) {
      executions.push_back(group::db_int(key.execution));
      numbers.push_back(key.frame);
      wakes.push_back(row->wake_at.ms);
      images.push_back(row->image);
    } else if (!frames_cleared_.contains(key.execution)) {
      gone_executions.push_back(group::db_int(key.execution));
      gone_numbers.push_back(key.frame);
    }
  }
  if (!gone_numbers.empty()) {
    out.push_back({group::kDeleteFrames, Params().add_array(gone_executions).add_array(gone_numbers)});
  }
  if (!numbers.empty()) {
    Params params;
    params.add_array(executions).add_array(numbers).add_array(wakes).add_bytes_array(images);
    out.push_back({group::kWriteFrames, std::move(params)});
  }
}

void Group::add_history(std::vector<Statement>& out) const {
  if (!payloads_.empty()) {
    group::Numbers executions, numbers;
    group::Texts bodies;
    for (const auto& [key, row] : payloads_) {
      executions.push_back(group::db_int(key.first));
      numbers.push_back(key.second);
      bodies.push_back(row->body);
    }
    Params params;
    params.add_array(executions).add_array(numbers).add_bytes_array(bodies);
    out.push_back({group::kWritePayloads, std::move(params)});
  }
  if (history_.empty()) return;
  group::Numbers executions, first, counts;
  group::Texts bodies;
  for (const auto& [key, chunk] : history_) {
    executions.push_back(group::db_int(key.first));
    first.push_back(key.second);
    counts.push_back(chunk->count);
    bodies.push_back(chunk->body);
  }
  Params params;
  params.add_array(executions).add_array(first).add_array(counts).add_bytes_array(bodies);
  out.push_back({group::kWriteHistory, std::move(params)});
}

void Group::add_documents(std::vector<Statement>& out) const {
  group::Texts kinds, keys, values, gone_kinds, gone_keys;
  for (const auto& [key, document] : documents_) {
    (document != nullptr ? kinds : gone_kinds).push_back(key.first);
    (document != nullptr ? keys : gone_keys).push_back(key.second);
    if (document != nullptr) values.push_back(document->value);
  }
  if (!gone_keys.empty()) {
    out.push_back({group::kDeleteDocuments, Params().add_bytes_array(gone_kinds).add_bytes_array(gone_keys)});
  }
  if (!keys.empty()) {
    Params params;
    params.add_bytes_array(kinds).add_bytes_array(keys).add_bytes_array(values);
    out.push_back({group::kWriteDocuments, std::move(params)});
  }
}

void Group::add_log(std::vector<Statement>& out) const {
  if (log_.empty()) return;
  group::Numbers times;
  group::Texts streams, sources, types, subjects, bodies;
  for (const LogLine* line : log_) {
    times.push_back(line->time.ms);
    streams.push_back(line->stream);
    sources.push_back(line->source);
    types.push_back(line->type);
    subjects.push_back(line->subject);
    bodies.push_back(line->body);
  }
  Params params;
  params.add_array(times).add_bytes_array(streams).add_bytes_array(sources).add_bytes_array(types);
  params.add_bytes_array(subjects).add_bytes_array(bodies);
  out.push_back({group::kWriteLog, std::move(params)});
}

}  // namespace sortie::store::postgres
