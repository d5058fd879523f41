#include "store/postgres/reader.h"

#include <algorithm>

#include "store/matching.h"
#include "store/postgres/schema.h"
#include "store/postgres/writer.h"

namespace sortie::store::postgres {

namespace reader {

constexpr std::int64_t kReadPauseMs = 250;
constexpr std::int64_t kReadMs = 5'000;   // An event loop waits for the answer.
constexpr std::size_t kRowsMax = 10'000;  // Of one answer, whatever was asked for.

#define SORTIE_PG_EXECUTION "e.no, e.started_at, e.stopped_at, w.value, e.status, e.arn, e.name"

// The same settings as the writer's, for the same reason.
const char kPlans[] = "SET enable_seqscan TO off; SET plan_cache_mode TO force_generic_plan";

std::int64_t db_int(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX));
}

ExecutionRow row_of(const Answer& answer, std::size_t at, bool with_image) {
  ExecutionRow row;
  row.no = static_cast<ExecutionNo>(answer.integer(at, 0));
  row.started_at = {answer.integer(at, 1)};
  row.stopped_at = {answer.integer(at, 2)};
  row.state_machine_arn = answer.bytes(at, 3);
  row.status = static_cast<ExecutionStatus>(answer.integer(at, 4));
  row.arn = answer.bytes(at, 5);
  row.name = answer.bytes(at, 6);
  if (with_image) row.image = answer.bytes(at, 7);
  return row;
}

std::vector<FrameRow> frames_of(const Answer& answer) {
  std::vector<FrameRow> rows;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    FrameKey key{static_cast<ExecutionNo>(answer.integer(i, 0)), static_cast<FrameNo>(answer.integer(i, 1))};
    rows.push_back({key, {answer.integer(i, 2)}, std::string(answer.bytes(i, 3))});
  }
  return rows;
}

// Conditions and their parameters, for statements that are made for one query.
class Conditions {
 public:
  std::string number(std::int64_t value) {
    params_.add(value);
    return "$" + std::to_string(params_.size());
  }
  std::string text(std::string_view value) {
    params_.add_bytes(value);
    return "$" + std::to_string(params_.size());
  }
  const Params& params() const { return params_; }

 private:
  Params params_;
};

// A pattern of LogQuery over an indexed text; the index holds the first kIndexedBytes.
std::string log_condition(Conditions& conditions, const std::string& column, std::string_view pattern) {
  if (pattern.empty()) return "";
  bool prefix = pattern.back() == '*';
  if (prefix) pattern.remove_suffix(1);
  if (prefix && pattern.empty()) return "";
  std::string wanted = conditions.text(pattern);
  if (prefix) {
    return " AND substring(" + column + " for " + std::to_string(pattern.size()) + ") = " + wanted;
  }
  std::string head = conditions.text(pattern.substr(0, kIndexedBytes));
  std::string condition =
      " AND substring(" + column + " for 200) = " + head + " AND " + column + " = " + wanted;
  return column == "subject" ? condition + " AND subject <> ''" : condition;
}

}  // namespace reader

Reader::Reader(const PostgresOptions& options) : options_(options), connections_left_(options.readers_max) {}

Reader::Lease::~Lease() {
  if (reader_ == nullptr) return;
  std::lock_guard lock(reader_->mutex_);
  if (connection_ != nullptr && !connection_->is_broken()) {
    reader_->idle_.push_back(std::move(connection_));
  } else {
    ++reader_->connections_left_;
  }
  reader_->returned_.notify_one();
}

Result<std::unique_ptr<Connection>> Reader::open() {
  {
    std::lock_guard lock(mutex_);
    if (monotonic_ms() < refused_until_ms_) return refusal_;
  }
  std::int64_t began = monotonic_ms();
  ConnectionOptions wanted = connection_options(options_, "reader");
  wanted.answer_ms_max = reader::kReadMs;
  auto opened = Connection::open(wanted);
  if (opened) {
    Status set = (*opened)->execute(reader::kPlans);
    if (set) return opened;
    opened = set.error();
  }
  std::lock_guard lock(mutex_);
  // One that hangs instead of refusing costs its callers more: it is left alone for longer.
  std::int64_t now = monotonic_ms();
  refused_until_ms_ = now + std::max(reader::kReadPauseMs, now - began);
  refusal_ = opened.error();
  return opened;
}

