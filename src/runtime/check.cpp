#include "runtime/check.h"

#include <map>
#include <set>

#include "runtime/definitions.h"
#include "runtime/inbox.h"
#include "runtime/live.h"
#include "runtime/map_runs.h"

namespace sortie::runtime {
namespace {

constexpr std::size_t kFramesPage = 1'000;

std::string name_of(const store::FrameKey& key) {
  return "frame " + std::to_string(key.frame) + " of execution " + std::to_string(key.execution);
}

// Several nodes write while this one looks: what looks wrong is looked at again, each time from the start.
constexpr int kLooks = 3;

struct NodeMap {
  bool is_shared = false;
  ShardMap map;
};
Result<NodeMap> node_map(store::Store& store) {
  SORTIE_TRY(const std::optional<std::string> above, store.find_document("meta", kShardsAboveKey));
  if (!above) return NodeMap{};
  return NodeMap{true, {kSharedShardCount, std::strtoull(above->c_str(), nullptr, 10)}};
}

// One that runs has a frame, or waits in an inbox to be begun.
Result<bool> will_move(const store::ExecutionRow& row, const NodeMap& nodes, store::Store& store) {
  for (int look = 0; look < (nodes.is_shared ? kLooks : 1); ++look) {
    SORTIE_TRY(const std::vector<store::FrameRow> frames, store.list_frames(row.no));
    if (!frames.empty()) return true;
    if (!nodes.is_shared) return false;
    SORTIE_TRY(const bool waits, has_inbox_note(store, nodes.map.of(row.no), row.no));
    if (waits) return true;
    SORTIE_TRY(const std::optional<store::ExecutionRow> now, store.find_execution(row.no));
    if (!now || now->status != store::ExecutionStatus::kRunning) return true;
  }
  return false;
}

// A child of a map run runs only while its run does.
Result<bool> has_run(const store::ExecutionRow& row, store::Store& store) {
  if (row.state_machine_arn.find(":mapRun:") == std::string::npos) return true;
  for (int look = 0; look < kLooks; ++look) {
    SORTIE_TRY(const std::optional<store::ExecutionRow> run, store.find_execution(row.state_machine_arn));
    if (run && run->status == store::ExecutionStatus::kRunning) return true;
    SORTIE_TRY(const std::optional<store::ExecutionRow> now, store.find_execution(row.no));
    if (!now || now->status != store::ExecutionStatus::kRunning) return true;
  }
  return false;
}

// One open execution: its history reaches as far as its frames, and these form a tree in which each has one
// reason to wait.
void check_execution(store::ExecutionNo no, const NodeMap& nodes, store::Store& store,
                     Definitions& definitions, std::vector<std::string>& findings) {
  const auto live = load_live(store, no, [&](const std::string& key) { return definitions.machine(key); });
  if (!live && nodes.is_shared && live.error().code == "ExecutionDoesNotExist") return;  // Ended since.
  if (!live) {
    findings.push_back("execution " + std::to_string(no) + " cannot be read: " + to_text(live.error()));
    return;
  }
  const engine::Execution& state = (*live)->state;
  const auto written = store.load_history(no, state.last_event_id, 1);
  if (!written) {
    findings.push_back("the history of " + state.arn + " cannot be read: " + to_text(written.error()));
  } else if (written->empty()) {
    findings.push_back(state.arn + " has no event " + std::to_string(state.last_event_id) +
                       " in its history, which its frames tell of");
  }
  if (!state.frames.contains(engine::kTopFrame)) findings.push_back(state.arn + " has no top frame");
  std::map<engine::FrameNo, std::pair<std::uint32_t, std::uint32_t>> children;  // parent -> running, finished
  for (const auto& [frame_no, frame] : state.frames) {
    if (frame_no == engine::kTopFrame) continue;
    const auto parent = state.frames.find(frame.parent);
    if (parent == state.frames.end() || !std::holds_alternative<engine::Joining>(parent->second.phase)) {
      findings.push_back(name_of({no, frame_no}) + " has no parent that waits for it");
      continue;
    }
    auto& [running, finished] = children[frame.parent];
    ++(std::holds_alternative<engine::Finished>(frame.phase) ? finished : running);
  }
  for (const auto& [frame_no, frame] : state.frames) {
    const auto* join = std::get_if<engine::Joining>(&frame.phase);
    if (join == nullptr) continue;
    const auto [running, finished] = children[frame_no];
    if (running == 0)
      findings.push_back(name_of({no, frame_no}) + " waits for children, but none of them runs");
    if (finished != join->succeeded || running + finished != join->started) {
      findings.push_back(name_of({no, frame_no}) + " counts its children wrongly");
    }
  }
}

}  // namespace

Result<std::vector<std::string>> check_store(store::Store& store) {
  SORTIE_TRY(std::vector<std::string> findings, store.check());
  SORTIE_TRY(const NodeMap nodes, node_map(store));
  Definitions definitions(store, false);
  SORTIE_TRY_STATUS(definitions.load());
  store::FrameKey after{0, 0};
  std::set<store::ExecutionNo> seen;
  while (true) {
    SORTIE_TRY(const std::vector<store::FrameRow> page, store.scan_frames(after, kFramesPage));
    for (const store::FrameRow& row : page) {
      const Result<SplitImage> split = split_frame_image(row.image);
      if (split && is_map_run_image(*split)) {  // It is its own reason: recovery goes on with it.
        seen.insert(row.key.execution);
        continue;
      }
      const auto glance =
          split ? engine::glance_at_frame(split->engine_image) : Result<engine::FrameGlance>(split.error());
      if (!glance) findings.push_back(name_of(row.key) + ": " + glance.error().message);
      if (!seen.insert(row.key.execution).second) continue;
      std::vector<std::string> own;
      for (int look = 0; look < (nodes.is_shared ? kLooks : 1); ++look) {
        own.clear();
        check_execution(row.key.execution, nodes, store, definitions, own);
        if (own.empty()) break;
      }
      findings.insert(findings.end(), own.begin(), own.end());
    }
    if (page.size() < kFramesPage) break;
    after = page.back().key;
  }
  store::ExecutionQuery running;
  running.status = store::ExecutionStatus::kRunning;
  running.limit = kFramesPage;
  while (true) {
    SORTIE_TRY(const std::vector<store::ExecutionRow> page, store.list_executions(running));
    for (const store::ExecutionRow& row : page) {
      SORTIE_TRY(const bool is_wanted, has_run(row, store));
      if (!is_wanted) findings.push_back(row.arn + " is running, and its map run is over");
      if (seen.contains(row.no)) continue;
      SORTIE_TRY(const bool moves, will_move(row, nodes, store));
      if (!moves) findings.push_back(row.arn + " is running but has no frame: nothing will move it");
    }
    if (page.size() < kFramesPage) break;
    running.before = page.back().no;
  }
  return findings;
}

}  // namespace sortie::runtime
