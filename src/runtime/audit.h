#pragma once
// Audit looks, while the server works, at whether every open frame still has its one reason to wait: not only
// in the store, which runtime/check.h proves, but also in what this process keeps for it: an armed timer, a
// call under way, an activity's place in line, a map run at work. It walks all open frames in small steps,
// then all open executions (each must have a frame), pauses, and begins again.
//
// What looks stuck is looked at again kLooksAgain times within `audit_grace_ms`, because between two commits
// much is on its way; several times, because a clock that is set forward makes one of the pauses a short one.
// What is stuck each time is reported (Options::on_stuck, figures) and set going again: the timer is armed,
// the frame is continued, the attempt is dispatched under the same key. Nothing in the store is changed, so a
// finding of which the store is the cause comes back after the next start, and nothing is repaired silently.
//
// Cost: kFramesPerStep frames every `audit_step_ms`, about a millisecond of the loop. It waits for the end of
// the recovery; executions in motion are left alone. A Parallel or Map is checked against its children where
// its execution has few frames; `sortie check` looks at all.
#include <map>
#include <optional>

#include "engine/codec.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

class Shard;

class Audit {
 public:
  static constexpr std::size_t kFramesPerStep = 100;
  static constexpr std::size_t kSuspectsMax = 1'000;
  static constexpr int kLooksAgain = 3;

  explicit Audit(Shard& shard) : shard_(shard) {}
  ~Audit();
  void begin();  // Does nothing where Options::audit_step_ms is 0.

  std::uint64_t frames = 0, cycles = 0, stuck = 0;  // So far.

 private:
  enum class Trouble : std::uint8_t {
    kUnreadable,     // Its image cannot be read.
    kTimerUnarmed,   // Due some time, and no timer is armed for then.
    kTimerUnstored,  // The same, and the store says nothing or something else about when.
    kNotContinued,   // Ready to run, and nothing runs it.
    kNotCalled,      // Waits for a call that is not under way.
    kNoMapRun,       // Waits for a map run that nobody carries out, or is one.
    kNoChildren,     // Waits for children of which none runs.
    kNoFrame,        // An execution that runs without any frame.
  };
  struct Suspect {
    Trouble trouble;
    Timestamp look_again_at;
    int looks_left = kLooksAgain;
  };

  std::int64_t look_pause_ms() const;
  void arm(std::int64_t pause_ms);
  void step();
  void walk_frames();
  void walk_executions();
  void look_again();
  void suspect(const store::FrameKey& key, Trouble trouble);
  std::optional<Trouble> inspect(const store::FrameRow& row);
  std::optional<Trouble> inspect_timer(const store::FrameRow& row, const engine::FrameGlance& glance);
  std::optional<Trouble> inspect_task(const store::FrameKey& key, const engine::FrameGlance& glance);
  bool has_running_child(const std::vector<store::FrameRow>& frames, engine::FrameNo parent);
  std::optional<Trouble> inspect_execution(store::ExecutionNo no);
  Timestamp due_of(const store::FrameKey& key, const engine::FrameGlance& glance);
  void report(const store::FrameKey& key, Trouble trouble);
  bool set_going(const store::FrameKey& key, Trouble trouble);

  Shard& shard_;
  Loop::TimerId timer_ = 0;
  bool in_executions_ = false;  // The second half of a cycle.
  store::FrameKey after_{0, UINT32_MAX};
  store::ExecutionNo before_ = UINT64_MAX;
  std::map<store::FrameKey, Suspect> suspects_;
};

}  // namespace sortie::runtime