Result<Reader::Lease> Reader::lease() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return !idle_.empty() || connections_left_ > 0; });
  if (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    return Lease(*this, std::move(connection));
  }
  --connections_left_;
  lock.unlock();
  Lease leased(*this, nullptr);
  SORTIE_TRY(leased.connection(), open());
  return leased;
}

template <typename Run>
Result<Answer> Reader::run(Run run) {
  SORTIE_TRY(Lease db, lease());
  Result<Answer> answer = run(*db);
  if (answer || !db->is_broken()) return answer;
  // The server was away for a moment, or closed what was idle for long: the other connections are no better.
  std::vector<std::unique_ptr<Connection>> useless;
  {
    std::lock_guard lock(mutex_);
    useless.swap(idle_);
    connections_left_ += useless.size();
  }
  useless.clear();
  SORTIE_TRY(db.connection(), open());
  return run(*db);
}

Result<Answer> Reader::ask(const char* sql, const Params& params) {
  return run([&](Connection& db) { return db.query(sql, params); });
}

Result<Answer> Reader::ask_once(const std::string& sql, const Params& params) {
  return run([&](Connection& db) { return db.query_once(sql, params); });
}

Result<std::optional<ExecutionRow>> Reader::find_execution(std::string_view arn) {
  SORTIE_TRY(Answer answer,
             ask("SELECT " SORTIE_PG_EXECUTION ", e.image FROM execution e JOIN word w ON w.id = e.machine"
                 " WHERE e.arn = $1 ORDER BY e.no DESC LIMIT 1",
                 Params().add_bytes(arn)));
  return answer.rows() == 0 ? std::nullopt : std::optional(reader::row_of(answer, 0, true));
}

Result<std::optional<ExecutionRow>> Reader::find_execution(ExecutionNo no) {
  SORTIE_TRY(Answer answer, ask("SELECT " SORTIE_PG_EXECUTION
                                ", e.image FROM execution e JOIN word w ON w.id = e.machine WHERE e.no = $1",
                                Params().add(reader::db_int(no))));
  return answer.rows() == 0 ? std::nullopt : std::optional(reader::row_of(answer, 0, true));
}

// One branch a status, each in the order of its index; the newest of them are the answer.
Result<std::vector<ExecutionRow>> Reader::list_executions(const ExecutionQuery& query) {
  reader::Conditions conditions;
  std::string limit = conditions.number(reader::db_int(std::min(query.limit, reader::kRowsMax)));
  std::string where = "no < " + conditions.number(reader::db_int(query.before));
  if (!query.name_prefix.empty()) {
    where += " AND substring(name for " + std::to_string(query.name_prefix.size()) +
             ") = " + conditions.text(query.name_prefix);
  }
  if (query.started_from.ms != INT64_MIN) {
    where += " AND started_at >= " + conditions.number(query.started_from.ms);
  }
  if (query.started_before != kNever)
    where += " AND started_at < " + conditions.number(query.started_before.ms);
  std::string from = "execution";
  if (!query.state_machine_arn.empty() || query.status) {
    std::string machine;
    if (!query.state_machine_arn.empty()) {
      machine = "machine = (SELECT id FROM word WHERE value = " + conditions.text(query.state_machine_arn) +
                ") AND ";
    }
    std::string statuses = query.status ? std::to_string(static_cast<int>(*query.status)) : "0,1,2,3,4";
    from = "unnest('{" + statuses + "}'::smallint[]) AS s(each), LATERAL (SELECT * FROM execution WHERE " +
           machine + "status = s.each AND " + where + " ORDER BY no DESC LIMIT " + limit + ") AS x";
    where = "true";
  }
  SORTIE_TRY(Answer answer, ask_once("SELECT " SORTIE_PG_EXECUTION " FROM (SELECT * FROM " + from +
                                         " WHERE " + where + " ORDER BY no DESC LIMIT " + limit +
                                         ") AS e JOIN word w ON w.id = e.machine ORDER BY e.no DESC",
                                     conditions.params()));
  std::vector<ExecutionRow> rows;
  for (std::size_t i = 0; i < answer.rows(); ++i) rows.push_back(reader::row_of(answer, i, false));
  return rows;
}

