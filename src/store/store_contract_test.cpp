// What every store promises (store.h), asked of all of them. The SQLite store is asked three times: with
// everything still in its overlay, with everything folded into its tables, and with a mixture.
#include "store/testing/store_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace sortie::store {

namespace contract {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using namespace store::testing;

TEST_P(StoreContract, IsEmptyAtFirst) {
  EXPECT_FALSE(store().find_execution("arn:none")->has_value());
  EXPECT_FALSE(store().find_execution(ExecutionNo{1})->has_value());
  EXPECT_FALSE(store().find_frame({1, 0})->has_value());
  EXPECT_FALSE(store().find_payload(1, 1)->has_value());
  EXPECT_FALSE(store().find_document("rule", "a")->has_value());
  EXPECT_THAT(*store().list_executions({}), IsEmpty());
  EXPECT_THAT(*store().list_frames(1), IsEmpty());
  EXPECT_THAT(*store().scan_frames({}, 10), IsEmpty());
  EXPECT_THAT(*store().load_history(1, 1, 100), IsEmpty());
  EXPECT_THAT(*store().search_log({}), IsEmpty());
  EXPECT_EQ(*store().last_execution_no(), 0u);
  expect_sound();
}

TEST_P(StoreContract, GivesBackAnExecutionExactlyAsItWasWritten) {
  ExecutionRow row = execution(7, ExecutionStatus::kFailed);
  row.image = std::string("binary \0 image \xff", 16);
  row.started_at = {-1};
  row.stopped_at = kNever;
  Batch batch;
  batch.executions.push_back(row);
  ASSERT_TRUE(commit(batch).ok());
  for (int round = 0; round < 2; ++round) {
    for (const auto& found : {store().find_execution(row.arn), store().find_execution(ExecutionNo{7})}) {
      ASSERT_TRUE(found.ok() && found->has_value());
      EXPECT_EQ((*found)->no, 7u);
      EXPECT_EQ((*found)->arn, row.arn);
      EXPECT_EQ((*found)->state_machine_arn, row.state_machine_arn);
      EXPECT_EQ((*found)->name, row.name);
      EXPECT_EQ((*found)->status, row.status);
      EXPECT_EQ((*found)->started_at, row.started_at);
      EXPECT_EQ((*found)->stopped_at, row.stopped_at);
      EXPECT_EQ((*found)->image, row.image);
    }
    pass_by();
  }
}

TEST_P(StoreContract, FindsAnExecutionWhoseArnDoesNotEndWithItsName) {
  ExecutionRow row = execution(3);
  row.arn = "arn:aws:states:us-east-1:123456789012:express:Contain:run-3:4f7a";
  Batch batch;
  batch.executions.push_back(row);
  ASSERT_TRUE(commit(batch).ok());
  pass_by();
  EXPECT_EQ((*store().find_execution(row.arn))->name, "run-3");
  EXPECT_EQ(listed({.name_prefix = "run-3"}), std::vector<ExecutionNo>{3});
}

TEST_P(StoreContract, ReplacesAnExecutionAsAWhole) {
  start(1);
  ExecutionRow row = execution(1, ExecutionStatus::kSucceeded);
  row.image = "";
  Batch batch;
  batch.executions.push_back(row);
  batch.ended.push_back(1);
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_EQ((*store().find_execution(ExecutionNo{1}))->image, "");
  pass_by();
  EXPECT_EQ((*store().find_execution(row.arn))->status, ExecutionStatus::kSucceeded);
  expect_sound();
}

TEST_P(StoreContract, TellsDoneInTheOrderOfAppending) {
  std::vector<int> order;
  for (int i = 0; i < 50; ++i) {
    Batch batch;
    batch.epoch = harness_.epoch();
    batch.executions.push_back(execution(static_cast<ExecutionNo>(i) + 1));
    store().append(std::move(batch), [&order, i](Status status) {
      EXPECT_TRUE(status.ok());
      order.push_back(i);
    });
  }
  EXPECT_THAT(order, IsEmpty()) << "nothing may be told inside append";
  harness_.loop().run_until([&] { return order.size() == 50; });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST_P(StoreContract, TheLastOfSeveralQueuedImagesWins) {
  int told = 0;
  for (int i = 0; i < 20; ++i) {
    Batch batch;
    batch.epoch = harness_.epoch();
    batch.executions.push_back(execution(1));
    batch.frames.push_back(frame(1, 0, "step " + std::to_string(i)));
    store().append(std::move(batch), [&](Status) { ++told; });
  }
  harness_.loop().run_until([&] { return told == 20; });
  EXPECT_EQ((*store().find_frame({1, 0}))->image, "step 19");
}

TEST_P(StoreContract, AcceptsABatchWithoutAnythingAndABatchWithoutACallback) {
  EXPECT_TRUE(commit({}).ok());
  Batch batch;
  batch.epoch = harness_.epoch();
  batch.documents.push_back({"k", "a", "1"});
  store().append(std::move(batch), nullptr);
  EXPECT_TRUE(commit({}).ok());
  EXPECT_EQ(store().find_document("k", "a")->value(), "1");
}

TEST_P(StoreContract, RefusesAStaleEpochAndWritesNothingOfIt) {
  Epoch old = harness_.epoch();
  Epoch current = *store().acquire(0);
  EXPECT_GT(current, old);
  Batch batch;
  batch.epoch = old;
  batch.executions.push_back(execution(1));
  batch.documents.push_back({"k", "a", "1"});
  batch.log.push_back({.stream = "event"});
  Status refused = harness_.commit_as_is(batch);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "StaleEpoch");
  EXPECT_FALSE(store().find_execution(ExecutionNo{1})->has_value());
  EXPECT_FALSE(store().find_document("k", "a")->has_value());
  EXPECT_THAT(*store().search_log({.stream = "event"}), IsEmpty());
  batch.epoch = current;
  EXPECT_TRUE(harness_.commit_as_is(batch).ok());
  batch.shard = 9;  // Never acquired.
  EXPECT_EQ(harness_.commit_as_is(batch).error().code, "StaleEpoch");
}

TEST_P(StoreContract, FencesEachShardByItself) {
  Epoch other = *store().acquire(1);
  static_cast<void>(store().acquire(1));
  Batch mine;
  mine.executions.push_back(execution(1));
  EXPECT_TRUE(commit(mine).ok());
  Batch stale;
  stale.shard = 1;
  stale.epoch = other;
  stale.executions.push_back(execution(2));
  EXPECT_EQ(harness_.commit_as_is(stale).error().code, "StaleEpoch");
}

TEST_P(StoreContract, FencesWhatTheLeaderGivesByShardZeroToo) {
  const Epoch lead = *store().acquire(0), own = *store().acquire(1);
  Batch first;
  first.shard = 1;
  first.epoch = own;
  first.leader_epoch = lead;
  first.executions.push_back(execution(1));
  EXPECT_TRUE(harness_.commit_as_is(first).ok());
  static_cast<void>(store().acquire(0));
  Batch second = first;
  second.executions = {execution(2)};
  EXPECT_EQ(harness_.commit_as_is(second).error().code, "StaleEpoch");
  EXPECT_FALSE(store().find_execution(ExecutionNo{2})->has_value());
  second.leader_epoch = 0;
  EXPECT_TRUE(harness_.commit_as_is(second).ok());
}

TEST_P(StoreContract, EpochsGrowAcrossReopening) {
  Epoch before = harness_.epoch();
  harness_.reopen();
  EXPECT_GT(harness_.epoch(), before);
}

TEST_P(StoreContract, RefusesNumbersThatNoStoreCanHold) {
  for (int which = 0; which < 4; ++which) {
    Batch batch;
    if (which == 0) batch.executions.push_back(execution(0));
    if (which == 1) batch.frames.push_back(frame(UINT64_MAX, 0, "x"));
    if (which == 2) batch.history.push_back({1, 0, 1, "x"});
    if (which == 3) batch.history.push_back({1, 1, 0, "x"});
    Status refused = commit(batch);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, "LimitExceeded");
  }
}

