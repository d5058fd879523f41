#pragma once
// Group is what several batches change together, row by row: of many images of one frame only the last one is
// written, and what came and went in between is never written at all. It answers the statements of one
// transaction, one array statement a table, rows in key order, so that two nodes never wait for each other in
// a circle.
//
// Views: the batches must outlive the group.
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "store/postgres/connection.h"
#include "store/store.h"

namespace sortie::store::postgres {

using WordId = std::int64_t;

class Group {
 public:
  void add(const Batch& batch);

  bool empty() const;
  // The state machine ARNs that need an id.
  std::set<std::string_view> words() const;
  // `slot` is which rows of the counts are this writer's own.
  std::vector<Statement> statements(const std::unordered_map<std::string, WordId>& words,
                                    std::int64_t slot) const;

 private:
  void add_executions(std::vector<Statement>& out, const std::unordered_map<std::string, WordId>& words,
                      std::int64_t slot) const;
  void add_frames(std::vector<Statement>& out) const;
  void add_history(std::vector<Statement>& out) const;
  void add_documents(std::vector<Statement>& out) const;
  void add_log(std::vector<Statement>& out) const;

  std::map<ExecutionNo, const ExecutionRow*> executions_;
  std::set<ExecutionNo> frames_cleared_;
  std::map<FrameKey, const FrameRow*> frames_;  // Null: it is gone.
  std::map<std::pair<ExecutionNo, PayloadNo>, const PayloadRow*> payloads_;
  std::map<std::pair<ExecutionNo, std::int64_t>, const HistoryChunk*> history_;
  std::map<std::pair<std::string_view, std::string_view>, const Document*> documents_;  // Null: it is gone.
  std::vector<const LogLine*> log_;
};

}  // namespace sortie::store::postgres
