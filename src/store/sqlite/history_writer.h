#pragma once
// Rows of `history` and `payload`: what has left the journal. An execution has a row of history for each time
// that something of it was folded, of consecutive events, in ascending order.
#include "store/sqlite/codec.h"
#include "store/sqlite/database.h"

namespace sortie::store::sqlite {

// Collects chunks of one execution and writes them when enough have come together.
class HistoryWriter {
 public:
  HistoryWriter(Connection& db, ExecutionNo execution) : db_(db), execution_(execution) {}
  Status add(std::int64_t first_event_id, std::int32_t count, std::string_view body);
  Status flush();  // The last call.

 private:
  Connection& db_;
  ExecutionNo execution_;
  ChunkEncoder chunks_;
};

Status write_payload(Connection& db, ExecutionNo execution, PayloadNo payload, std::string_view body);

}  // namespace sortie::store::sqlite