TEST_P(StoreContract, KeepsFramesUntilTheyAreGone) {
  start(1);
  Batch fork;
  for (FrameNo number : {5u, 2u, 9u})
    fork.frames.push_back(frame(1, number, "f" + std::to_string(number), {77}));
  ASSERT_TRUE(commit(fork).ok());
  pass_by();
  Batch join;
  join.frames_gone = {{1, 5}, {1, 404}};
  join.frames.push_back(frame(1, 2, "f2 again"));
  ASSERT_TRUE(commit(join).ok());
  for (int round = 0; round < 2; ++round) {
    auto rows = *store().list_frames(1);
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0].key.frame, 0u);
    EXPECT_EQ(rows[0].wake_at, kNever);
    EXPECT_EQ(rows[1].image, "f2 again");
    EXPECT_EQ(rows[2].image, "f9");
    EXPECT_EQ(rows[2].wake_at, Timestamp{77});
    EXPECT_FALSE(store().find_frame({1, 5})->has_value());
    EXPECT_EQ((*store().find_frame({1, 9}))->image, "f9");
    pass_by();
  }
  expect_sound();
}

TEST_P(StoreContract, AFrameThatComesAndGoesInOneBatchIsGone) {
  start(1);
  Batch batch;
  batch.frames.push_back(frame(1, 4, "x"));
  batch.frames_gone.push_back({1, 4});
  batch.documents.push_back({"k", "a", "1"});
  batch.documents_gone.emplace_back("k", "a");
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_FALSE(store().find_frame({1, 4})->has_value());
  EXPECT_FALSE(store().find_document("k", "a")->has_value());
}

