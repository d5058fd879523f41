// The contract suite's other half: documents, logs, deleting, checking and copies.
#include "store/testing/store_contract.h"

namespace sortie::store {

namespace contract_tables {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace store::testing;

TEST_P(StoreContract, KeepsDocumentsByKindAndKey) {
  Batch batch;
  for (const char* key : {"b", "a", "c", "ab"})
    batch.documents.push_back({"rule", key, std::string("v-") + key});
  batch.documents.push_back({"person", "a", std::string("\0bin", 4)});
  ASSERT_TRUE(commit(batch).ok());
  Batch change;
  change.documents.push_back({"rule", "b", "changed"});
  change.documents_gone.emplace_back("rule", "c");
  change.documents_gone.emplace_back("rule", "unknown");
  ASSERT_TRUE(commit(change).ok());
  harness_.reopen();
  EXPECT_EQ(store().find_document("rule", "b")->value(), "changed");
  EXPECT_EQ(store().find_document("person", "a")->value(), std::string("\0bin", 4));
  EXPECT_FALSE(store().find_document("rule", "c")->has_value());
  auto all = *store().list_documents("rule", "", 100);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].key, "a");
  EXPECT_EQ(all[1].key, "ab");
  EXPECT_EQ(all[2].key, "b");
  auto page = *store().list_documents("rule", "a", 1);
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].key, "ab");
}

TEST_P(StoreContract, SearchesTheLog) {
  auto line = [](std::int64_t time, const char* source, const char* type, const char* subject,
                 const char* body) { return LogLine{"event", {time}, source, type, subject, body, 0}; };
  Batch batch;
  batch.log.push_back(line(10, "aws.guardduty", "GuardDuty Finding", "i-1", "one Crypto"));
  batch.log.push_back(line(20, "aws.config", "Config Change", "b-1", "two"));
  batch.log.push_back(line(30, "aws.guardduty", "GuardDuty Finding", "i-2", "three crypto"));
  batch.log.push_back({"audit", {35}, "person", "decision", "i-2", "audit one", 0});
  batch.log.push_back(line(40, "custom", "Finding", "", "four"));
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_THAT(found_bodies({.stream = "event"}), ElementsAre("four", "three crypto", "two", "one Crypto"));
  EXPECT_THAT(found_bodies({.stream = "audit"}), ElementsAre("audit one"));
  EXPECT_THAT(found_bodies({.stream = "event", .source = "aws.guardduty"}),
              ElementsAre("three crypto", "one Crypto"));
  EXPECT_THAT(found_bodies({.stream = "event", .source = "aws.*"}),
              ElementsAre("three crypto", "two", "one Crypto"));
  EXPECT_THAT(found_bodies({.stream = "event", .type = "Config Change"}), ElementsAre("two"));
  EXPECT_THAT(found_bodies({.stream = "event", .subject = "i-2"}), ElementsAre("three crypto"));
  EXPECT_THAT(found_bodies({.stream = "event", .subject = "i-*"}), ElementsAre("three crypto", "one Crypto"));
  EXPECT_THAT(found_bodies({.stream = "event", .text = "CRYPTO"}), ElementsAre("three crypto", "one Crypto"));
  EXPECT_THAT(found_bodies({.stream = "event", .from = {20}, .before = {40}}),
              ElementsAre("three crypto", "two"));
  EXPECT_THAT(found_bodies({.stream = "event", .newest_first = false, .limit = 2}),
              ElementsAre("one Crypto", "two"));
  auto first = *store().search_log({.stream = "event", .newest_first = false, .limit = 1});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].sequence, 1u);
  EXPECT_THAT(found_bodies({.stream = "event", .after_sequence = 1, .newest_first = false}),
              ElementsAre("two", "three crypto", "four"));
  EXPECT_THAT(found_bodies({.stream = "event", .before_sequence = 3}), ElementsAre("two", "one Crypto"));
}

