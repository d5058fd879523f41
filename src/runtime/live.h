#pragma once
// A LiveExecution is an open execution in memory: the engine's state, the stimuli that wait for it, and the
// payloads that the store already holds for it. It may be dropped at any idle moment: the store has
// everything.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "engine/codec.h"
#include "engine/engine.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

// One stimulus with what its sender wants: things to write in the same transaction, and an answer.
struct Mail {
  engine::Stimulus stimulus;
  std::shared_ptr<store::Batch> with;  // Null: nothing, as with most mails. Taken by the one that is decided.
  // Told once: an error if nothing was written; else whether the stimulus found somebody waiting.
  std::function<void(const Status&, bool applied)> reply;
};

// Large values of one execution, by identity. Keeps them alive, so an address names one value only.
class PayloadTable final : public engine::PayloadSink {
 public:
  std::optional<std::uint32_t> find(const json::Value& value) override {
    if (by_identity_.empty()) return std::nullopt;
    const auto found = by_identity_.find(value.identity());
    if (found == by_identity_.end()) return std::nullopt;
    return found->second.number;
  }
  std::uint32_t keep(const json::Value& value, std::string text) override {
    const std::uint32_t number = next_++;
    fresh_.push_back({0, number, std::move(text)});
    remember(value, number);
    return number;
  }
  void remember(const json::Value& value, std::uint32_t number) {
    // Forgetting is harmless (a value may then be stored twice), holding on to everything is not.
    if (by_identity_.size() >= kRememberedMax) by_identity_.clear();
    by_identity_.insert_or_assign(value.identity(), Kept{value, number});
  }
  std::vector<store::PayloadRow> take_fresh() { return std::exchange(fresh_, {}); }
  std::uint32_t next() const { return next_; }
  void raise_next(std::uint32_t next) { next_ = std::max(next_, next); }

 private:
  static constexpr std::size_t kRememberedMax = 256;
  struct Kept {
    json::Value value;
    std::uint32_t number;
  };
  std::unordered_map<const void*, Kept> by_identity_;
  std::vector<store::PayloadRow> fresh_;
  std::uint32_t next_ = 1;
};

// What makes an execution the child of a map run.
struct MapChild {
  store::ExecutionNo run = 0;  // The map run.
  std::uint64_t number = 0;    // Which of its children.
  std::uint32_t items = 1;     // How many items it works on.
  asl::FlowIndex flow = 0;     // The Map's processor, which it executes.
};

// What one commit carries, kept until the store has answered.
struct Decision {
  std::vector<engine::Command> commands;
  std::vector<std::pair<Mail, bool>> mails;  // With whether each was applied.
  std::vector<engine::FrameNo> ready;
  std::vector<std::pair<store::FrameKey, Timestamp>> timers;  // kNever: disarmed.
  std::shared_ptr<const LoggedEvents> logged;
  std::int64_t last_event_id = 0;
  bool began = false;
  bool ended = false;
  std::uint64_t transitions = 0;
};

struct LiveExecution {
  store::ExecutionNo no = 0;
  engine::Execution state;
  engine::ExecutionImage image;  // What its row says, apart from the outcome.
  Actor actor;
  std::optional<MapChild> map_child;
  std::string listed_under;  // A child is listed under its map run's ARN, not under a state machine's.
  std::string test_case;
  std::optional<Shared<TaskOrigin>> origin;  // Made with the first task.
  PayloadTable payloads;
  std::deque<Mail> mailbox;
  std::size_t* pending = nullptr;  // Stimuli of its machine that are not committed; the shard counts them.
  bool started = false;            // Its row is in the store.
  bool given_by_leader = false;    // Its name and number are; its first commit is void without the lead.
  // A synchronous EXPRESS execution: nothing of it is ever written, and it dies with the process.
  bool in_memory_only = false;
  std::function<void(const LiveExecution&)> when_over;  // Of an execution in memory only.
  std::optional<Decision> decision;  // While its commit is under way; there is one at a time.
  std::uint64_t used = 0;            // For dropping the least recently used.
};

// Reads payloads of one execution from the store, and remembers them in its table.
class StoredPayloads final : public engine::PayloadSource {
 public:
  StoredPayloads(store::Store& store, store::ExecutionNo execution, PayloadTable* table)
      : store_(store), execution_(execution), table_(table) {}
  Result<json::Value> load(std::uint32_t number) override;
  Result<std::string> load_text(std::uint32_t number) override;

 private:
  store::Store& store_;
  store::ExecutionNo execution_;
  PayloadTable* table_;  // May be null.
  std::unordered_map<std::uint32_t, json::Value> seen_;
};

// A frame row's image is the number of the next payload (so that a reload never reuses one), then the
// engine's image.
inline constexpr std::size_t kFrameHeadroom = 4;  // For the number, in what becomes an image.
void put_next_payload(std::string& image, std::uint32_t next_payload);
struct SplitImage {
  std::uint32_t next_payload = 1;
  std::string_view engine_image;
};
Result<SplitImage> split_frame_image(std::string_view image);

// An execution that a leader wrote and nobody has begun yet.
Result<std::unique_ptr<LiveExecution>> load_unbegun(
    const store::ExecutionRow& row,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of);

// Reads an open execution back. Error "ExecutionDoesNotExist" when it has ended or never was.
Result<std::unique_ptr<LiveExecution>> load_live(
    store::Store& store, store::ExecutionNo no,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of);

// The runtime's own part of an execution's image: who started it, and through what.
struct Extra {
  Actor actor;
  std::string trace_header;
  std::string version_arn, alias_arn;
  std::string test_case;  // Of the mock configuration.
  struct RedriveToken {
    std::string token;  // The client's.
    Timestamp at;       // When the redrive took place.
  };
  // Of the last redrives, kRedriveTokensMax of them: for some minutes the same token asks for the same one.
  std::vector<RedriveToken> redrive_tokens;
  void remember_redrive(std::string token, Timestamp now);
  std::optional<Timestamp> find_redrive(std::string_view token, Timestamp now) const;
  std::int64_t map_life = 0;  // A map run's child: the redrives of the run when it last began; 0: none.
  std::optional<MapChild> map_child;
};
std::string encode_extra(const Extra& extra);
Extra decode_extra(const std::string& text);

// What the execution is found by (store/search_terms.h): with its name where it begins.
void add_terms(const LiveExecution& live, store::Batch& batch);

// What is kept of an execution that did not succeed, for a redrive: its frames' images. "" where they are
// more than kLeftBehindBytesMax.
inline constexpr std::size_t kLeftBehindBytesMax = 4 * 1024 * 1024;
std::string encode_left_behind(LiveExecution& live);
// An execution that has ended, ready for engine::Redrive. Error "ExecutionNotRedrivable" with AWS's reason.
// A map run's child is redriven by its map run only.
enum class RedrivenBy : std::uint8_t { kCaller, kMapRun };
Result<std::unique_ptr<LiveExecution>> load_left_behind(
    store::Store& store, const store::ExecutionRow& row, Timestamp now,
    const std::function<Result<std::shared_ptr<const asl::StateMachine>>(const std::string&)>& machine_of,
    RedrivenBy by = RedrivenBy::kCaller);
// Why this execution cannot be redriven; nothing where it can.
std::optional<std::string> redrive_obstacle(const store::ExecutionRow& row,
                                            const engine::ExecutionImage& image, Timestamp now,
                                            RedrivenBy by = RedrivenBy::kCaller);

// What an execution in memory only was, once it is over.
ExecutionDescription describe_over(const LiveExecution& live);

store::ExecutionStatus status_of(engine::Outcome outcome);

}  // namespace sortie::runtime
