// The stores must agree: the same random changes go to the memory store, which is simple, to SQLite stores
// that fold at different paces, and to PostgreSQL where it is installed; they are reopened in between. After
// every few changes all of them are asked everything.
#include <gtest/gtest.h>

#include "base/hash.h"
#include "store/testing/store_harness.h"

namespace sortie::store {

namespace differential {

using namespace store::testing;

struct Model {
  ExecutionNo last = 0;
  std::map<ExecutionNo, std::int64_t> next_event;  // Of running ones.
  std::map<ExecutionNo, std::int64_t> ended;       // The same, of those that ended.
};

const char* const kMachines[] = {"arn:a:stateMachine:One", "arn:a:stateMachine:Two",
                                 "arn:a:stateMachine:Three"};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t n) { return random_.next() % n; }

  // One decision of an engine that nobody wrote: starts, moves, forks, ends, redrives.
  Batch next() {
    Batch batch;
    std::size_t steps = 1 + below(4);
    for (std::size_t i = 0; i < steps; ++i) step(batch);
    if (below(4) == 0)
      batch.documents.push_back({"kind" + text(2), "key" + text(9), std::string(below(200), 'd')});
    if (below(6) == 0) batch.documents_gone.emplace_back("kind" + text(2), "key" + text(9));
    if (below(3) == 0) {
      batch.log.push_back({"event",
                           {static_cast<std::int64_t>(below(1'000))},
                           "s" + text(3),
                           "t" + text(3),
                           text(5),
                           "body " + text(50),
                           0});
    }
    return batch;
  }

 private:
  std::string text(std::uint64_t n) { return std::to_string(below(n)); }

  ExecutionRow row(ExecutionNo no, ExecutionStatus status) {
    ExecutionRow row = execution(no, status, kMachines[no % 3]);
    row.image = std::string(below(below(4) == 0 ? 4'000 : 120), static_cast<char>('a' + no % 26));
    row.stopped_at = {status == ExecutionStatus::kRunning ? 0 : static_cast<std::int64_t>(100 + below(900))};
    return row;
  }

  std::vector<std::uint32_t> terms() {
    std::vector<std::uint32_t> some(below(6));
    for (std::uint32_t& term : some) term = static_cast<std::uint32_t>(below(9));
    return some;
  }

  void history(Batch& batch, ExecutionNo no, std::int64_t& next_event) {
    auto count = static_cast<std::int32_t>(1 + below(4));
    batch.history.push_back(
        {no, next_event, count, std::string(below(300), 'h') + std::to_string(next_event)});
    next_event += count;
  }

  ExecutionNo pick(const std::map<ExecutionNo, std::int64_t>& from) {
    auto each = from.begin();
    std::advance(each, static_cast<std::ptrdiff_t>(below(from.size())));
    return each->first;
  }

  void step(Batch& batch) {
    std::uint64_t choice = below(20);
    if (model_.next_event.empty() || choice < 4) {
      ExecutionNo no = ++model_.last;
      std::int64_t& next_event = model_.next_event[no] = 1;
      batch.executions.push_back(row(no, ExecutionStatus::kRunning));
      batch.frames.push_back(frame(no, 0, "start", {static_cast<std::int64_t>(below(9))}));
      history(batch, no, next_event);
      batch.terms.push_back({no, below(5) == 0 ? "" : batch.executions.back().name, terms()});
      return;
    }
    ExecutionNo no = pick(model_.next_event);
    std::int64_t& next_event = model_.next_event[no];
    if (choice < 14) {
      for (std::uint64_t i = below(4); i > 0; --i) {
        auto number = static_cast<FrameNo>(below(6));
        batch.frames.push_back(frame(no, number, std::string(below(below(5) == 0 ? 3'000 : 200), 'f'),
                                     {static_cast<std::int64_t>(below(99))}));
      }
      if (below(3) == 0) batch.frames_gone.push_back({no, static_cast<FrameNo>(below(6))});
      if (below(4) == 0)
        batch.payloads.push_back({no, static_cast<PayloadNo>(1 + below(3)), std::string(below(3'000), 'p')});
      if (below(2) == 0) batch.executions.push_back(row(no, ExecutionStatus::kRunning));
      history(batch, no, next_event);
    } else if (choice < 18 || model_.ended.empty()) {
      history(batch, no, next_event);
      if (below(2) == 0) batch.terms.push_back({no, "", terms()});
      batch.executions.push_back(row(no, static_cast<ExecutionStatus>(1 + below(4))));
      batch.ended.push_back(no);
      model_.ended[no] = next_event;
      model_.next_event.erase(no);
      deferred_ = true;
    } else if (!deferred_) {
      ExecutionNo again = pick(model_.ended);
      std::int64_t& event = model_.next_event[again] = model_.ended[again];
      model_.ended.erase(again);
      batch.executions.push_back(row(again, ExecutionStatus::kRunning));
      batch.frames.push_back(frame(again, 0, "redriven"));
      history(batch, again, event);
    }
  }

 public:
  // Retention may delete what has ended; then it must not be redriven.
  void forget_ended() { model_.ended.clear(); }
  void begin_batch() { deferred_ = false; }
  ExecutionNo last() const { return model_.last; }

 private:
  SeededRandom random_;
  Model model_;
  bool deferred_ = false;  // An execution ended in this batch: nothing of the ended ones goes on in it.
};

std::string seen_rows(const std::vector<ExecutionRow>& rows) {
  std::string all;
  for (const ExecutionRow& row : rows) {
    all += std::to_string(row.no) + "/" + row.arn + "/" + row.name + "/" + row.state_machine_arn + "/" +
           std::to_string(static_cast<int>(row.status)) + "/" + std::to_string(row.started_at.ms) + "/" +
           std::to_string(row.stopped_at.ms) + "/" + row.image + "\n";
  }
  return all;
}

std::string seen_frames(const std::vector<FrameRow>& rows) {
  std::string all;
  for (const FrameRow& row : rows) {
    all += std::to_string(row.key.execution) + "." + std::to_string(row.key.frame) + "@" +
           std::to_string(row.wake_at.ms) + " " + row.image + "\n";
  }
  return all;
}

// Everything that can be asked about executions around `no`, as text.
std::string ask_execution(Store& store, ExecutionNo no, ExecutionNo last, std::int64_t from) {
  std::string all;
  auto row = *store.find_execution(no);
  if (row) all += seen_rows({*row}) + seen_rows({store.find_execution(row->arn)->value()});
  all += seen_frames(*store.list_frames(no));
  if (auto loaded = *store.load_execution(no)) all += seen_rows({loaded->row}) + seen_frames(loaded->frames);
  for (FrameNo number = 0; number < 6; ++number) {
    auto one = *store.find_frame({no, number});
    if (one) all += seen_frames({*one});
  }
  for (const auto& [id, body] : bodies(*store.load_history(no, 1, INT64_MAX)))
    all += std::to_string(id) + body + "\n";
  for (const auto& [id, body] : bodies(*store.load_history(no, from, 3)))
    all += std::to_string(id) + body + "\n";
  for (PayloadNo number = 1; number <= 3; ++number) {
    auto payload = *store.find_payload(no, number);
    all += payload ? payload->body + "\n" : "-\n";
  }
  all += seen_frames(*store.scan_frames({no, 2}, 7));
  all += seen_rows(*store.list_executions({.before = last - no / 2, .limit = 5}));
  return all;
}

// Numbers that are found by terms; of those that have been deleted a store may still tell.
std::string ask_terms(Store& store, std::uint64_t which) {
  if (!store.keeps_terms()) return "";
  const auto term = static_cast<std::uint32_t>(which % 9);
  TermQuery both{.terms = {{term}, {(term + 1) % 9, (term + 2) % 9}}, .limit = 1'000};
  TermQuery named{.terms = {{term}}, .name = "Run-" + std::to_string(which % 10), .name_is_prefix = true};
  TermQuery exact{.name = "run-" + std::to_string(which)};
  const auto status = static_cast<ExecutionStatus>(which % 5);
  TermQuery ranged{.terms = {{term}}, .limit = 1'000, .rows = {{"", status}, {kMachines[which % 3], {}}}};
  TermQuery rows{
      .limit = 9,
      .rows = {{kMachines[which % 3], status}, {"", static_cast<ExecutionStatus>((which + 1) % 5)}}};
  std::string all;
  for (const TermQuery& query : {both, named, exact, ranged, rows}) {
    const std::vector<ExecutionNo> found = *store.find_by_terms(query);
    for (const ExecutionNo no : found) {
      if (store.find_execution(no)->has_value()) all += std::to_string(no) + " ";
    }
    all += "\n";
  }
  return all;
}

std::string ask_lists(Store& store, std::uint64_t which) {
  std::string machine = kMachines[which % 3];
  auto status = static_cast<ExecutionStatus>(which % 5);
  std::string all = seen_rows(*store.list_executions({.state_machine_arn = machine, .limit = 9}));
  all += seen_rows(*store.list_executions({.status = status, .limit = 9}));
  all += seen_rows(*store.list_executions({.state_machine_arn = machine, .status = status, .limit = 9}));
  all += seen_rows(*store.list_executions({.name_prefix = "run-" + std::to_string(which % 10)}));
  for (std::string counted : {machine, std::string()}) {
    StatusCounts counts = *store.count_executions(counted);
    for (std::uint64_t n : counts.by_status) all += std::to_string(n) + " ";
  }
  auto documents = *store.list_documents("kind" + std::to_string(which % 2), "", 4);
  for (const Document& each : documents) all += each.key + "=" + each.value + "\n";
  LogQuery by_source{.stream = "event", .source = "s" + std::to_string(which % 3), .limit = 6};
  LogQuery by_time{.stream = "event", .from = {200}, .before = {700}, .newest_first = false, .limit = 6};
  for (const LogQuery& query : {by_source, by_time}) {
    auto lines = *store.search_log(query);
    for (const LogLine& line : lines) all += std::to_string(line.sequence) + line.body + "\n";
  }
  return all + std::to_string(*store.last_execution_no());
}

class StoreDifferential : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(StoreDifferential, EveryStoreAnswersAsTheMemoryStoreDoes) {
  std::vector<std::unique_ptr<StoreHarness>> all;
  for (Kind kind : {Kind::kMemory, Kind::kSqlite, Kind::kSqliteFolded, Kind::kSqliteMixed, Kind::kPostgres}) {
    if (missing_for(kind).empty()) all.push_back(std::make_unique<StoreHarness>(kind));
  }
  auto expect_same = [&](const std::function<std::string(Store&)>& ask, const char* what) {
    std::string expected = ask(all[0]->store());
    for (std::size_t i = 1; i < all.size(); ++i) {
      ASSERT_EQ(ask(all[i]->store()), expected) << what << " of " << name_of(all[i]->kind());
    }
  };
  Generator generator(GetParam());
  for (int round = 0; round < 150; ++round) {
    generator.begin_batch();
    Batch batch = generator.next();
    for (auto& each : all) ASSERT_TRUE(each->commit(batch).ok());
    std::uint64_t chance = generator.below(100);
    if (chance < all.size() - 1) all[1 + chance]->reopen();
    if (chance == 50) {
      generator.forget_ended();
      expect_same([](Store& store) { return std::to_string(*store.delete_ended_before({1'500}, 1'000)); },
                  "deletes");
      expect_same([](Store& store) { return std::to_string(*store.delete_log_before("event", {300}, 5)); },
                  "log");
    }
    if (round % 5 != 0) continue;
    ExecutionNo no = 1 + generator.below(generator.last());
    auto from = static_cast<std::int64_t>(1 + generator.below(20));
    ExecutionNo last = generator.last();
    expect_same([&](Store& store) { return ask_execution(store, no, last, from); }, "an execution");
    expect_same([&](Store& store) { return ask_lists(store, no); }, "listings");
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (!all[i]->store().keeps_terms()) continue;
      ASSERT_EQ(ask_terms(all[i]->store(), no), ask_terms(all[0]->store(), no)) << name_of(all[i]->kind());
    }
    if (HasFatalFailure()) return;
  }
  for (auto& each : all) {
    auto problems = each->store().check();
    ASSERT_TRUE(problems.ok()) << to_text(problems.error());
    EXPECT_EQ(*problems, std::vector<std::string>{}) << name_of(each->kind());
    each->reopen();
  }
  for (ExecutionNo no = 1; no <= generator.last(); ++no) {
    expect_same([&](Store& store) { return ask_execution(store, no, generator.last(), 2); }, "the end");
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreDifferential, ::testing::Range<std::uint64_t>(1, 5));

}  // namespace differential

}  // namespace sortie::store
