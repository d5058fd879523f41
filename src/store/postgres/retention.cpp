// Reader's deleting: in transactions of its own beside the writer's, so that nobody who calls it waits for a
// database that the writer waits for.
#include <algorithm>

#include "store/postgres/reader.h"

namespace sortie::store::postgres {

namespace retention {

constexpr int kTriesMax = 5;

std::int64_t limit_of(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, INT32_MAX));
}

}  // namespace retention

// A statement that may lose against the writer.
Result<Answer> Reader::repeat(const char* sql, const Params& params) {
  Result<Answer> answer = ask(sql, params);
  for (int tries = 1; tries < retention::kTriesMax && !answer && is_conflict(answer.error()); ++tries) {
    answer = ask(sql, params);
  }
  return answer;
}

Result<std::size_t> Reader::delete_ended_before(Timestamp time, std::size_t limit) {
  SORTIE_TRY(
      Answer answer,
      repeat(
          "WITH gone AS (SELECT no, machine, status FROM execution WHERE status <> 0 AND stopped_at < $1"
          "  ORDER BY stopped_at, no LIMIT $2 FOR UPDATE SKIP LOCKED),"
          " rows AS (DELETE FROM execution WHERE no = ANY(ARRAY(SELECT no FROM gone))),"
          " frames AS (DELETE FROM frame WHERE execution = ANY(ARRAY(SELECT no FROM gone))),"
          " events AS (DELETE FROM history WHERE execution = ANY(ARRAY(SELECT no FROM gone))),"
          " payloads AS (DELETE FROM payload WHERE execution = ANY(ARRAY(SELECT no FROM gone))),"
          " counts AS (INSERT INTO execution_change(machine, status, n, slot) SELECT machine, status, "
          "-count(*), -1"
          "  FROM gone GROUP BY machine, status ORDER BY machine, status"
          "  ON CONFLICT(machine, status, slot) DO UPDATE SET n = execution_change.n + excluded.n),"
          " state AS (UPDATE store_state SET last_execution_no ="
          "  greatest(last_execution_no, (SELECT max(no) FROM execution)) WHERE EXISTS(SELECT 1 FROM gone))"
          " SELECT count(*) FROM gone",
          Params().add(time.ms).add(retention::limit_of(limit))));
  return static_cast<std::size_t>(answer.integer(0, 0));
}

Result<std::size_t> Reader::delete_log_before(std::string_view stream, Timestamp time, std::size_t limit) {
  SORTIE_TRY(Answer answer,
             repeat("WITH gone AS (DELETE FROM log WHERE sequence = ANY(ARRAY(SELECT sequence FROM log"
                    "  WHERE stream = $1 AND time < $2 ORDER BY time, sequence LIMIT $3)) RETURNING 1)"
                    " SELECT count(*) FROM gone",
                    Params().add_bytes(stream).add(time.ms).add(retention::limit_of(limit))));
  return static_cast<std::size_t>(answer.integer(0, 0));
}

}  // namespace sortie::store::postgres
