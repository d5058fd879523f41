// Memory limits by the kernel, on a cgroup of the test's own. Skips where there is no writable cgroup v2 with
// a memory controller.
#include "functions/memory_limit.h"

#include <sys/stat.h>

#include <fstream>

#include "functions/service_test_support.h"

namespace sortie::functions {
namespace {

class MemoryLimitTest : public FunctionServiceTest {
 protected:
  void SetUp() override {
    group_ = "/sys/fs/cgroup/sortie-test-" + std::to_string(::getpid());
    const auto controllers = io::read_file("/sys/fs/cgroup/cgroup.controllers");
    const bool unified = controllers && controllers->find("memory") != std::string::npos;
    if (!unified || ::mkdir(group_.c_str(), 0755) != 0 ||
        !write(group_ + "/cgroup.subtree_control", "+memory")) {
      if (unified) ::rmdir(group_.c_str());
      GTEST_SKIP() << "SKIP: no writable cgroup v2 with a memory controller on this machine";
    }
    options_.cgroup_folder = group_;
    FunctionServiceTest::SetUp();
  }
  void TearDown() override {
    service_ = nullptr;
    if (io::is_directory(group_)) loop_.run_until([&] { return ::rmdir(group_.c_str()) == 0; }, 5'000);
  }
  static bool write(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    file.flush();
    return file.good();
  }

  std::string group_;
};

TEST_F(MemoryLimitTest, TheKernelEndsWhatGrowsFasterThanItIsWatched) {
  python("Greedy", "def lambda_handler(e, c):\n    return len(bytearray(b'x') * (3 << 30))\n",
         [](FunctionConfig& config) { config.memory_mib = 128; });
  const InvokeResult result = invoke("Greedy");
  EXPECT_EQ(field(result, "errorType"), "Runtime.ExitError");
  EXPECT_THAT(field(result, "errorMessage"), EndsWith("Runtime exited with error: signal: killed"));
  EXPECT_TRUE(loop_.run_until(
      [&] {
        const auto left = io::list_directory(group_);
        return left && std::none_of(left->begin(), left->end(), [](const io::DirectoryEntry& entry) {
                 return entry.name.starts_with("worker-");
               });
      },
      5'000))
      << "its group goes with it";
}

TEST_F(MemoryLimitTest, WhatLiesInTmpIsNoMemoryOfTheFunction) {
  python("Files",
         "def lambda_handler(e, c):\n    with open('/tmp/large', 'wb') as f:\n        for _ in range(300):\n "
         "           "
         "f.write(b'x' * (1 << 20))\n    return 'written'\n",
         [](FunctionConfig& config) { config.memory_mib = 128; });
  EXPECT_EQ(invoke("Files").payload, "\"written\"");
}

}  // namespace

TEST(MemoryLimits, SayWhatCannotBeHad) {
  EXPECT_THAT(MemoryLimits("/nowhere").report(), testing::HasSubstr("/nowhere cannot be written"));
  EXPECT_THAT(MemoryLimits("none").report(), testing::HasSubstr("watched"));
  EXPECT_EQ(MemoryLimits("none").create(1, 128, 512), "");
}

}  // namespace sortie::functions
