#include "store/store.h"

namespace sortie::store {

bool Batch::empty() const {
  return executions.empty() && frames.empty() && frames_gone.empty() && payloads.empty() && history.empty() &&
         ended.empty() && terms.empty() && documents.empty() && documents_gone.empty() && log.empty();
}

std::size_t Batch::bytes() const {
  std::size_t sum = 16;
  for (const ExecutionRow& row : executions) {
    sum += 48 + row.arn.size() + row.state_machine_arn.size() + row.name.size() + row.image.size();
  }
  for (const FrameRow& row : frames) sum += 24 + row.image.size();
  for (const HistoryChunk& chunk : history) sum += 24 + chunk.body.size();
  for (const PayloadRow& row : payloads) sum += 16 + row.body.size();
  for (const TermRow& row : terms) sum += 8 + 4 * row.terms.size();  // The name is in its row.
  for (const Document& row : documents) sum += row.kind.size() + row.key.size() + row.value.size();
  for (const LogLine& line : log) {
    sum += 32 + line.source.size() + line.type.size() + line.subject.size() + line.body.size();
  }
  return sum + 16 * (frames_gone.size() + ended.size() + documents_gone.size());
}

Result<std::optional<LoadedExecution>> Reads::load_execution(ExecutionNo no) {
  SORTIE_TRY(std::optional<ExecutionRow> row, find_execution(no));
  if (!row) return std::optional<LoadedExecution>();
  SORTIE_TRY(std::vector<FrameRow> frames, list_frames(no));
  if (frames.empty() && row->status == ExecutionStatus::kRunning) {  // It may have ended in between.
    SORTIE_TRY(row, find_execution(no));
    if (!row) return std::optional<LoadedExecution>();
  }
  return std::optional(LoadedExecution{*std::move(row), std::move(frames)});
}

Result<std::vector<ExecutionRow>> Reads::find_executions(const std::vector<ExecutionNo>& numbers) {
  std::vector<ExecutionRow> rows;
  for (const ExecutionNo no : numbers) {
    SORTIE_TRY(std::optional<ExecutionRow> row, find_execution(no));
    if (!row) continue;
    row->image.clear();
    rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace sortie::store