TEST_P(StoreContract, AnEndedExecutionHasNoFramesButKeepsHistoryAndPayloads) {
  start(1);
  Batch more;
  for (FrameNo number = 1; number <= 3; ++number) more.frames.push_back(frame(1, number, "branch"));
  more.payloads.push_back({1, 1, "payload"});
  more.history.push_back({1, 3, 4, "h3"});
  ASSERT_TRUE(commit(more).ok());
  pass_by();
  end(1, ExecutionStatus::kSucceeded, 7);
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(*store().list_frames(1), IsEmpty());
    EXPECT_FALSE(store().find_frame({1, 2})->has_value());
    EXPECT_THAT(*store().scan_frames({}, 10), IsEmpty());
    EXPECT_THAT(bodies(*store().load_history(1, 1, 1000)),
                ElementsAre(Pair(1, "h1"), Pair(3, "h3"), Pair(7, "end")));
    EXPECT_EQ((*store().find_payload(1, 1))->body, "payload");
    pass_by();
  }
  harness_.reopen();
  EXPECT_THAT(bodies(*store().load_history(1, 1, 1000)),
              ElementsAre(Pair(1, "h1"), Pair(3, "h3"), Pair(7, "end")));
  expect_sound();
}

TEST_P(StoreContract, AnEndedExecutionMayGoOnAndEndAgain) {
  start(1);
  end(1, ExecutionStatus::kFailed, 3);
  pass_by();
  Batch redrive;
  redrive.executions.push_back(execution(1));
  redrive.frames.push_back(frame(1, 0, "again"));
  redrive.history.push_back({1, 4, 1, "redriven"});
  ASSERT_TRUE(commit(redrive).ok());
  EXPECT_EQ((*store().find_frame({1, 0}))->image, "again");
  expect_sound();
  pass_by();
  EXPECT_EQ((*store().find_frame({1, 0}))->image, "again");
  end(1, ExecutionStatus::kSucceeded, 5);
  pass_by();
  EXPECT_THAT(bodies(*store().load_history(1, 1, 1000)),
              ElementsAre(Pair(1, "h1"), Pair(3, "end"), Pair(4, "redriven"), Pair(5, "end")));
  expect_sound();
}

TEST_P(StoreContract, ScansOpenFramesInKeyOrderFromAnyPlace) {
  std::set<FrameKey> expected;
  for (ExecutionNo no : {4u, 1u, 9u, 3u}) {
    start(no);
    expected.insert({no, 0});
    Batch batch;
    batch.frames.push_back(frame(no, 7, "seven"));
    expected.insert({no, 7});
    ASSERT_TRUE(commit(batch).ok());
  }
  end(9, ExecutionStatus::kAborted, 3);
  expected.erase({9, 0});
  expected.erase({9, 7});
  for (std::size_t limit : {1u, 2u, 3u, 100u}) {
    std::vector<FrameKey> seen;
    FrameKey after{};
    for (;;) {
      auto rows = *store().scan_frames(after, limit);
      if (rows.empty()) break;
      EXPECT_LE(rows.size(), limit);
      for (const FrameRow& row : rows) seen.push_back(row.key);
      after = rows.back().key;
    }
    EXPECT_EQ(seen, std::vector<FrameKey>(expected.begin(), expected.end())) << "in steps of " << limit;
  }
}

