// Death at any instant: a child process writes, is killed (SIGKILL, so nothing of it runs any more), and the
// parent opens the same store: everything that was reported durable must be there, and every change wholly
// or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/hash.h"
#include "store/testing/store_harness.h"

namespace sortie::store {

namespace kill_test {

using ::testing::IsEmpty;
using namespace store::testing;

constexpr std::int64_t kSteps = 6;  // Of each execution; the last one ends it.
constexpr std::int64_t kEventsPerStep = 2;

struct Mark {
  ExecutionNo no = 0;
  std::int64_t step = 0;
};

// `place` is a data folder, or a schema of the shared cluster.
Result<std::unique_ptr<Store>> open_at(Kind kind, const std::string& place, Loop& loop) {
  if (kind == Kind::kPostgres) {
    PostgresOptions options;
    options.url = shared_cluster().url();
    options.schema = place;
    options.loop = &loop;
    options.lease_ms = 100;
    options.settle_ms = 0;
    return open_postgres_store(std::move(options));
  }
  SqliteOptions options;
  options.folder = place;
  options.loop = &loop;
  options.idle_ms = 1;  // Folding when idle is part of what may be hit.
  options.overlay_bytes_max = 30'000;
  options.checkpoint_bytes = 400'000;
  return open_sqlite_store(std::move(options));
}

// What an execution writes when it takes a step: all five places carry the step's number.
Batch batch_of(Epoch epoch, Mark mark) {
  bool ends = mark.step == kSteps - 1;
  std::string number = std::to_string(mark.step);
  Batch batch;
  batch.epoch = epoch;
  batch.executions.push_back(
      execution(mark.no, ends ? ExecutionStatus::kSucceeded : ExecutionStatus::kRunning));
  batch.executions[0].image = number;
  if (!ends) batch.frames.push_back(frame(mark.no, 0, number + std::string(mark.no % 400, '.')));
  batch.history.push_back({mark.no, mark.step * kEventsPerStep + 1, kEventsPerStep, number});
  batch.payloads.push_back(
      {mark.no, static_cast<PayloadNo>(mark.step + 1), std::string(mark.no % 3'000, 'p')});
  batch.documents.push_back({"step", std::to_string(mark.no), number});
  batch.log.push_back({"event", {mark.step}, "child", "step", std::to_string(mark.no), number, 0});
  if (ends) batch.ended.push_back(mark.no);
  return batch;
}

// Runs until it is killed. Every durable step is told through the pipe before the next one is taken.
[[noreturn]] void run_child(Kind kind, const std::string& place, int pipe_end) {
  ManualLoop loop;
  auto opened = open_at(kind, place, loop);
  if (!opened.ok()) _exit(3);
  Store& store = **opened;
  auto epoch = store.acquire(0);
  auto last = store.last_execution_no();
  if (!epoch.ok() || !last.ok()) _exit(4);
  ExecutionNo next = *last + 1;
  std::function<void(Mark)> take = [&](Mark mark) {
    store.append(batch_of(*epoch, mark), [&, mark](Status status) {
      if (!status || write(pipe_end, &mark, sizeof(mark)) != sizeof(mark)) _exit(5);
      take(mark.step + 1 < kSteps ? Mark{mark.no, mark.step + 1} : Mark{next++, 0});
    });
  };
  for (int i = 0; i < 12; ++i) take({next++, 0});
  loop.run_until([] { return false; });
  _exit(6);
}

class Child {
 public:
  Child(Kind kind, const std::string& place) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      run_child(kind, place, ends[1]);
    }
    close(ends[1]);
    from_ = ends[0];
  }

  // Waits for `count` steps (fewer when the child ends by itself), kills, and answers all that it told.
  std::vector<Mark> kill_after(std::size_t count) {
    std::vector<Mark> told;
    Mark mark;
    while (told.size() < count && receive(&mark)) told.push_back(mark);
    kill(pid_, SIGKILL);
    while (receive(&mark)) told.push_back(mark);
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    close(from_);
    return told;
  }

 private:
  bool receive(Mark* mark) {  // A pipe keeps writes of this size whole.
    return read(from_, mark, sizeof(*mark)) == static_cast<ssize_t>(sizeof(*mark));
  }

  pid_t pid_ = 0;
  int from_ = -1;
};

void verify_execution(Store& store, ExecutionNo no, std::int64_t told_step) {
  auto row = store.find_execution(no);
  ASSERT_TRUE(row.ok()) << to_text(row.error());
  ASSERT_TRUE(row->has_value()) << "execution " << no << " was reported durable";
  std::int64_t step = std::stoll((*row)->image);
  EXPECT_GE(step, told_step) << "execution " << no;
  bool ended = step == kSteps - 1;
  EXPECT_EQ((*row)->status, ended ? ExecutionStatus::kSucceeded : ExecutionStatus::kRunning);
  EXPECT_EQ(store.find_execution(execution(no).arn)->has_value(), true);
  auto frames = *store.list_frames(no);
  ASSERT_EQ(frames.size(), ended ? 0u : 1u);
  if (!ended) {
    EXPECT_EQ(std::stoll(frames[0].image), step);
  }
  EXPECT_EQ(store.find_document("step", std::to_string(no))->value_or(""), std::to_string(step));
  auto history = *store.load_history(no, 1, INT64_MAX);
  ASSERT_EQ(history.size(), static_cast<std::size_t>(step + 1)) << "execution " << no;
  for (std::int64_t i = 0; i <= step; ++i) {
    const HistoryChunk& chunk = history[static_cast<std::size_t>(i)];
    EXPECT_EQ(chunk.first_event_id, i * kEventsPerStep + 1);
    EXPECT_EQ(chunk.body, std::to_string(i));
    EXPECT_EQ((*store.find_payload(no, static_cast<PayloadNo>(i + 1)))->body.size(), no % 3'000);
  }
  auto lines = *store.search_log({.stream = "event", .subject = std::to_string(no)});
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(step + 1));
}

class StoreKilled : public ::testing::TestWithParam<Kind> {};

TEST_P(StoreKilled, LosesNothingThatWasReportedDurable) {
  if (std::string missing = missing_for(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
  const char* asked = std::getenv("SORTIE_KILLS");
  int rounds = asked != nullptr ? std::atoi(asked) : 12;
  TemporaryFolder folder;
  const std::string place = GetParam() == Kind::kPostgres ? "killed" : folder.path() + "/data";
  SeededRandom random(asked != nullptr ? 99 : 1);
  std::map<ExecutionNo, std::int64_t> durable;
  ExecutionNo verified = 0;  // Executions up to here have been looked at after they ended.
  for (int round = 0; round < rounds; ++round) {
    // Some die while they open, some after a few steps, some far on.
    std::size_t steps = round % 4 == 0 ? random.next() % 3 : random.next() % 400;
    for (const Mark& mark : Child(GetParam(), place).kill_after(steps)) {
      std::int64_t& known = durable.try_emplace(mark.no, -1).first->second;
      known = std::max(known, mark.step);
    }
    if (round % 3 == 1) continue;  // The next one has to recover from a death in recovery, too.
    ManualLoop loop;
    auto store = open_at(GetParam(), place, loop);
    ASSERT_TRUE(store.ok()) << to_text(store.error());
    // What a dead process has sent to a database server may still be carried out; not behind this.
    ASSERT_TRUE((*store)->acquire(0).ok());
    auto problems = (*store)->check();
    ASSERT_TRUE(problems.ok()) << to_text(problems.error());
    ASSERT_THAT(*problems, IsEmpty()) << "after round " << round;
    ExecutionNo last = *(*store)->last_execution_no();
    for (ExecutionNo no = verified + 1; no <= last; ++no) {
      auto known = durable.find(no);
      if (!(*store)->find_execution(no)->has_value() && known == durable.end()) continue;
      verify_execution(**store, no, known == durable.end() ? -1 : known->second);
    }
    if (HasFailure()) return;
    verified = last;
  }
  ManualLoop loop;
  auto store = open_at(GetParam(), place, loop);
  ASSERT_TRUE(store.ok());
  for (const auto& [no, step] : durable) verify_execution(**store, no, step);
  EXPECT_GT(durable.size(), 10u);
}

INSTANTIATE_TEST_SUITE_P(All, StoreKilled, ::testing::Values(Kind::kSqlite, Kind::kPostgres),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace kill_test

}  // namespace sortie::store
