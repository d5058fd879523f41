// What only the PostgreSQL store has to prove: a database that comes and goes, several nodes, and inputs that
// a text column would refuse.
#include "store/postgres/postgres_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/postgres/connection.h"
#include "store/testing/store_contract.h"

namespace sortie::store {

namespace postgres_store_test {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace store::testing;

class PostgresStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string missing = missing_for(Kind::kPostgres); !missing.empty()) GTEST_SKIP() << missing;
    static int last = 0;
    options_.url = shared_cluster().url();
    options_.schema = "own_" + std::to_string(++last);
    options_.loop = &loop_;
    options_.lease_ms = 60'000;
    options_.acquire_ms_max = 0;
    options_.settle_ms = 0;
  }

  std::unique_ptr<Store> open(const std::string& address = "") {
    PostgresOptions options = options_;
    options.address = address;
    auto opened = open_postgres_store(options);
    EXPECT_TRUE(opened.ok()) << to_text(opened.error());
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
  Status commit(Store& store, Epoch epoch, Batch batch) {
    batch.epoch = epoch;
    std::optional<Status> answer;
    store.append(std::move(batch), [&](Status status) { answer = std::move(status); });
    loop_.run_until([&] { return answer.has_value(); });
    return *answer;
  }
  // As an administrator would.
  void sql(const std::string& text) {
    postgres::ConnectionOptions options;
    options.url = options_.url;
    options.schema = options_.schema;
    auto connection = postgres::Connection::open(options);
    ASSERT_TRUE(connection.ok()) << to_text(connection.error());
    Status done = (*connection)->execute(text);
    ASSERT_TRUE(done.ok()) << to_text(done.error());
  }

  ManualLoop loop_;
  PostgresOptions options_;
};

Batch step(ExecutionNo no, std::int64_t number) {
  Batch batch;
  batch.executions.push_back(execution(no));
  batch.executions[0].image = std::to_string(number);
  batch.history.push_back({no, number + 1, 1, std::to_string(number)});
  batch.log.push_back({"event", {number}, "s", "t", std::to_string(no), std::to_string(number), 0});
  return batch;
}

TEST_F(PostgresStoreTest, KeepsBytesThatNoTextColumnTakes) {
  auto store = open();
  Epoch epoch = *store->acquire(0);
  const std::string bad("nul \0 and \xff\xfe not UTF-8", 20);
  Batch batch;
  batch.executions.push_back(execution(1));
  batch.executions[0].name = bad;
  batch.executions[0].arn = "arn:" + bad;
  batch.executions[0].state_machine_arn = "machine:" + bad;
  batch.documents.push_back({bad, bad, bad});
  batch.log.push_back({bad, {1}, bad, bad, bad, bad, 0});
  ASSERT_TRUE(commit(*store, epoch, batch).ok());
  EXPECT_EQ((*store->find_execution("arn:" + bad))->state_machine_arn, "machine:" + bad);
  EXPECT_EQ(store->list_executions({.state_machine_arn = "machine:" + bad, .name_prefix = "nul"})->size(),
            1u);
  EXPECT_EQ(store->find_document(bad, bad)->value(), bad);
  EXPECT_EQ(store->search_log({.stream = bad, .source = bad, .type = "nul*", .subject = bad})->size(), 1u);
}

TEST_F(PostgresStoreTest, FindsTextsThatAreLongerThanAnIndexHolds) {
  auto store = open();
  Epoch epoch = *store->acquire(0);
  const std::string text(100'000, 's');
  Batch batch;
  batch.log.push_back({"event", {1}, text, text, text, "long", 0});
  batch.log.push_back({"event", {1}, text + "x", text + "x", text + "x", "longer", 0});
  ASSERT_TRUE(commit(*store, epoch, batch).ok());
  auto found = *store->search_log({.stream = "event", .source = text, .type = text, .subject = text});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].body, "long");
  EXPECT_EQ(store->search_log({.stream = "event", .subject = text + "*"})->size(), 2u);
}

