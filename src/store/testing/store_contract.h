#pragma once
// The fixture of the contract suite: a harness of the kind under test and the steps that its tests share.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "store/testing/store_harness.h"

namespace sortie::store::testing {

class StoreContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (std::string missing = missing_for(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
  }
  StoreHarness harness_{GetParam()};

  Store& store() { return harness_.store(); }
  Status commit(Batch batch) { return harness_.commit(std::move(batch)); }
  // Something of no interest, so that stores which move things along do so.
  void pass_by() {
    for (int i = 0; i < 3; ++i) {
      Batch batch;
      batch.executions.push_back(execution(1'000'000 + ++passed_, ExecutionStatus::kAborted, "arn:other"));
      ASSERT_TRUE(commit(std::move(batch)).ok());
    }
  }
  void start(ExecutionNo no) {
    Batch batch;
    batch.executions.push_back(execution(no));
    batch.frames.push_back(frame(no, 0, "top"));
    batch.history.push_back({no, 1, 2, "h1"});
    ASSERT_TRUE(commit(std::move(batch)).ok());
  }
  void end(ExecutionNo no, ExecutionStatus status, std::int64_t next_event_id) {
    Batch batch;
    batch.executions.push_back(execution(no, status));
    batch.history.push_back({no, next_event_id, 1, "end"});
    batch.ended.push_back(no);
    ASSERT_TRUE(commit(std::move(batch)).ok());
  }
  std::vector<ExecutionNo> listed(const ExecutionQuery& query) {
    std::vector<ExecutionNo> numbers;
    auto rows = store().list_executions(query);
    EXPECT_TRUE(rows.ok());
    if (rows.ok()) {
      for (const ExecutionRow& row : *rows) numbers.push_back(row.no);
    }
    return numbers;
  }
  std::vector<std::string> found_bodies(const LogQuery& query) {
    std::vector<std::string> texts;
    auto lines = store().search_log(query);
    EXPECT_TRUE(lines.ok());
    if (lines.ok()) {
      for (const LogLine& line : *lines) texts.push_back(line.body);
    }
    return texts;
  }
  void expect_sound() {
    auto problems = store().check();
    ASSERT_TRUE(problems.ok()) << to_text(problems.error());
    EXPECT_THAT(*problems, ::testing::IsEmpty());
  }

 private:
  ExecutionNo passed_ = 0;
};

}  // namespace sortie::store::testing
