// What the simulation leans on: the memory store's virtual disk, its faults and its crashes.
#include "store/memory/memory_store.h"

#include <gtest/gtest.h>

#include "store/testing/store_harness.h"

namespace sortie::store {

namespace memory_test {

using namespace store::testing;

Batch starting(ExecutionNo no) {
  Batch batch;
  batch.epoch = 1;
  batch.executions.push_back(execution(no));
  return batch;
}

// A store whose n-th commit meets the n-th plan; later ones meet none.
struct World {
  ManualLoop loop;
  std::vector<CommitPlan> plans;
  std::size_t asked = 0;
  bool crashed = false;
  std::vector<std::string> told;
  std::unique_ptr<MemoryStore> store;

  explicit World(std::vector<CommitPlan> all) : plans(std::move(all)) {
    MemoryFaults faults;
    faults.plan = [this](const Batch&) { return asked < plans.size() ? plans[asked++] : CommitPlan{}; };
    faults.on_crash = [this] { crashed = true; };
    store = std::make_unique<MemoryStore>(loop, MemoryImage{}, faults);
    EXPECT_EQ(*store->acquire(0), 1u);
  }
  void append(ExecutionNo no) {
    store->append(starting(no), [this, no](Status status) {
      told.push_back(std::to_string(no) + (status ? "" : " " + status.error().code));
    });
  }
  using Told = std::vector<std::string>;
};

TEST(MemoryStore, IsDurableOnlyWhenTheLoopHasRunTheCommit) {
  World world({});
  world.append(1);
  EXPECT_FALSE(world.store->find_execution(ExecutionNo{1})->has_value());
  EXPECT_TRUE(world.told.empty());
  world.loop.run_until_idle();
  EXPECT_TRUE(world.store->find_execution(ExecutionNo{1})->has_value());
  EXPECT_EQ(world.told, World::Told{"1"});
}

TEST(MemoryStore, ALateCommitHoldsBackWhatIsBehindIt) {
  World world({{}, {.delay_ms = 50}});
  for (ExecutionNo no : {1u, 2u, 3u}) world.append(no);
  world.loop.run_until_idle();
  EXPECT_EQ(world.told, World::Told{"1"});
  Timestamp start = world.loop.now();
  world.loop.advance_to(start.plus_ms(49));
  EXPECT_EQ(world.told, World::Told{"1"});
  world.loop.advance_to(start.plus_ms(50));
  EXPECT_EQ(world.told, (World::Told{"1", "2", "3"}));
}

TEST(MemoryStore, AFailedCommitFailsAllThatIsQueuedBehindIt) {
  World world({{}, {CommitFault::kStoreFull}});
  for (ExecutionNo no : {1u, 2u, 3u}) world.append(no);
  world.loop.run_until_idle();
  EXPECT_EQ(world.told, (World::Told{"1", "2 StoreFull", "3 StoreFull"}));
  EXPECT_FALSE(world.store->find_execution(ExecutionNo{3})->has_value());
  world.append(4);
  world.loop.run_until_idle();
  EXPECT_EQ(world.told.back(), "4");
}

TEST(MemoryStore, ACrashBeforeACommitLosesItAndTellsNobody) {
  World world({{}, {CommitFault::kCrashBefore}});
  for (ExecutionNo no : {1u, 2u, 3u}) world.append(no);
  world.loop.run_until_idle();
  EXPECT_TRUE(world.crashed);
  EXPECT_TRUE(world.told.empty());
  EXPECT_EQ(world.store->find_execution(ExecutionNo{1}).error().code, "StoreUnavailable");
  MemoryStore next(world.loop, world.store->crash());
  EXPECT_TRUE(next.find_execution(ExecutionNo{1})->has_value()) << "it was committed";
  EXPECT_FALSE(next.find_execution(ExecutionNo{2})->has_value());
  EXPECT_GT(*next.acquire(0), 1u);
}

TEST(MemoryStore, ACrashAfterACommitKeepsItAndTellsNobody) {
  World world({{CommitFault::kCrashAfter}});
  world.append(1);
  world.append(2);
  world.loop.run_until_idle();
  EXPECT_TRUE(world.told.empty());
  MemoryStore next(world.loop, world.store->crash());
  EXPECT_TRUE(next.find_execution(ExecutionNo{1})->has_value());
  EXPECT_FALSE(next.find_execution(ExecutionNo{2})->has_value());
}

TEST(MemoryStore, ACrashInsideACallbackSilencesTheOthers) {
  World world({});
  MemoryImage disk;
  world.store->append(starting(1), [&](Status) { disk = world.store->crash(); });
  world.append(2);
  world.loop.run_until_idle();
  EXPECT_TRUE(world.told.empty());
  EXPECT_TRUE(disk.executions.contains(2)) << "both were committed before the first was told";
}

TEST(MemoryStore, NothingIsToldAfterItsDestruction) {
  World world({});
  world.append(1);
  world.store.reset();
  world.loop.run_until_idle();
  EXPECT_TRUE(world.told.empty());
}

}  // namespace memory_test

}  // namespace sortie::store