Result<StatusCounts> Reader::count_executions(std::string_view state_machine_arn) {
  SORTIE_TRY(
      Answer answer,
      ask("SELECT status, sum(n)::bigint FROM (SELECT machine, status, n FROM execution_count UNION ALL"
          " SELECT machine, status, n FROM execution_change) AS each WHERE $1 = '' OR machine ="
          " (SELECT id FROM word WHERE value = $1) GROUP BY status",
          Params().add_bytes(state_machine_arn)));
  StatusCounts counts;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    counts.by_status[answer.integer(i, 0) % 5] =
        static_cast<std::uint64_t>(std::max<std::int64_t>(answer.integer(i, 1), 0));
  }
  return counts;
}

Result<std::map<std::string, std::uint64_t>> Reader::count_running() {
  SORTIE_TRY(
      Answer answer,
      ask("SELECT w.value, sum(n)::bigint FROM (SELECT machine, status, n FROM execution_count UNION ALL"
          " SELECT machine, status, n FROM execution_change) AS each JOIN word w ON w.id = machine"
          " WHERE status = 0 GROUP BY w.value HAVING sum(n) > 0",
          {}));
  std::map<std::string, std::uint64_t> running;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    running.emplace(answer.bytes(i, 0), static_cast<std::uint64_t>(answer.integer(i, 1)));
  }
  return running;
}

Result<ExecutionNo> Reader::last_execution_no() {
  SORTIE_TRY(Answer answer, ask("SELECT greatest((SELECT max(no) FROM execution), last_execution_no) FROM"
                                " store_state",
                                {}));
  return static_cast<ExecutionNo>(answer.rows() == 0 ? 0 : answer.integer(0, 0));
}

Result<std::optional<FrameRow>> Reader::find_frame(FrameKey key) {
  SORTIE_TRY(Answer answer,
             ask("SELECT execution, frame, wake_at, image FROM frame WHERE execution = $1 AND frame = $2",
                 Params().add(reader::db_int(key.execution)).add(key.frame)));
  std::vector<FrameRow> rows = reader::frames_of(answer);
  return rows.empty() ? std::nullopt : std::optional(std::move(rows[0]));
}

Result<std::vector<FrameRow>> Reader::list_frames(ExecutionNo execution) {
  SORTIE_TRY(Answer answer,
             ask("SELECT execution, frame, wake_at, image FROM frame WHERE execution = $1 ORDER BY frame",
                 Params().add(reader::db_int(execution))));
  return reader::frames_of(answer);
}

Result<std::vector<FrameRow>> Reader::scan_frames(FrameKey after, std::size_t limit) {
  Params params;
  params.add(reader::db_int(after.execution)).add(after.frame);
  params.add(reader::db_int(std::min(limit, reader::kRowsMax)));
  SORTIE_TRY(Answer answer, ask("SELECT execution, frame, wake_at, image FROM frame"
                                " WHERE (execution, frame) > ($1, $2) ORDER BY execution, frame LIMIT $3",
                                params));
  return reader::frames_of(answer);
}

Result<std::vector<HistoryChunk>> Reader::load_history(ExecutionNo execution, std::int64_t first_event_id,
                                                       std::int64_t count) {
  std::int64_t last = history_range_end(first_event_id, count);
  SORTIE_TRY(Answer answer, ask("SELECT first_event_id, count, body FROM history WHERE execution = $1"
                                " AND first_event_id <= $2 AND first_event_id + count > $3"
                                " ORDER BY first_event_id",
                                Params().add(reader::db_int(execution)).add(last).add(first_event_id)));
  std::vector<HistoryChunk> chunks;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    chunks.push_back({execution, answer.integer(i, 0), static_cast<std::int32_t>(answer.integer(i, 1)),
                      std::string(answer.bytes(i, 2))});
  }
  return chunks;
}

