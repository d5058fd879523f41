// Where searches take their rows from: the narrowest place, and every row that fits.
#include "api/execution_rows.h"

#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"
#include "store/memory/memory_store.h"
#include "store/search_terms.h"

namespace sortie::api {
namespace {

const Timestamp kRowsBegan{1'700'000'000'000};
constexpr const char* kMachinePrefix = "arn:aws:states:us-east-1:123456789012:stateMachine:";

class ExecutionRows : public ::testing::Test {
 protected:
  ExecutionRows() { epoch_ = *store_.acquire(0); }

  // Executions 1 to 40: of "a", every third of "b", every tenth failed; inputs name the number.
  void fill(bool with_terms) {
    store::Batch batch;
    for (store::ExecutionNo no = 1; no <= 40; ++no) {
      const std::string number = std::to_string(no);
      const auto status = no % 10 == 0 ? store::ExecutionStatus::kFailed : store::ExecutionStatus::kRunning;
      batch.executions.push_back({no, "arn:" + number, kMachinePrefix + std::string(no % 3 == 0 ? "b" : "a"),
                                  "Night-" + number, status, kRowsBegan, kRowsBegan, "image"});
      if (!with_terms) continue;
      const json::Value input =
          json::Value::object({{"ids", json::Value::array({json::Value("I-" + number), json::Value("all")})},
                               {"severity", no == 7 ? "CRITICAL" : "LOW"}});
      store::TermRow terms{no, "Night-" + number,
                           store::terms_at_start(input, {Actor::Kind::kRule, no == 9 ? "rare" : "often"})};
      const std::string cause = "The instance i-" + number + " did not stop.";
      if (status == store::ExecutionStatus::kFailed) {
        for (const std::uint32_t term : store::terms_at_end("States.Timeout", cause))
          terms.terms.push_back(term);
      }
      batch.terms.push_back(std::move(terms));
    }
    if (with_terms) batch.documents.push_back(store::terms_from_document(from_));
    batch.epoch = epoch_;
    store_.append(std::move(batch), [](const Status& status) { EXPECT_TRUE(status.ok()); });
    loop_.advance_ms(1);
  }

  // All numbers that a search is offered, by pages of `most`; `pages` counts them.
  std::vector<store::ExecutionNo> offered(const std::string& text, std::size_t most = 7) {
    const ExecutionSearch search = parse_execution_search(text, kRowsBegan).value();
    RowPlanner planner;
    planner.machine_arn = [](const std::string& name) { return name == "gone" ? "" : kMachinePrefix + name; };
    planner.waiting = [] { return std::vector<std::string>{"arn:4", "arn:gone", "arn:31"}; };
    const RowPlan plan = plan_rows(search, {}, store_, planner).value();
    std::vector<store::ExecutionNo> numbers;
    store::ExecutionNo before = UINT64_MAX;
    for (pages = 1;; ++pages) {
      const RowPage page = next_rows(store_, plan, before, most).value();
      for (const store::ExecutionRow& row : page.rows) {
        EXPECT_LT(row.no, before);
        numbers.push_back(before = row.no);
      }
      if (page.reached != 0) before = page.reached;
      if (!page.more || pages > 50) return numbers;
    }
  }
  using Numbers = std::vector<store::ExecutionNo>;

  std::size_t pages = 0;
  store::ExecutionNo from_ = 1;
  fakes::ManualLoop loop_;
  store::MemoryStore store_{loop_};
  store::Epoch epoch_ = 0;
};

TEST_F(ExecutionRows, WhatHasTermsIsFoundByThemInOnePage) {
  fill(true);
  EXPECT_EQ(offered("resource:i-17"), Numbers{17});
  EXPECT_EQ(pages, 1u);
  EXPECT_EQ(offered("resource:i-17,I-3"), (Numbers{17, 3}));
  EXPECT_EQ(offered("resource:all resource:i-5"), Numbers{5});
  EXPECT_EQ(offered("sev:critical"), Numbers{7});
  EXPECT_EQ(offered("actor:rule:rare"), Numbers{9});
  EXPECT_EQ(offered("name:NIGHT-2"), Numbers{2});
  EXPECT_EQ(offered("name:night-2* status:failed"), Numbers{20});
  EXPECT_EQ(offered("error:States.Timeout"), (Numbers{40, 30, 20, 10}));
  EXPECT_EQ(offered("error:\"not stop\" error:i-30"), Numbers{30});
  EXPECT_EQ(offered("resource:nothing"), Numbers{});
  EXPECT_EQ(pages, 1u);
}

TEST_F(ExecutionRows, StatusesAndPlaybooksAreRangesSideBySide) {
  fill(true);
  EXPECT_EQ(offered("status:failed,aborted"), (Numbers{40, 30, 20, 10}));
  EXPECT_EQ(offered("status:failed playbook:b"), Numbers{30});
  EXPECT_EQ(offered("status:failed playbook:a,b", 3), (Numbers{40, 30, 20, 10}));
  EXPECT_EQ(offered("playbook:gone,b").size(), 40u)
      << "not narrowed down: rows may be older than the playbook";
}

TEST_F(ExecutionRows, WhoWaitsForPeopleIsAskedOfThoseWhoKnow) {
  fill(true);
  EXPECT_EQ(offered("has:approval"), (Numbers{31, 4}));
  EXPECT_EQ(offered("status:waiting", 1), (Numbers{31, 4}));
}

TEST_F(ExecutionRows, WhatHasNoTermsYetIsOfferedWhole) {
  from_ = 30;
  fill(true);
  Numbers expected{35};
  for (store::ExecutionNo no = 29; no >= 1; --no) expected.push_back(no);
  EXPECT_EQ(offered("resource:i-35"), expected);
}

TEST_F(ExecutionRows, PatternsNegationsAndStoresWithoutTermsNarrowNothing) {
  fill(true);
  EXPECT_EQ(offered("resource:i-1*").size(), 40u);
  EXPECT_EQ(offered("-resource:i-17").size(), 40u);
  EXPECT_EQ(offered("name:*7").size(), 40u);
}

TEST_F(ExecutionRows, AStoreThatNeverSaidFromWhereOnThereAreTermsIsReadWhole) {
  fill(false);
  EXPECT_EQ(offered("resource:i-17").size(), 40u);
}

TEST(SearchTerms, WordsOfATextAreThoseThatPeopleTakeForWords) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(store::search_words("States.Timeout: 'i-0ABC' (10.0.0.1) did not stop."),
            (Words{"states.timeout", "i-0abc", "10.0.0.1", "did", "not", "stop"}));
  EXPECT_EQ(store::search_words(" ... "), Words{});
}

TEST(SearchTerms, OfVeryManyTextsTheRestIsOneTerm) {
  std::vector<json::Value> items;
  for (int i = 0; i < 10'000; ++i) items.emplace_back("text " + std::to_string(i));
  const auto terms = store::terms_at_start(json::Value::array(std::move(items)), {});
  EXPECT_LT(terms.size(), store::kTextsMax + 10);
  EXPECT_EQ(terms.front(), store::kTermMore);
}

}  // namespace
}  // namespace sortie::api
