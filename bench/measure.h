#pragma once
// What the benchmarks of single libraries share: reading their files and measuring work by the CPU time of
// this thread, which the machine's other users disturb least.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

#include "json/text.h"

namespace sortie::measure {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline std::string read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) fail("cannot read " + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline json::Value read_json(const std::string& name) {
  auto value = json::parse(read_file(name));
  if (!value) fail(name + ": " + value.error().message);
  return std::move(value).value();
}

// How often a second `work` runs: the best of three rounds after one to warm up, each a quarter of `seconds`,
// as the reference implementations are measured.
template <typename Work>
double rate_of(double seconds, const Work& work) {
  double best = 0;
  for (int round = 0; round < 4; ++round) {
    const double start = cpu_seconds();
    std::size_t count = 0;
    std::size_t burst = 1;
    double spent = 0;
    while (spent < seconds / 4) {
      for (std::size_t i = 0; i < burst; ++i) work();
      count += burst;
      spent = cpu_seconds() - start;
      if (spent < seconds / 400) burst *= 2;
    }
    if (round > 0) best = std::max(best, static_cast<double>(count) / spent);
  }
  return best;
}

}  // namespace sortie::measure