TEST_P(StoreContract, NeverGivesALogSequenceTwice) {
  Batch batch;
  batch.log.push_back({"event", {1}, "s", "t", "", "one", 0});
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_EQ(*store().delete_log_before("event", {2}, 10), 1u);
  harness_.reopen();
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_EQ((*store().search_log({.stream = "event"}))[0].sequence, 2u);
}

TEST_P(StoreContract, DeletesLogLinesInSteps) {
  Batch batch;
  for (int i = 0; i < 10; ++i) batch.log.push_back({"event", {i}, "s", "t", "x", std::to_string(i), 0});
  batch.log.push_back({"audit", {0}, "s", "t", "x", "audit", 0});
  ASSERT_TRUE(commit(batch).ok());
  EXPECT_EQ(*store().delete_log_before("event", {8}, 5), 5u);
  EXPECT_EQ(*store().delete_log_before("event", {8}, 5), 3u);
  EXPECT_EQ(*store().delete_log_before("event", {8}, 5), 0u);
  EXPECT_THAT(found_bodies({.stream = "event"}), ElementsAre("9", "8"));
  EXPECT_THAT(found_bodies({.stream = "audit"}), ElementsAre("audit"));
}

TEST_P(StoreContract, DeletesEndedExecutionsWithAllTheyHad) {
  for (ExecutionNo no = 1; no <= 6; ++no) start(no);
  Batch payload;
  payload.payloads.push_back({2, 1, "p"});
  ASSERT_TRUE(commit(payload).ok());
  for (ExecutionNo no : {2u, 4u, 5u}) end(no, ExecutionStatus::kSucceeded, 3);
  EXPECT_EQ(*store().delete_ended_before({5'005}, 1), 1u);  // Stopped at 5002, 5004 and 5005.
  EXPECT_EQ(*store().delete_ended_before({5'005}, 10), 1u);
  EXPECT_EQ(*store().delete_ended_before({5'005}, 10), 0u);
  EXPECT_EQ(listed({.state_machine_arn = kMachine}), (std::vector<ExecutionNo>{6, 5, 3, 1}));
  EXPECT_FALSE(store().find_execution(execution(2).arn)->has_value());
  EXPECT_THAT(*store().load_history(2, 1, 100), IsEmpty());
  EXPECT_FALSE(store().find_payload(2, 1)->has_value());
  EXPECT_EQ(store().count_executions("")->by_status[1], 1u);
  EXPECT_EQ(*store().last_execution_no(), 6u);
  expect_sound();
}

TEST_P(StoreContract, CountsFollowAnExecutionThatEndsGoesOnAndIsDeleted) {
  const auto counts = [this] {
    std::string text;
    for (const char* machine : {"", kMachine}) {
      const Result<StatusCounts> counted = store().count_executions(machine);
      for (const std::uint64_t n : counted->by_status) text += std::to_string(n) + " ";
    }
    return text;
  };
  for (ExecutionNo no = 1; no <= 3; ++no) start(no);
  end(1, ExecutionStatus::kFailed, 3);
  EXPECT_EQ(counts(), "2 0 1 0 0 2 0 1 0 0 ");
  harness_.reopen();
  EXPECT_EQ(counts(), "2 0 1 0 0 2 0 1 0 0 ");
  start(1);  // Redriven.
  EXPECT_EQ(counts(), "3 0 0 0 0 3 0 0 0 0 ");
  Batch twice;  // Two images of one execution, of which the second counts.
  twice.executions.push_back(execution(2));
  twice.executions.push_back(execution(2, ExecutionStatus::kSucceeded));
  twice.ended.push_back(2);
  ASSERT_TRUE(commit(std::move(twice)).ok());
  EXPECT_EQ(counts(), "2 1 0 0 0 2 1 0 0 0 ");
  EXPECT_EQ(*store().delete_ended_before({9'999'999}, 10), 1u);
  EXPECT_EQ(counts(), "2 0 0 0 0 2 0 0 0 0 ");
  harness_.reopen();
  EXPECT_EQ(counts(), "2 0 0 0 0 2 0 0 0 0 ");
}

TEST_P(StoreContract, NeverGivesAnExecutionNumberTwice) {
  start(1);
  start(41);
  end(41, ExecutionStatus::kSucceeded, 3);
  EXPECT_EQ(*store().delete_ended_before({9'999'999}, 10), 1u);
  harness_.reopen();
  EXPECT_EQ(*store().last_execution_no(), 41u);
}

TEST_P(StoreContract, AReusedNameLeadsToTheNewExecution) {
  start(1);
  end(1, ExecutionStatus::kSucceeded, 3);
  pass_by();
  EXPECT_EQ(*store().delete_ended_before({5'002}, 10), 1u);
  ExecutionRow again = execution(2);
  again.arn = execution(1).arn;
  again.name = execution(1).name;
  Batch batch;
  batch.executions.push_back(again);
  ASSERT_TRUE(commit(batch).ok());
  pass_by();
  EXPECT_EQ((*store().find_execution(again.arn))->no, 2u);
  expect_sound();
}

TEST_P(StoreContract, EverythingIsThereAfterReopening) {
  for (ExecutionNo no = 1; no <= 30; ++no) {
    start(no);
    if (no % 4 == 0) end(no, ExecutionStatus::kSucceeded, 3);
    if (no % 10 == 0) harness_.reopen();
  }
  for (ExecutionNo no = 1; no <= 30; ++no) {
    bool ended = no % 4 == 0;
    auto row = *store().find_execution(execution(no).arn);
    ASSERT_TRUE(row.has_value()) << no;
    EXPECT_EQ(row->status, ended ? ExecutionStatus::kSucceeded : ExecutionStatus::kRunning);
    EXPECT_EQ(store().find_frame({no, 0})->has_value(), !ended);
    EXPECT_EQ(store().load_history(no, 1, 100)->size(), ended ? 2u : 1u);
  }
  expect_sound();
}

TEST_P(StoreContract, CheckFindsAFrameOfAnEndedExecutionAndAGapInAHistory) {
  start(1);
  Batch batch;
  batch.executions.push_back(execution(1, ExecutionStatus::kFailed));  // Its frame stays.
  batch.history.push_back({1, 9, 1, "gap"});
  ASSERT_TRUE(commit(batch).ok());
  for (int round = 0; round < 2; ++round) {
    auto problems = *store().check();
    ASSERT_EQ(problems.size(), 2u);
    EXPECT_EQ(problems[0], "frame 0 of execution 1 is open, but the execution has ended");
    EXPECT_EQ(problems[1], "history of execution 1 has event 9 where 3 is due");
    pass_by();
  }
}

TEST_P(StoreContract, BacksUpWhileRunningOrSaysThatItCannot) {
  start(1);
  Status done = store().backup(harness_.folder() + "/copy.db");
  if (GetParam() == Kind::kMemory || GetParam() == Kind::kPostgres) {
    EXPECT_EQ(done.error().code, "NotSupported");
    return;
  }
  ASSERT_TRUE(done.ok()) << to_text(done.error());
  start(2);
  std::string folder = harness_.folder() + "/restored";
  std::filesystem::create_directory(folder);
  std::filesystem::rename(harness_.folder() + "/copy.db", folder + "/sortie.db");
  SqliteOptions options = harness_.sqlite_options();
  options.folder = folder;
  auto copy = open_sqlite_store(options);
  ASSERT_TRUE(copy.ok()) << to_text(copy.error());
  EXPECT_TRUE((*copy)->find_execution(ExecutionNo{1})->has_value());
  EXPECT_FALSE((*copy)->find_execution(ExecutionNo{2})->has_value());
  EXPECT_EQ((*copy)->load_history(1, 1, 10)->size(), 1u);
  EXPECT_THAT(*(*copy)->check(), IsEmpty());
}

}  // namespace contract_tables

}  // namespace sortie::store
