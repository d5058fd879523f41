#include "store/sqlite/earlier_versions.h"

#include <map>
#include <string>

#include "store/sqlite/history_writer.h"

namespace sortie::store::sqlite {

namespace earlier_versions {

// Bodies of journal rows. What an execution wrote lies in a few of them, and what its neighbours wrote in the
// same, so the last ones are kept.
class Journal {
 public:
  explicit Journal(Connection& db) : db_(db) {}

  Result<std::string_view> piece(std::uint64_t group, std::uint64_t start, std::uint64_t length) {
    auto kept = bodies_.find(group);
    if (kept == bodies_.end()) {
      SORTIE_TRY(std::string body, read(group));
      for (; !bodies_.empty() && bytes_ + body.size() > kKeptBytes; bodies_.erase(bodies_.begin())) {
        bytes_ -= bodies_.begin()->second.size();
      }
      bytes_ += body.size();
      kept = bodies_.emplace(group, std::move(body)).first;
    }
    const std::string& body = kept->second;
    if (start > body.size() || length > body.size() - start) {
      return db_.corrupt("journal row " + std::to_string(group) + " does not hold what is referred to");
    }
    return std::string_view(body).substr(start, length);
  }

 private:
  static constexpr std::size_t kKeptBytes = 64 * 1024 * 1024;

  Result<std::string> read(std::uint64_t group) {
    Query q = db_.query("SELECT body FROM journal WHERE no=?");
    q.bind(1, static_cast<std::int64_t>(group));
    SORTIE_TRY(const bool found, q.step());
    return found ? std::string(q.bytes(0)) : std::string();
  }

  Connection& db_;
  std::map<std::uint64_t, std::string> bodies_;  // The first ones go first: later executions lie behind.
  std::size_t bytes_ = 0;
};

Status write_part(Connection& db, Journal& journal, ExecutionNo execution, std::string_view refs) {
  ByteReader in(refs);
  HistoryWriter writer(db, execution);
  std::uint64_t group = 0;
  std::uint64_t next_event_id = 0;
  while (!in.done()) {
    group += in.varint();
    const std::uint64_t start = in.varint();
    const std::uint64_t length = in.varint();
    const std::uint64_t first = next_event_id + static_cast<std::uint64_t>(in.zigzag());
    const auto count = static_cast<std::int32_t>(in.zigzag());
    if (in.failed()) break;
    next_event_id = first + static_cast<std::uint64_t>(count);
    SORTIE_TRY(const std::string_view body, journal.piece(group, start, length));
    SORTIE_TRY_STATUS(writer.add(static_cast<std::int64_t>(first), count, body));
  }
  if (in.failed()) return db.corrupt("history_part of execution " + std::to_string(execution));
  return writer.flush();
}

}  // namespace earlier_versions

Status bring_out_of_journal(Connection& db) {
  earlier_versions::Journal journal(db);
  {
    Query q = db.query("SELECT execution, refs FROM history_part ORDER BY execution, group_no, start");
    for (;;) {
      SORTIE_TRY(const bool more, q.step());
      if (!more) break;
      SORTIE_TRY_STATUS(
          earlier_versions::write_part(db, journal, static_cast<ExecutionNo>(q.integer(0)), q.bytes(1)));
    }
  }
  Query q = db.query(
      "SELECT execution, payload, group_no, start, length FROM payload_ref"
      " ORDER BY execution, payload, group_no, start");
  for (;;) {
    SORTIE_TRY(const bool more, q.step());
    if (!more) return {};
    SORTIE_TRY(const std::string_view body, journal.piece(static_cast<std::uint64_t>(q.integer(2)),
                                                          static_cast<std::uint64_t>(q.integer(3)),
                                                          static_cast<std::uint64_t>(q.integer(4))));
    SORTIE_TRY_STATUS(write_payload(db, static_cast<ExecutionNo>(q.integer(0)),
                                    static_cast<PayloadNo>(q.integer(1)), body));
  }
}

}  // namespace sortie::store::sqlite
