// Reader's check: every structural invariant of the tables, on one snapshot.
#include "store/postgres/reader.h"

namespace sortie::store::postgres {

namespace check {

// Each answers sentences; a damaged store need not be told to the end.
const char* const kQuestions[] = {
    "SELECT 'frame ' || f.frame || ' of execution ' || f.execution || CASE WHEN e.no IS NULL"
    "  THEN ' belongs to no execution' ELSE ' is open, but the execution has ended' END"
    " FROM frame f LEFT JOIN execution e ON e.no = f.execution"
    " WHERE e.no IS NULL OR e.status <> 0 ORDER BY f.execution, f.frame LIMIT 200",

    "SELECT 'history of execution ' || h.execution || ' has event ' || h.first_event_id || ' where ' || "
    "h.due ||"
    " ' is due' FROM (SELECT execution, first_event_id, coalesce(lag(first_event_id + count)"
    "  OVER (PARTITION BY execution ORDER BY first_event_id), 1) AS due FROM history) AS h"
    " WHERE h.first_event_id <> h.due ORDER BY h.execution, h.first_event_id LIMIT 200",

    "SELECT DISTINCT 'history of execution ' || h.execution || ' belongs to no execution' FROM history h"
    " WHERE NOT EXISTS(SELECT 1 FROM execution e WHERE e.no = h.execution) LIMIT 200",

    "SELECT DISTINCT 'payloads of execution ' || p.execution || ' belong to no execution' FROM payload p"
    " WHERE NOT EXISTS(SELECT 1 FROM execution e WHERE e.no = p.execution) LIMIT 200",

    "SELECT 'the count of executions with status ' || status || ' of state machine ' || machine ||"
    " ' is off by ' || sum(n) FROM (SELECT machine, status, n FROM execution_count UNION ALL"
    "  SELECT machine, status, n FROM execution_change UNION ALL"
    "  SELECT machine, status, -count(*) FROM execution GROUP BY machine, status) AS each"
    " GROUP BY machine, status HAVING sum(n) <> 0 LIMIT 200",

    "SELECT 'the ARN of execution ' || min(no) || ' is there more than once' FROM execution GROUP BY arn"
    " HAVING count(*) > 1 LIMIT 200",

    "SELECT 'execution ' || no || ' names a state machine that is not known' FROM execution e"
    " WHERE NOT EXISTS(SELECT 1 FROM word w WHERE w.id = e.machine) LIMIT 200",

    "SELECT 'log lines have numbers beyond the last one given' FROM store_state"
    " WHERE last_log_sequence < (SELECT max(sequence) FROM log)",
};

constexpr std::int64_t kCheckMs = 600'000;  // It reads everything.

}  // namespace check

Result<std::vector<std::string>> Reader::check() {
  // A connection of its own: it takes long, and its plans are for large answers.
  ConnectionOptions own;
  own.url = options_.url;
  own.schema = options_.schema;
  own.application_name = "sortie check";
  own.answer_ms_max = check::kCheckMs;
  SORTIE_TRY(std::unique_ptr<Connection> db, Connection::open(own));
  SORTIE_TRY_STATUS(db->execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
  std::vector<std::string> problems;
  for (const char* question : check::kQuestions) {
    SORTIE_TRY(Answer answer, db->query_once(question, {}));
    for (std::size_t i = 0; i < answer.rows(); ++i) problems.emplace_back(answer.bytes(i, 0));
  }
  return problems;
}

}  // namespace sortie::store::postgres