Result<std::optional<PayloadRow>> Reader::find_payload(ExecutionNo execution, PayloadNo payload) {
  SORTIE_TRY(Answer answer, ask("SELECT body FROM payload WHERE execution = $1 AND payload = $2",
                                Params().add(reader::db_int(execution)).add(payload)));
  if (answer.rows() == 0) return std::optional<PayloadRow>();
  return std::optional(PayloadRow{execution, payload, std::string(answer.bytes(0, 0))});
}

Result<std::optional<std::string>> Reader::find_document(std::string_view kind, std::string_view key) {
  SORTIE_TRY(Answer answer, ask("SELECT value FROM document WHERE kind = $1 AND key = $2",
                                Params().add_bytes(kind).add_bytes(key)));
  return answer.rows() == 0 ? std::nullopt : std::optional(std::string(answer.bytes(0, 0)));
}

Result<std::vector<Document>> Reader::list_documents(std::string_view kind, std::string_view after_key,
                                                     std::size_t limit) {
  Params params;
  params.add_bytes(kind).add_bytes(after_key).add(reader::db_int(std::min(limit, reader::kRowsMax)));
  SORTIE_TRY(
      Answer answer,
      ask("SELECT key, value FROM document WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3", params));
  std::vector<Document> documents;
  for (std::size_t i = 0; i < answer.rows(); ++i) {
    documents.push_back(
        {std::string(kind), std::string(answer.bytes(i, 0)), std::string(answer.bytes(i, 1))});
  }
  return documents;
}

// In chunks: what the text filter drops is only known here.
Result<std::vector<LogLine>> Reader::search_log(const LogQuery& query) {
  std::vector<LogLine> lines;
  LogQuery left = query;
  while (lines.size() < query.limit) {
    std::size_t chunk =
        std::clamp<std::size_t>(query.limit - lines.size(), query.text.empty() ? 1 : 500, 2'000);
    reader::Conditions conditions;
    std::string where = "stream = " + conditions.text(query.stream) + " AND sequence > " +
                        conditions.number(reader::db_int(left.after_sequence)) + " AND sequence < " +
                        conditions.number(reader::db_int(left.before_sequence));
    where += reader::log_condition(conditions, "source", query.source);
    where += reader::log_condition(conditions, "type", query.type);
    where += reader::log_condition(conditions, "subject", query.subject);
    if (query.from.ms != INT64_MIN) where += " AND time >= " + conditions.number(query.from.ms);
    if (query.before != kNever) where += " AND time < " + conditions.number(query.before.ms);
    SORTIE_TRY(Answer answer,
               ask_once("SELECT sequence, time, stream, source, type, subject, body FROM log WHERE " + where +
                            " ORDER BY sequence " + (query.newest_first ? "DESC" : "ASC") + " LIMIT " +
                            conditions.number(reader::db_int(chunk)),
                        conditions.params()));
    for (std::size_t i = 0; i < answer.rows(); ++i) {
      LogLine line;
      line.sequence = static_cast<std::uint64_t>(answer.integer(i, 0));
      line.time = {answer.integer(i, 1)};
      line.stream = answer.bytes(i, 2);
      line.source = answer.bytes(i, 3);
      line.type = answer.bytes(i, 4);
      line.subject = answer.bytes(i, 5);
      line.body = answer.bytes(i, 6);
      (query.newest_first ? left.before_sequence : left.after_sequence) = line.sequence;
      if (lines.size() < query.limit && matches(query, line)) lines.push_back(std::move(line));
    }
    if (answer.rows() < chunk) break;
  }
  return lines;
}

}  // namespace sortie::store::postgres
