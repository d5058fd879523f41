#pragma once
// A story on the real runtime, engine and store, told again and again with one fault at each of its commits:
// the process dies before it or after it, or the disk refuses it. However it goes, it has to end well.
//
// A test has a process (one life of the server on what the disk holds) and a plot, its parameter:
//
//   struct Mine : StoryProcess {
//     Mine(ManualLoop&, MemoryImage disk, MemoryFaults, const Plot&);
//     bool go_on(const Plot&);        // Does what clients do that try again; true when it has ended.
//     void check_the_end(const Plot&);
//   };
//   TEST_P(Story, EndsWell) { StoryTeller<Mine, Plot>{2'000}.tell_with_every_fault(GetParam(), 5); }
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "base/hash.h"
#include "integrations/dispatcher.h"
#include "integrations/testing/fakes.h"
#include "runtime/runtime.h"
#include "store/memory/memory_store.h"

namespace sortie::story {

using fakes::ManualLoop;

class StoryProcess {
 public:
  store::MemoryImage crash() { return store_.crash(); }

 protected:
  StoryProcess(ManualLoop& loop, std::uint64_t seed, store::MemoryImage disk, store::MemoryFaults faults)
      : random_(seed),
        store_(loop, std::move(disk), std::move(faults)),
        epoch_(store_.acquire(0).value()),
        dispatcher_(loop) {}

  void make_runtime(ManualLoop& loop) {
    runtime::Options options;
    options.epoch = epoch_;
    runtime_ = runtime::Runtime::make(loop, random_, store_, dispatcher_, options);
    dispatcher_.attach(*runtime_);
  }
  // For the destructor of a process: the runtime ends before the integrations that it calls.
  void end_runtime() {
    runtime_.reset();
    dispatcher_.stop();
  }
  // True when the definition is there; otherwise it is on its way.
  bool put(const std::string& arn, const std::string& definition) {
    if (runtime_->find_state_machine(arn)) return true;
    runtime::StateMachineRecord record;
    record.arn = arn;
    record.name = arn.substr(arn.rfind(':') + 1);
    record.definition = definition;
    record.role_arn = "arn:aws:iam::123456789012:role/x";
    runtime_->put_state_machine(record, Actor{}, [](const auto& made) {
      EXPECT_TRUE(made.ok() || made.error().code != "InvalidDefinition") << made.error().message;
    });
    return false;
  }

  SeededRandom random_;
  store::MemoryStore store_;
  store::Epoch epoch_;
  integrations::Dispatcher dispatcher_;
  std::unique_ptr<runtime::Runtime> runtime_;
};

template <typename Process, typename Plot>
struct StoryTeller {
  std::int64_t step_ms;  // Between two looks at how it goes.

  // With one fault at the given commit (0: none). Answers how many commits there were.
  std::size_t tell(const Plot& plot, std::size_t fault_at, store::CommitFault fault) const {
    ManualLoop loop;
    std::size_t commits = 0;
    bool crashed = false;
    store::MemoryFaults faults;
    faults.plan = [&](const store::Batch&) {
      return store::CommitPlan{++commits == fault_at ? fault : store::CommitFault::kNone, 0};
    };
    faults.on_crash = [&crashed] { crashed = true; };
    auto process = std::make_unique<Process>(loop, store::MemoryImage{}, faults, plot);
    bool ended = false;
    for (int i = 0; i < 400 && !ended; ++i) {
      loop.advance_ms(step_ms);
      if (std::exchange(crashed, false)) {
        store::MemoryImage disk = process->crash();
        process.reset();
        loop.forget_everything();
        process = std::make_unique<Process>(loop, std::move(disk), faults, plot);
        continue;
      }
      ended = process->go_on(plot);
    }
    EXPECT_TRUE(ended) << "the story never ended";
    process->check_the_end(plot);
    return commits;
  }

  void tell_with_every_fault(const Plot& plot, std::size_t commits_min) const {
    const std::size_t commits = tell(plot, 0, store::CommitFault::kNone);
    ASSERT_GT(commits, commits_min);
    for (const auto fault : {store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter,
                             store::CommitFault::kStoreUnavailable}) {
      for (std::size_t at = 1; at <= commits + 2 && !testing::Test::HasFailure(); ++at) {
        SCOPED_TRACE("fault " + std::to_string(static_cast<int>(fault)) + " at commit " + std::to_string(at));
        tell(plot, at, fault);
      }
    }
  }
};

}  // namespace sortie::story