TEST_P(StoreContract, LoadsHistoryByRangesAcrossChunks) {
  start(1);
  std::int64_t next = 3;
  for (int i = 0; i < 12; ++i) {
    Batch batch;
    batch.history.push_back({1, next, 3, "from " + std::to_string(next)});
    next += 3;
    ASSERT_TRUE(commit(batch).ok());
  }
  auto expect_ranges = [&] {
    EXPECT_THAT(bodies(*store().load_history(1, 4, 1)), ElementsAre(Pair(3, "from 3")));
    EXPECT_THAT(bodies(*store().load_history(1, 5, 2)), ElementsAre(Pair(3, "from 3"), Pair(6, "from 6")));
    EXPECT_THAT(bodies(*store().load_history(1, 2, 2)), ElementsAre(Pair(1, "h1"), Pair(3, "from 3")));
    EXPECT_THAT(*store().load_history(1, 1'000, 5), IsEmpty());
    EXPECT_THAT(*store().load_history(1, 1, 0), IsEmpty());
    EXPECT_THAT(*store().load_history(2, 1, 10), IsEmpty());
    auto all = *store().load_history(1, 1, INT64_MAX);
    ASSERT_GE(all.size(), 13u);
    std::int64_t expected = 1;
    for (const HistoryChunk& chunk : all) {
      EXPECT_EQ(chunk.first_event_id, expected);
      expected += chunk.count;
    }
  };
  expect_ranges();
  pass_by();
  expect_ranges();
  harness_.reopen();
  expect_ranges();
  end(1, ExecutionStatus::kSucceeded, next);
  pass_by();
  expect_ranges();
  expect_sound();
}

TEST_P(StoreContract, KeepsPayloadsOfAnySizeAndTheLastOfANumber) {
  std::string large(300'000, 'x');
  large[150'000] = '\0';
  start(1);
  Batch batch;
  batch.payloads.push_back({1, 1, large});
  batch.payloads.push_back({1, 2, ""});
  ASSERT_TRUE(commit(batch).ok());
  pass_by();
  Batch again;
  again.payloads.push_back({1, 2, "second"});
  ASSERT_TRUE(commit(again).ok());
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ((*store().find_payload(1, 1))->body, large);
    EXPECT_EQ((*store().find_payload(1, 2))->body, "second");
    EXPECT_FALSE(store().find_payload(1, 3)->has_value());
    EXPECT_FALSE(store().find_payload(2, 1)->has_value());
    if (round == 0) pass_by();
    if (round == 1) end(1, ExecutionStatus::kSucceeded, 3);
    if (round == 1) pass_by();
  }
  expect_sound();
}

TEST_P(StoreContract, ListsExecutionsNewestFirstInPages) {
  for (ExecutionNo no = 1; no <= 25; ++no) start(no);
  std::vector<ExecutionNo> seen;
  ExecutionQuery query{.limit = 4};
  for (;;) {
    auto page = listed(query);
    if (page.empty()) break;
    EXPECT_LE(page.size(), 4u);
    seen.insert(seen.end(), page.begin(), page.end());
    query.before = page.back();
  }
  ASSERT_EQ(seen.size(), 25u);
  for (ExecutionNo no = 25; no >= 1; --no) EXPECT_EQ(seen[25 - no], no);
  EXPECT_EQ((*store().list_executions({.limit = 1}))[0].image, "") << "listings leave images out";
}

TEST_P(StoreContract, FiltersExecutions) {
  const std::string other = "arn:aws:states:us-east-1:123456789012:stateMachine:Other";
  for (ExecutionNo no = 1; no <= 12; ++no) {
    Batch batch;
    batch.executions.push_back(execution(no, ExecutionStatus::kRunning, no % 3 == 0 ? other : kMachine));
    ASSERT_TRUE(commit(batch).ok());
  }
  pass_by();
  for (ExecutionNo no : {2u, 3u, 12u}) {
    Batch batch;
    batch.executions.push_back(execution(no, ExecutionStatus::kFailed, no % 3 == 0 ? other : kMachine));
    batch.ended.push_back(no);
    ASSERT_TRUE(commit(batch).ok());
  }
  for (int round = 0; round < 2; ++round) {
    using Numbers = std::vector<ExecutionNo>;
    EXPECT_EQ(listed({.state_machine_arn = other}), (Numbers{12, 9, 6, 3}));
    EXPECT_EQ(listed({.status = ExecutionStatus::kFailed}), (Numbers{12, 3, 2}));
    EXPECT_EQ(listed({.state_machine_arn = other, .status = ExecutionStatus::kFailed}), (Numbers{12, 3}));
    EXPECT_EQ(listed({.state_machine_arn = kMachine, .status = ExecutionStatus::kRunning, .limit = 3}),
              (Numbers{11, 10, 8}));
    EXPECT_EQ(listed({.state_machine_arn = kMachine, .name_prefix = "run-1"}), (Numbers{11, 10, 1}));
    EXPECT_EQ(listed({.state_machine_arn = kMachine, .started_from = {1'004}, .started_before = {1'008}}),
              (Numbers{7, 5, 4}));
    EXPECT_EQ(listed({.state_machine_arn = other, .before = 9}), (Numbers{6, 3}));
    EXPECT_THAT(listed({.state_machine_arn = "arn:unknown"}), IsEmpty());
    EXPECT_EQ(store().count_executions(other)->by_status[0], 2u);
    EXPECT_EQ(store().count_executions(other)->by_status[2], 2u);
    EXPECT_EQ(store().count_executions(kMachine)->by_status[0], 7u);
    EXPECT_THAT(*store().count_running(), ElementsAre(Pair(kMachine, 7u), Pair(other, 2u)));
    EXPECT_EQ(store().count_executions("")->by_status[2], 3u);
    EXPECT_EQ(store().count_executions("arn:unknown")->by_status[0], 0u);
    pass_by();
  }
  expect_sound();
}

// What `found` numbers say, without those that have been deleted.
std::vector<ExecutionNo> found_by(Store& store, const TermQuery& query) {
  auto found = store.find_by_terms(query);
  EXPECT_TRUE(found.ok());
  std::vector<ExecutionNo> there;
  for (const ExecutionNo no : found.ok() ? *found : std::vector<ExecutionNo>()) {
    if (store.find_execution(no)->has_value()) there.push_back(no);
  }
  return there;
}

TEST_P(StoreContract, FindsExecutionsByTermsAndNames) {
  if (!store().keeps_terms()) GTEST_SKIP() << "this store keeps no terms";
  using Numbers = std::vector<ExecutionNo>;
  for (ExecutionNo no = 1; no <= 12; ++no) {
    Batch batch;
    batch.executions.push_back(execution(no));
    batch.terms.push_back({no, batch.executions[0].name, {7, static_cast<std::uint32_t>(100 + no % 3)}});
    ASSERT_TRUE(commit(batch).ok());
  }
  pass_by();
  Batch later;  // Terms add up, whoever tells them and whenever.
  later.terms.push_back({5, "", {900}});
  later.terms.push_back({6, "Another-Name", {900, 0xFFFF'FFFF}});
  ASSERT_TRUE(commit(later).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(found_by(store(), {.terms = {{101}}}), (Numbers{10, 7, 4, 1}));
    EXPECT_EQ(found_by(store(), {.terms = {{101, 900}}}), (Numbers{10, 7, 6, 5, 4, 1})) << "any of them";
    EXPECT_EQ(found_by(store(), {.terms = {{7}, {900}, {102}}}), (Numbers{5})) << "all of them";
    EXPECT_EQ(found_by(store(), {.terms = {{7}}, .from = 4, .before = 9, .limit = 3}), (Numbers{8, 7, 6}));
    EXPECT_EQ(found_by(store(), {.terms = {{0xFFFF'FFFF}}}), (Numbers{6}));
    EXPECT_THAT(found_by(store(), {.terms = {{8}}}), IsEmpty());
    EXPECT_EQ(found_by(store(), {.name = "RUN-1"}), (Numbers{1}));
    EXPECT_EQ(found_by(store(), {.name = "Run-1", .name_is_prefix = true}), (Numbers{12, 11, 10, 1}));
    EXPECT_EQ(found_by(store(), {.terms = {{101}}, .name = "run-1", .name_is_prefix = true}),
              (Numbers{10, 1}));
    EXPECT_EQ(found_by(store(), {.name = "another-", .name_is_prefix = true}), (Numbers{6}));
    EXPECT_THAT(found_by(store(), {.name = "run-", .before = 1}), IsEmpty());
    pass_by();
    harness_.reopen();
  }
  expect_sound();
}

TEST_P(StoreContract, FindsByTermsOnlyRowsOfTheRangesThatAreAskedFor) {
  if (!store().keeps_terms()) GTEST_SKIP() << "this store keeps no terms";
  using Numbers = std::vector<ExecutionNo>;
  const std::string other = "arn:aws:states:us-east-1:123456789012:stateMachine:other";
  const auto status_of = [](ExecutionNo no) {
    return static_cast<ExecutionStatus>(no % 7 == 0 ? 2 : no % 5 == 0 ? 1 : 0);
  };
  for (ExecutionNo no = 1; no <= 60; ++no) {
    Batch batch;
    batch.executions.push_back(execution(no, status_of(no)));
    if (no % 3 == 0) batch.executions[0].state_machine_arn = other;
    batch.terms.push_back({no, "", {7, static_cast<std::uint32_t>(100 + no % 2)}});
    ASSERT_TRUE(commit(batch).ok());
  }
  pass_by();
  Batch later;  // What was running has ended; who knows terms from before still finds it by its row of now.
  later.executions.push_back(execution(1, ExecutionStatus::kFailed));
  later.executions.push_back(execution(14, ExecutionStatus::kRunning));
  ASSERT_TRUE(commit(later).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(found_by(store(), {.terms = {{7}}, .rows = {{"", ExecutionStatus::kFailed}}}),
              (Numbers{56, 49, 42, 35, 28, 21, 7, 1}));
    EXPECT_EQ(found_by(store(), {.terms = {{101}}, .rows = {{"", ExecutionStatus::kFailed}}}),
              (Numbers{49, 35, 21, 7, 1}));
    EXPECT_EQ(found_by(store(), {.terms = {{7}},
                                 .rows = {{other, ExecutionStatus::kFailed},
                                          {kMachine, ExecutionStatus::kSucceeded}}}),
              (Numbers{55, 50, 42, 40, 25, 21, 20, 10, 5}));
    EXPECT_EQ(
        found_by(store(), {.terms = {{100}}, .before = 40, .limit = 3, .rows = {{other, std::nullopt}}}),
        (Numbers{36, 30, 24}));
    EXPECT_EQ(
        found_by(store(), {.from = 20,
                           .before = 50,
                           .rows = {{"", ExecutionStatus::kFailed}, {"", ExecutionStatus::kSucceeded}}}),
        (Numbers{49, 45, 42, 40, 35, 30, 28, 25, 21, 20}))
        << "rows alone";
    EXPECT_THAT(found_by(store(), {.terms = {{7}},
                                   .rows = {{"", ExecutionStatus::kAborted}, {"arn:unknown", std::nullopt}}}),
                IsEmpty());
    std::string names;
    const std::vector<ExecutionRow> rows = *store().find_executions({9, 1, 1'000, 14});
    for (const ExecutionRow& row : rows) {
      names += row.name + " ";
      EXPECT_EQ(row.image, "");
    }
    EXPECT_EQ(names, "run-9 run-1 run-14 ");
    pass_by();
    harness_.reopen();
  }
  expect_sound();
}

INSTANTIATE_TEST_SUITE_P(All, StoreContract,
                         ::testing::Values(Kind::kMemory, Kind::kSqlite, Kind::kSqliteFolded,
                                           Kind::kSqliteMixed, Kind::kPostgres),
                         [](const auto& each) { return name_of(each.param); });

}  // namespace contract

}  // namespace sortie::store
