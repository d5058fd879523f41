#include "store/sqlite/history_writer.h"

#include <utility>

namespace sortie::store::sqlite {

namespace history_writer {

constexpr std::size_t kRowBytes = 1024 * 1024;  // A longer history becomes several rows.

}  // namespace history_writer

Status HistoryWriter::add(std::int64_t first_event_id, std::int32_t count, std::string_view body) {
  chunks_.add(first_event_id, count, body);
  return chunks_.size() >= history_writer::kRowBytes ? flush() : Status{};
}

Status HistoryWriter::flush() {
  if (chunks_.empty()) return {};
  ChunkEncoder full = std::exchange(chunks_, {});
  const std::string body = full.finish();
  return db_.query("INSERT INTO history(execution, first_event_id, last_event_id, body) VALUES(?, ?, ?, ?)")
      .bind(1, static_cast<std::int64_t>(execution_))
      .bind(2, full.first_event_id())
      .bind(3, full.last_event_id())
      .bind_blob(4, body)
      .run();
}

Status write_payload(Connection& db, ExecutionNo execution, PayloadNo payload, std::string_view body) {
  return db.query("INSERT INTO payload(execution, payload, body) VALUES(?, ?, ?)")
      .bind(1, static_cast<std::int64_t>(execution))
      .bind(2, payload)
      .bind_blob(3, body)
      .run();
}

}  // namespace sortie::store::sqlite
