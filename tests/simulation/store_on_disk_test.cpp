// The SQLite store on a disk that fails in every way a disk fails, from a seed: twelve writers take steps,
// each of which changes five places of the store; power goes at any write, sync or read, and what was not
// synced stays, goes, or is torn. After each start: the store's own check passes, every acknowledged step is
// there, and every other one is wholly there or wholly not.
// Which seeds: seed_runner.h (default 4).
#include <gtest/gtest.h>

#include "fault_plan.h"
#include "seed_runner.h"
#include "store/sqlite/sqlite_store.h"
#include "store/testing/store_harness.h"
#include "virtual_loop.h"

namespace sortie::simulation {
namespace store_on_disk {

using namespace store;
using store::testing::execution;
using store::testing::frame;

constexpr std::int64_t kSteps = 6;  // Of each execution; the last one ends it.
constexpr int kWriters = 12;
constexpr int kStarts = 40;

struct Mark {
  ExecutionNo no = 0;
  std::int64_t step = 0;
};

Batch batch_of(Epoch epoch, Mark mark) {
  const bool ends = mark.step == kSteps - 1;
  const std::string number = std::to_string(mark.step);
  Batch batch;
  batch.epoch = epoch;
  batch.executions.push_back(
      execution(mark.no, ends ? ExecutionStatus::kSucceeded : ExecutionStatus::kRunning));
  batch.executions[0].image = number;
  if (!ends) batch.frames.push_back(frame(mark.no, 0, number + std::string(mark.no % 400, '.')));
  batch.history.push_back({mark.no, mark.step * 2 + 1, 2, number});
  batch.payloads.push_back(
      {mark.no, static_cast<PayloadNo>(mark.step + 1), std::string(mark.no % 3'000, 'p')});
  batch.documents.push_back({"step", std::to_string(mark.no), number});
  batch.log.push_back({"event", {mark.step}, "writer", "step", std::to_string(mark.no), number, 0});
  if (ends) batch.ended.push_back(mark.no);
  return batch;
}

class World {
 public:
  World(std::uint64_t seed, FaultTally& tally)
      : random_(seed), faults_(seed * 7919 + 1, tally), intensity_(2 + seed % 6) {
    disk_.set_plan([this](DiskOperation operation, const std::string&) {
      return faults_.of_disk(operation, intensity_);
    });
  }
  void run();
  std::size_t durable() const { return told_.size(); }
  const SimulatedDisk::Figures& figures() const { return disk_.figures(); }

 private:
  bool open();
  void take(Mark mark);
  void verify();
  void verify_one(ExecutionNo no, std::int64_t told_step);

  SeededRandom random_;
  FaultPlan faults_;
  std::uint64_t intensity_;
  SimulatedDisk disk_;
  std::optional<VirtualLoop> loop_;
  std::unique_ptr<Store> store_;
  Epoch epoch_ = 0;
  ExecutionNo next_ = 1;
  std::map<ExecutionNo, std::int64_t> told_;  // Acknowledged steps.
};

bool World::open() {
  store_.reset();  // Before its loop.
  loop_.emplace(Timestamp{1'800'000'000'000});
  SqliteOptions options;
  options.folder = "/disk";
  options.vfs = disk_.vfs();
  options.loop = &*loop_;
  options.run_work = [this](std::function<void()> work) {  // A slow disk is late, and groups grow.
    const auto late = static_cast<std::int64_t>(random_.next() % 4 == 0 ? random_.next() % 50 : 0);
    loop_->call_at(loop_->now().plus_ms(late), std::move(work));
  };
  options.idle_ms = 20;
  options.overlay_bytes_max = 1 + random_.next() % 60'000;
  options.checkpoint_bytes = 100'000 + random_.next() % 400'000;
  options.group_batches_max = 1 + random_.next() % 20;
  auto opened = open_sqlite_store(options);
  if (!opened) {
    EXPECT_NE(opened.error().code, "StoreCorrupt") << opened.error().message;
    return false;
  }
  store_ = std::move(opened).value();
  const auto epoch = store_->acquire(0);
  const auto last = store_->last_execution_no();
  if (!epoch || !last) return false;
  epoch_ = *epoch;
  next_ = *last + 1;
  return true;
}

void World::take(Mark mark) {
  store_->append(batch_of(epoch_, mark), [this, mark](Status status) {
    const Mark next = mark.step + 1 < kSteps ? Mark{mark.no, mark.step + 1} : Mark{next_++, 0};
    if (status) {
      std::int64_t& known = told_.try_emplace(mark.no, -1).first->second;
      known = std::max(known, mark.step);
      return take(next);
    }
    EXPECT_TRUE(status.error().code == "StoreFull" || status.error().code == "StoreUnavailable")
        << status.error().code << ": " << status.error().message;
    if (disk_.has_power()) {
      loop_->call_at(loop_->now().plus_ms(10), [this, mark] { take(mark); });
    }
  });
}

void World::run() {
  for (int start = 0; start < kStarts && !::testing::Test::HasFailure(); ++start) {
    if (start == kStarts - 1) faults_.end();
    if (open()) {
      verify();
      for (int i = 0; i < kWriters; ++i) take({next_++, 0});
      const std::uint64_t most = random_.next() % 500;
      for (std::uint64_t step = 0; step < most && disk_.has_power(); ++step) loop_->step();
    }
    disk_.lose_power();
    store_.reset();
    disk_.restore_power(random_);
  }
  ASSERT_TRUE(open());
  verify();
  store_.reset();
}

// Reads may fail as everything else does; what they answer must be right. So faults rest meanwhile.
void World::verify() {
  disk_.rest(true);
  const auto problems = store_->check();
  ASSERT_TRUE(problems.ok()) << problems.error().message;
  for (const std::string& problem : *problems) ADD_FAILURE() << problem;
  for (const auto& [no, step] : told_) verify_one(no, step);
  const ExecutionNo last = *store_->last_execution_no();
  for (ExecutionNo no = last > 40 ? last - 40 : 1; no <= last; ++no) {
    if (!told_.contains(no) && (*store_->find_execution(no)).has_value()) verify_one(no, 0);
  }
  // What has ended and was looked at is written no more; a few of it are looked at again.
  std::erase_if(told_,
                [&](const auto& each) { return each.second == kSteps - 1 && random_.next() % 8 != 0; });
  disk_.set_plan(
      [this](DiskOperation operation, const std::string&) { return faults_.of_disk(operation, intensity_); });
  disk_.rest(false);
}

void World::verify_one(ExecutionNo no, std::int64_t told_step) {
  const auto row = store_->find_execution(no);
  ASSERT_TRUE(row.ok() && row->has_value()) << "execution " << no << " was acknowledged and is lost";
  const std::int64_t step = std::stoll((*row)->image);
  EXPECT_GE(step, told_step) << "execution " << no << " lost acknowledged steps";
  const bool ended = step == kSteps - 1;
  EXPECT_EQ((*row)->status, ended ? ExecutionStatus::kSucceeded : ExecutionStatus::kRunning);
  const auto frames = *store_->list_frames(no);
  ASSERT_EQ(frames.size(), ended ? 0u : 1u) << "execution " << no;
  if (!ended) {
    EXPECT_EQ(std::stoll(frames[0].image), step);
  }
  EXPECT_EQ(store_->find_document("step", std::to_string(no))->value_or(""), std::to_string(step));
  const auto history = *store_->load_history(no, 1, INT64_MAX);
  ASSERT_EQ(history.size(), static_cast<std::size_t>(step + 1)) << "execution " << no;
  for (std::int64_t i = 0; i <= step; ++i) {
    EXPECT_EQ(history[static_cast<std::size_t>(i)].body, std::to_string(i));
    EXPECT_EQ((*store_->find_payload(no, static_cast<PayloadNo>(i + 1)))->body.size(), no % 3'000);
  }
  const auto lines = *store_->search_log({.stream = "event", .subject = std::to_string(no)});
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(step + 1)) << "execution " << no;
}

TEST(StoreOnDisk, KeepsWhatItAcknowledgedAndNothingByHalfWhateverTheDiskDoes) {
  FaultTally tally, sums;
  const auto run = [](std::uint64_t seed, FaultTally& faults, FaultTally& counts) -> std::string {
    World world(seed, faults);
    world.run();
    counts["writes torn"] += world.figures().writes_torn;
    counts["sectors lost"] += world.figures().sectors_lost;
    if (!::testing::Test::HasFailure()) return "";
    return "seed " + std::to_string(seed) + " fails; replay it with: make sim SEED=" + std::to_string(seed);
  };
  run_seeds(seeds_from_environment(4), run, tally, sums);
  std::printf("store on disk: %s\n%s\n", to_text(tally).c_str(), list_of(sums).c_str());
  EXPECT_GT(sums["writes torn"], 0u);
}

// Damage of what was synced is no loss of power: it is refused by name, with the way back.
TEST(StoreOnDisk, RefusesAPageThatRotted) {
  SimulatedDisk disk;
  VirtualLoop loop(Timestamp{1'800'000'000'000});
  SqliteOptions options;
  options.folder = "/disk";
  options.vfs = disk.vfs();
  options.loop = &loop;
  options.run_work = [&loop](std::function<void()> work) { loop.post(std::move(work)); };
  {
    auto store = open_sqlite_store(options);
    ASSERT_TRUE(store.ok()) << store.error().message;
    ASSERT_TRUE((*store)->acquire(0).ok());
  }
  for (std::size_t at = 0; at < 100; ++at) disk.damage("/disk/sortie.db", at);
  auto store = open_sqlite_store(options);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, "StoreCorrupt");
  EXPECT_NE(store.error().message.find("/disk/sortie.db"), std::string::npos);
  EXPECT_NE(store.error().hint.find("sortie restore"), std::string::npos);
}

}  // namespace store_on_disk
}  // namespace sortie::simulation