TEST_F(PostgresStoreTest, RefusesAKeyThatNoIndexTakesAndWritesTheOthers) {
  auto store = open();
  Epoch epoch = *store->acquire(0);
  Batch too_long;
  too_long.documents.push_back({"k", std::string(5'000, 'k'), "v"});
  EXPECT_EQ(commit(*store, epoch, too_long).error().code, "LimitExceeded");
  Batch good;
  good.documents.push_back({"k", std::string(1'500, 'k'), "v"});
  EXPECT_TRUE(commit(*store, epoch, good).ok());
}

TEST_F(PostgresStoreTest, SaysWhatIsWrongWhenTheDatabaseCannotBeReached) {
  options_.url = "postgres://sortie:secret@/postgres?host=/nonexistent";
  auto refused = open_postgres_store(options_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StoreUnavailable");
  EXPECT_THAT(to_text(refused.error()), HasSubstr("/nonexistent"));
  EXPECT_THAT(to_text(refused.error()), Not(HasSubstr("secret")));
}

TEST_F(PostgresStoreTest, ShowsAUrlWithoutItsPassword) {
  EXPECT_EQ(without_password("postgres://me:pw@db:5432/x"), "postgres://me:***@db:5432/x");
  EXPECT_EQ(without_password("postgres://me@db/x?password=pw&a=b"), "postgres://me@db/x?password=***&a=b");
  EXPECT_EQ(without_password("postgres://db/x"), "postgres://db/x");
}

TEST_F(PostgresStoreTest, RefusesADatabaseOfALaterVersion) {
  open().reset();
  sql("UPDATE schema_version SET version = 999");
  auto refused = open_postgres_store(options_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StoreTooNew");
}

TEST_F(PostgresStoreTest, SeveralNodesMayMakeTheSchemaAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      auto store = open_postgres_store(options_);
      EXPECT_TRUE(store.ok()) << to_text(store.error());
      ++opened;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 6);
}

TEST_F(PostgresStoreTest, AReadOfADatabaseThatHangsEndsAndTheNextOnesDoNotWait) {
  PostgresCluster own;
  ASSERT_EQ(own.missing(), "");
  options_.url = own.url();
  auto store = open();
  ASSERT_TRUE(store->find_execution(ExecutionNo{1}).ok());
  own.freeze(true);
  EXPECT_EQ(store->find_execution(ExecutionNo{1}).error().code, "StoreUnavailable");
  // Nothing is asked while the last failure is fresh.
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(store->find_execution(ExecutionNo{1}).error().code, "StoreUnavailable");
  }
  own.freeze(false);
  Result<std::optional<ExecutionRow>> found = store->find_execution(ExecutionNo{1});
  while (!found) found = store->find_execution(ExecutionNo{1});
  EXPECT_FALSE(found->has_value());
}

TEST_F(PostgresStoreTest, AShardBelongsToOneNodeUntilThatNodeEnds) {
  auto first = open("http://first:8420");
  Epoch epoch = *first->acquire(0);
  auto second = open("http://second:8420");
  auto held = second->acquire(0);
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code, "ShardHeld");
  EXPECT_EQ(held.error().place, "http://first:8420");
  EXPECT_TRUE(second->acquire(1).ok());
  first.reset();
  auto taken = second->acquire(0);
  ASSERT_TRUE(taken.ok()) << to_text(taken.error());
  EXPECT_GT(*taken, epoch);
}

TEST_F(PostgresStoreTest, ANodeWhoseLeaseRanOutIsShutOutAndToldSo) {
  int told = 0;
  options_.on_lost = [&] { ++told; };
  auto first = open();
  options_.on_lost = nullptr;
  Epoch epoch = *first->acquire(0);
  ASSERT_TRUE(commit(*first, epoch, step(1, 0)).ok());
  auto second = open();
  sql("UPDATE node SET lease_until = clock_timestamp() - interval '1 second' WHERE id = 1");
  auto taken = second->acquire(0);
  ASSERT_TRUE(taken.ok()) << to_text(taken.error());
  EXPECT_EQ(commit(*first, epoch, step(1, 1)).error().code, "StaleEpoch");
  EXPECT_EQ((*second->find_execution(ExecutionNo{1}))->image, "0");
  EXPECT_TRUE(commit(*second, *taken, step(1, 1)).ok());
  loop_.run_until([&] { return told == 1; });
}

TEST_F(PostgresStoreTest, ANodeThatHasJustConnectedLeavesALapsedLeaseToItsHolder) {
  auto first = open("http://first:8420");
  ASSERT_TRUE(first->acquire(0).ok());
  options_.settle_ms = 60'000;
  auto second = open();
  sql("UPDATE node SET lease_until = clock_timestamp() - interval '1 second' WHERE id = 1");
  EXPECT_EQ(second->acquire(0).error().code, "ShardHeld");
  first.reset();
  EXPECT_TRUE(second->acquire(0).ok()) << "an orderly end needs no patience";
}

TEST_F(PostgresStoreTest, ANodeThatWritesNothingIsToldAsWell) {
  int told = 0;
  options_.lease_ms = 30;
  options_.on_lost = [&] { ++told; };
  auto first = open();
  ASSERT_TRUE(first->acquire(0).ok());
  sql("UPDATE shard SET epoch = epoch + 1, node = NULL");
  loop_.run_until([&] { return told == 1; });
}

TEST_F(PostgresStoreTest, TwoNodesWriteLogLinesInOneOrder) {
  auto first = open();
  auto second = open();
  Epoch one = *first->acquire(1);
  Epoch two = *second->acquire(2);
  int told = 0;
  for (int i = 0; i < 200; ++i) {
    Batch batch = step(static_cast<ExecutionNo>(i) + 1, 0);
    batch.documents.push_back({"shared", std::to_string(i % 7), std::to_string(i)});
    batch.shard = i % 2 == 0 ? 1 : 2;
    batch.epoch = i % 2 == 0 ? one : two;
    (i % 2 == 0 ? first : second)->append(std::move(batch), [&](const Status& status) {
      EXPECT_TRUE(status.ok()) << to_text(status.error());
      ++told;
    });
  }
  loop_.run_until([&] { return told == 200; });
  auto lines = *first->search_log({.stream = "event", .newest_first = false, .limit = 1'000});
  ASSERT_EQ(lines.size(), 200u);
  for (std::size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].sequence, i + 1);
  EXPECT_EQ(first->count_executions("")->by_status[0], 200u);
  EXPECT_THAT(*second->check(), IsEmpty());
}

// Several nodes: who is there, who owns what.
TEST_F(PostgresStoreTest, TellsWhichNodesAreThereAndWhoseShardIsWhose) {
  options_.address = "http://first:8420";
  SharedStore first = std::move(open_shared_postgres_store(options_)).value();
  options_.address = "http://second:8420";
  SharedStore second = std::move(open_shared_postgres_store(options_)).value();
  ASSERT_TRUE(first.store->acquire(3).ok());
  const Epoch epoch = *second.store->acquire(5);
  ASSERT_TRUE(second.sharing->announce().ok());
  const Standing seen = *first.sharing->standing();
  ASSERT_EQ(seen.nodes.size(), 2u);
  EXPECT_TRUE(seen.nodes[0].is_this);
  EXPECT_FALSE(seen.nodes[0].works);
  EXPECT_FALSE(seen.nodes[1].is_this);
  EXPECT_TRUE(seen.nodes[1].works);
  ASSERT_EQ(seen.shards.size(), 2u);
  EXPECT_EQ(seen.shards[0].no, 3u);
  EXPECT_TRUE(seen.shards[0].is_mine);
  EXPECT_EQ(seen.shards[1].no, 5u);
  EXPECT_EQ(seen.shards[1].epoch, epoch);
  EXPECT_FALSE(seen.shards[1].is_mine);
  EXPECT_EQ(seen.shards[1].address, "http://second:8420");
  second.store.reset();
  const Standing left = *first.sharing->standing();
  EXPECT_EQ(left.nodes.size(), 1u);
  EXPECT_FALSE(left.shards[1].is_held);
}

TEST_F(PostgresStoreTest, AShardThatIsGivenBackIsTakenByAnotherNodeAtOnceAndShutToTheFirst) {
  int told = 0;
  options_.on_lost = [&] { ++told; };
  SharedStore first = std::move(open_shared_postgres_store(options_)).value();
  options_.on_lost = nullptr;
  auto second = open();
  const Epoch epoch = *first.store->acquire(3);
  EXPECT_EQ(second->acquire(3).error().code, "ShardHeld");
  ASSERT_TRUE(first.sharing->release(3).ok());
  ASSERT_TRUE(second->acquire(3).ok());
  Batch late = step(3, 0);
  late.shard = 3;
  EXPECT_EQ(commit(*first.store, epoch, late).error().code, "StaleEpoch");
  loop_.run_until_idle();
  EXPECT_EQ(told, 0) << "what was given back was not lost";
}

TEST_F(PostgresStoreTest, ANodeThatLosesOneShardToItsLeaseLosesThemAll) {
  int told = 0;
  options_.on_lost = [&] { ++told; };
  auto first = open();
  options_.on_lost = nullptr;
  Epoch leads = *first->acquire(0);
  ASSERT_TRUE(first->acquire(3).ok());
  auto second = open();
  sql("UPDATE node SET lease_until = clock_timestamp() - interval '1 second' WHERE id = 1");
  ASSERT_TRUE(second->acquire(3).ok());
  // Nobody took shard 0 yet, and its epoch is the first node's; but a half-dead leader must not write.
  EXPECT_EQ(commit(*first, leads, step(1, 0)).error().code, "StaleEpoch");
  loop_.run_until([&] { return told == 1; });
  EXPECT_TRUE(second->acquire(0).ok());
}

TEST_F(PostgresStoreTest, WalksTheFramesOfOneShardAndAllFromBeforeThereWereShardsAsShardZero) {
  SharedStore store = std::move(open_shared_postgres_store(options_)).value();
  const Epoch epoch = *store.store->acquire(0);
  constexpr ExecutionNo kAbove = 20;
  Batch batch;
  for (ExecutionNo no = 1; no <= 60; ++no) {
    batch.executions.push_back(execution(no));
    for (FrameNo number : {0u, 1u}) batch.frames.push_back(frame(no, number, "f"));
  }
  ASSERT_TRUE(commit(*store.store, epoch, batch).ok());
  for (const std::size_t limit : {1u, 3u, 100u}) {
    for (ShardNo shard = 0; shard < kSharedShards; ++shard) {
      std::vector<FrameKey> wanted, seen;
      for (ExecutionNo no = 1; no <= 60; ++no) {
        if ((no <= kAbove ? 0 : no % kSharedShards) != shard) continue;
        wanted.push_back({no, 0});
        wanted.push_back({no, 1});
      }
      FrameKey after{0, 0};
      while (true) {
        auto page = *store.sharing->scan_frames_of(shard, kAbove, after, limit);
        for (const FrameRow& row : page) seen.push_back(row.key);
        if (page.size() < limit) break;
        after = page.back().key;
      }
      EXPECT_EQ(seen, wanted) << shard;
    }
  }
}

TEST_F(PostgresStoreTest, ADatabaseOfTheFirstVersionIsBroughtUpToDateWhileItsOwnerStillWrites) {
  open().reset();
  // As version 1 left it, with an execution that it counted.
  sql("DROP TABLE execution_change; DROP INDEX frame_by_shard; ALTER TABLE node DROP COLUMN works;"
      "DROP FUNCTION acquire(bigint, bigint, bigint, bigint);"
      "CREATE FUNCTION acquire(a bigint, b bigint, c bigint) RETURNS bigint LANGUAGE sql AS 'SELECT "
      "1::bigint';"
      "INSERT INTO word(value) VALUES('m');"
      "INSERT INTO execution SELECT 7, 1, 0, min(id), 0, 'arn', 'name', '' FROM word;"
      "INSERT INTO execution_count SELECT min(id), 0, 1 FROM word; UPDATE schema_version SET version = 1");
  auto store = open();
  const Epoch epoch = *store->acquire(0);
  EXPECT_EQ(store->count_executions("")->by_status[0], 1u);
  // A statement of version 1, as its owner goes on sending it.
  sql("INSERT INTO execution_count SELECT min(id), 0, 0 FROM word"
      " ON CONFLICT(machine, status) DO UPDATE SET n = execution_count.n");
  Batch batch;
  batch.executions.push_back(execution(7, ExecutionStatus::kFailed, "m"));
  batch.executions.push_back(execution(8, ExecutionStatus::kRunning, "m"));
  ASSERT_TRUE(commit(*store, epoch, batch).ok());
  EXPECT_EQ(store->count_executions("m")->by_status[0], 1u);
  EXPECT_EQ(store->count_executions("m")->by_status[2], 1u);
  EXPECT_EQ(*store->delete_ended_before({1'000'000}, 10), 1u);
  EXPECT_EQ(store->count_executions("m")->by_status[2], 0u);
  EXPECT_THAT(*store->check(), IsEmpty());
}

// Writes without end while `disturb` does its worst; then everything that was said must be true.
void survive(Store& store, ManualLoop& loop, Epoch epoch, const std::function<void(int)>& disturb) {
  constexpr int kWriters = 16;
  std::map<ExecutionNo, std::int64_t> durable;
  int failures = 0, running = kWriters, rounds = 0;
  bool enough = false;
  std::function<void(ExecutionNo, std::int64_t)> write = [&](ExecutionNo no, std::int64_t number) {
    if (enough) {
      --running;
      return;
    }
    Batch batch = step(no, number);
    batch.epoch = epoch;
    store.append(std::move(batch), [&, no, number](const Status& status) {
      if (status) durable[no] = number;
      if (!status) ++failures;
      write(no, status ? number + 1 : number);
    });
  };
  for (ExecutionNo no = 1; no <= kWriters; ++no) write(no, 0);
  for (; rounds < 4; ++rounds) {
    std::int64_t before = durable[1];
    loop.run_until([&] { return durable[1] >= before + 10; });
    disturb(rounds);
  }
  std::int64_t before = durable[1];
  loop.run_until([&] { return durable[1] >= before + 5; });
  enough = true;
  loop.run_until([&] { return running == 0; });
  EXPECT_EQ(failures, 0);
  // Writes are back; reads are refused for a moment more without asking.
  while (!store.find_execution(ExecutionNo{1})) std::this_thread::yield();
  for (const auto& [no, number] : durable) {
    EXPECT_EQ((*store.find_execution(no))->image, std::to_string(number));
    EXPECT_EQ(store.load_history(no, 1, INT64_MAX)->size(), static_cast<std::size_t>(number) + 1);
    // A group that was sent twice would leave its lines twice.
    auto lines = *store.search_log({.stream = "event", .subject = std::to_string(no), .limit = 100'000});
    EXPECT_EQ(lines.size(), static_cast<std::size_t>(number) + 1) << no;
  }
  auto problems = store.check();
  ASSERT_TRUE(problems.ok()) << to_text(problems.error());
  EXPECT_THAT(*problems, IsEmpty());
}

TEST_F(PostgresStoreTest, GoesOnWhenItsConnectionsAreCut) {
  options_.outage_ms_max = 60'000;
  auto store = open();
  Epoch epoch = *store->acquire(0);
  survive(*store, loop_, epoch, [&](int) {
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND"
        " application_name LIKE 'sortie%'");
  });
}

TEST_F(PostgresStoreTest, GoesOnWhenTheDatabaseRestartsOrDies) {
  PostgresCluster own;
  ASSERT_EQ(own.missing(), "");
  options_.url = own.url();
  options_.outage_ms_max = 60'000;
  auto store = open();
  Epoch epoch = *store->acquire(0);
  survive(*store, loop_, epoch, [&](int round) {
    own.kill_server(round % 2 == 0 ? SIGINT : SIGQUIT);
    EXPECT_EQ(store->find_execution(ExecutionNo{1}).error().code, "StoreUnavailable");
    own.start();
  });
}

TEST_F(PostgresStoreTest, RefusesNewWorkWhileTheDatabaseIsAwayAndKeepsWhatItTook) {
  PostgresCluster own;
  ASSERT_EQ(own.missing(), "");
  options_.url = own.url();
  options_.outage_ms_max = 0;
  auto store = open();
  Epoch epoch = *store->acquire(0);
  own.kill_server(SIGQUIT);
  std::optional<Status> taken;
  Batch batch = step(1, 0);
  batch.epoch = epoch;
  store->append(std::move(batch), [&](const Status& status) { taken = status; });
  // Until the loss is noticed, more is taken.
  Status refused;
  while (refused) {
    store->append(step(2, 0), [&](const Status& status) { refused = status; });
    loop_.run_until_idle();
    std::this_thread::yield();
  }
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StoreUnavailable");
  EXPECT_FALSE(taken.has_value());
  own.start();
  loop_.run_until([&] { return taken.has_value(); });
  EXPECT_TRUE(taken->ok());
  EXPECT_EQ((*store->find_execution(ExecutionNo{1}))->image, "0");
}

}  // namespace postgres_store_test

}  // namespace sortie::store
