#pragma once
// Runs seeds, each in one of several processes (SORTIE_SIM_JOBS, default 1), and adds up what they counted.
// A seed that fails is told with how to replay it; so is one that ends its process.
//
//   SORTIE_SIM_SEEDS=n   seeds 1..n      SORTIE_SIM_FIRST=m   from seed m      SORTIE_SIM_SEED=x   one seed
//
// The processes are forked and tell their tallies over a pipe, a line each: "f 12 read EIO". Nothing may have
// started a thread by then.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "fault_plan.h"

namespace sortie::simulation {

inline std::uint64_t number_from(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 0);
}

// Counts faults into `tally`, whatever else is worth a sum into `sums`; answers what failed, "" if nothing.
using RunSeed = std::function<std::string(std::uint64_t seed, FaultTally& tally, FaultTally& sums)>;

struct SeedRange {
  std::uint64_t first = 1, last = 1;
  bool is_one() const { return first == last; }
};

inline SeedRange seeds_from_environment(std::uint64_t fallback) {
  const std::uint64_t one = number_from("SORTIE_SIM_SEED", 0);
  if (one != 0) return {one, one};
  return {number_from("SORTIE_SIM_FIRST", 1), number_from("SORTIE_SIM_SEEDS", fallback)};
}

namespace seed_runner {

inline void send(std::FILE* out, char kind, const FaultTally& tally) {
  for (const auto& [name, count] : tally) {
    std::fprintf(out, "%c %llu %s\n", kind, static_cast<unsigned long long>(count), name.c_str());
  }
}

// One process of several: every `jobs`-th seed, until one fails.
inline int work(const SeedRange& range, std::uint64_t share, std::uint64_t jobs, const RunSeed& run,
                std::FILE* out, volatile std::uint64_t* now) {
  FaultTally tally, sums;
  int failures = 0;
  for (std::uint64_t seed = range.first + share; seed <= range.last && failures == 0; seed += jobs) {
    *now = seed;
    const std::string failed = run(seed, tally, sums);
    if (failed.empty()) continue;
    ++failures;
    std::printf("%s\n", failed.c_str());
  }
  send(out, 'f', tally);
  send(out, 's', sums);
  std::fflush(out);
  std::fflush(stdout);
  return failures;
}

struct Worker {
  pid_t pid = -1;
  std::FILE* in = nullptr;
  volatile std::uint64_t* now = nullptr;  // The seed it is at, in memory that both see.
};

inline Worker start(const SeedRange& range, std::uint64_t share, std::uint64_t jobs, const RunSeed& run) {
  int ends[2];
  void* shared =
      mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || pipe(ends) != 0) return {};
  auto* now = static_cast<volatile std::uint64_t*>(shared);
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    std::FILE* out = fdopen(ends[1], "w");
    const int failures = work(range, share, jobs, run, out, now);
    std::fclose(out);
    _exit(failures == 0 && !::testing::Test::HasFailure() ? 0 : 1);
  }
  close(ends[1]);
  return {child, fdopen(ends[0], "r"), now};
}

inline void finish(const Worker& worker, FaultTally& tally, FaultTally& sums) {
  unsigned long long count = 0;
  char kind = 0, name[128];
  while (std::fscanf(worker.in, "%c %llu %127[^\n]\n", &kind, &count, name) == 3) {
    if (kind == 'f') tally[name] += count;
    if (kind == 's') sums[name] += count;
  }
  std::fclose(worker.in);
  int status = 0;
  ASSERT_EQ(waitpid(worker.pid, &status, 0), worker.pid);
  EXPECT_TRUE(WIFEXITED(status)) << "seed " << *worker.now << " ends the process by signal "
                                 << WTERMSIG(status) << "; replay it with: make sim SEED=" << *worker.now;
  EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) == 0) << "a seed fails, see above";
}

}  // namespace seed_runner

// Runs the range; both sums are over all of it. Failures are the test's.
inline void run_seeds(const SeedRange& range, const RunSeed& run, FaultTally& tally, FaultTally& sums) {
  const std::uint64_t jobs = range.is_one() ? 1 : number_from("SORTIE_SIM_JOBS", 1);
  std::vector<seed_runner::Worker> workers;
  for (std::uint64_t share = 0; share < jobs; ++share) {
    workers.push_back(seed_runner::start(range, share, jobs, run));
    ASSERT_GT(workers.back().pid, 0);
  }
  for (const seed_runner::Worker& worker : workers) seed_runner::finish(worker, tally, sums);
}

}  // namespace sortie::simulation
