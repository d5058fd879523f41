#include "io/child_process.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>

#include "io/file.h"

namespace sortie::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  void spawn(const std::string& script, ChildOptions options = {}) {
    options.argv = {"sh", "-c", script};
    if (options.environment.empty()) options.environment = {"PATH=/usr/bin:/bin"};
    auto child =
        ChildProcess::spawn(loop_, std::move(options),
                            {.on_line =
                                 [this](ChildOutput which, std::string_view line) {
                                   (which == ChildOutput::kStdout ? out_ : error_).emplace_back(line);
                                 },
                             .on_exit = [this](ChildExit exit) { exit_ = exit; }});
    ASSERT_TRUE(child.ok()) << to_text(child.error());
    child_ = std::move(*child);
  }
  ChildExit wait() {
    EXPECT_TRUE(loop_.run_until([this] { return exit_.has_value(); }, 20'000));
    return exit_.value_or(ChildExit{});
  }
  static bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0; }
  static bool is_zombie(pid_t pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat.ok() || stat->find(") Z ") != std::string::npos;
  }

  EventLoop loop_;
  std::vector<std::string> out_, error_;
  std::optional<ChildExit> exit_;
  std::unique_ptr<ChildProcess> child_;
};

TEST_F(ChildProcessTest, HandsOverLinesAndTheExitStatus) {
  spawn("echo one; echo two >&2; printf three; exit 7");
  EXPECT_EQ(wait(), (ChildExit{false, 7}));
  EXPECT_THAT(out_, ElementsAre("one", "three"));
  EXPECT_THAT(error_, ElementsAre("two"));
}

TEST_F(ChildProcessTest, GivesNothingOfOurEnvironmentAway) {
  ::setenv("SORTIE_TEST_SECRET", "x", 1);
  spawn("env", {.environment = {"PATH=/usr/bin:/bin", "OWN=1"}});
  wait();
  EXPECT_THAT(out_, testing::Contains("OWN=1"));
  EXPECT_THAT(out_, testing::Not(testing::Contains("SORTIE_TEST_SECRET=x")));
}

TEST_F(ChildProcessTest, CutsEndlessLines) {
  spawn("head -c 100000 /dev/zero | tr '\\0' x", {.line_bytes_max = 40'000});
  wait();
  ASSERT_EQ(out_.size(), 3u);
  EXPECT_EQ(out_[2].size(), 20'000u);
}

TEST_F(ChildProcessTest, FeedsStdin) {
  spawn("cat", {.with_stdin = true});
  const std::string large(1'000'000, 'y');
  EXPECT_TRUE(child_->write_stdin("hello\n" + large));
  child_->close_stdin();
  EXPECT_FALSE(child_->write_stdin("late"));
  wait();
  EXPECT_EQ(out_.at(0), "hello");
  std::size_t total = 0;
  for (const auto& line : out_) total += line.size();
  EXPECT_EQ(total, large.size() + 5);
}

TEST_F(ChildProcessTest, SurvivesAChildThatDoesNotReadItsStdin) {
  spawn("exec 0<&-; sleep 0.1; exit 4", {.with_stdin = true});
  child_->write_stdin(std::string(1'000'000, 'x'));
  EXPECT_EQ(wait().code, 4);
}

TEST_F(ChildProcessTest, SaysWhyAProgramCannotBeStarted) {
  const auto missing = ChildProcess::spawn(loop_, {.argv = {"/no/such/program"}}, {});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, "SpawnFailed");
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/program"));
  const auto unknown = ChildProcess::spawn(loop_, {.argv = {"no-such-program-at-all"}}, {});
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message, HasSubstr("PATH"));
}

TEST_F(ChildProcessTest, EnforcesLimits) {
  spawn("ulimit -n", {.limits = {{RLIMIT_NOFILE, 77}}});
  wait();
  EXPECT_THAT(out_, ElementsAre("77"));
}

// The grandchild leaves the session and its parent ends: only the marker still tells whose it is.
TEST_F(ChildProcessTest, KillsGrandchildrenEvenThoseThatLeftTheSession) {
  spawn("sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000",
        {.marker = "SORTIE_TEST_MARK=1"});
  ASSERT_TRUE(loop_.run_until([this] { return out_.size() == 2; }, 10'000));
  EXPECT_GE(child_->tree().size(), 3u);
  child_->kill_tree();
  EXPECT_EQ(wait(), (ChildExit{true, SIGKILL}));
  for (const auto& text : out_) {
    const pid_t pid = std::stoi(text);
    while (is_alive(pid) && !is_zombie(pid)) ::usleep(1000);
  }
}

TEST_F(ChildProcessTest, ReadsWhatLiesInThePipesOnDemand) {
  const std::string flag = testing::TempDir() + "/sortie-child-" + std::to_string(::getpid());
  spawn("echo before; touch " + flag + "; sleep 1000");
  while (!path_exists(flag)) ::usleep(1000);
  child_->read_pending_output();
  EXPECT_THAT(out_, ElementsAre("before"));
  ASSERT_TRUE(remove_tree(flag).ok());
}

TEST_F(ChildProcessTest, FindsWhatAPredecessorLeftBehind) {
  const std::string marker = "SORTIE_TEST_LEFT=" + std::to_string(::getpid());
  spawn("echo up; sleep 1000", {.environment = {"PATH=/usr/bin:/bin", marker}});
  ASSERT_TRUE(loop_.run_until([this] { return !out_.empty(); }, 10'000));
  EXPECT_GE(kill_processes_marked(marker), 1u);
  EXPECT_TRUE(wait().signalled);
  EXPECT_EQ(kill_processes_marked(marker), 0u);
}

}  // namespace
}  // namespace sortie::io
