// The dispatcher's end, and what it says of the calls under way.
#include "integrations/dispatcher.h"

#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"

namespace sortie::integrations {
namespace dispatcher_test {

struct Keeper final : Integration {
  std::vector<Report> reports;
  void start(const runtime::TaskOrder&, Report report) override { reports.push_back(report); }
  void cancel(const runtime::AttemptKey&) override {}
};

TEST(Dispatcher, DoesNotReportWhatFailsWhileTheProcessEndsButWhatSucceeds) {
  fakes::ManualLoop loop;
  fakes::FakeStore store(loop);
  fakes::FakeRuntime runtime(loop, store);
  Dispatcher dispatcher(loop);
  dispatcher.attach(runtime);
  Keeper keeper;
  dispatcher.add("*", keeper);
  for (const std::uint32_t attempt : {1u, 2u}) {
    runtime::TaskOrder order;
    order.key = {4, 0, 2, attempt};
    dispatcher.dispatch(std::move(order));
  }
  EXPECT_TRUE(dispatcher.holds_any([](store::ExecutionNo no) { return no == 4; }));
  EXPECT_FALSE(dispatcher.holds_any([](store::ExecutionNo no) { return no == 5; }));
  dispatcher.begin_end();
  keeper.reports.at(0).failed("Lambda.ServiceException", "the server is shutting down");
  keeper.reports.at(1).succeeded(json::Value(1));
  loop.run();
  ASSERT_EQ(runtime.answers.size(), 1u);
  EXPECT_EQ(runtime.answers[0].kind, "succeeded");
}

}  // namespace dispatcher_test
}  // namespace sortie::integrations
