#include "functions/invocation_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "io/file.h"

namespace sortie::functions {
namespace {

class InvocationLogs : public testing::Test {
 protected:
  InvocationLogs() { EXPECT_NE(::mkdtemp(folder.data()), nullptr); }
  ~InvocationLogs() override { (void)io::remove_tree(folder).ok(); }

  static InvocationLog log_of(const std::string& id) {
    return {id, "F", Timestamp{1'000}, 3, "succeeded", "", "START\nEND\n"};
  }
  std::vector<std::string> ids(const LogStore& logs) const {
    std::vector<std::string> out;
    for (const InvocationLog& log : logs.find("1/F", Timestamp{0}, "")) out.push_back(log.request_id);
    return out;
  }

  std::string folder = "/tmp/sortie-logs-XXXXXX";
};

TEST_F(InvocationLogs, AreThereAfterARestart) {
  LogStore logs(folder);
  logs.add("1/F", log_of("a"));
  logs.add("1/F", log_of("b"));
  EXPECT_EQ(ids(LogStore(folder)), (std::vector<std::string>{"a", "b"}));
}

TEST_F(InvocationLogs, AFileThatSomebodyRemovedIsBegunAgain) {
  LogStore logs(folder);
  logs.add("1/F", log_of("a"));
  ASSERT_TRUE(io::remove_tree(folder + "/1.F.jsonl").ok());
  logs.add("1/F", log_of("b"));
  EXPECT_EQ(ids(LogStore(folder)), std::vector<std::string>{"b"});
}

TEST_F(InvocationLogs, GoOnInANewFileWhenTheOldOneIsFull) {
  LogStore logs(folder);
  InvocationLog large = log_of("a");
  large.text.assign(kLogFileBytesMax * 3 / 4, 'x');
  logs.add("1/F", large);
  large.request_id = "b";
  logs.add("1/F", large);
  EXPECT_TRUE(io::path_exists(folder + "/1.F.old.jsonl"));
  EXPECT_EQ(ids(LogStore(folder)), (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace sortie::functions
