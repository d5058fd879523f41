// JSONPath at speed, on the data and paths of the reference implementation's benchmark:
//
//   jsonpath_bench PATHS.json FOLDER... [--seconds S] [--only NAME]
//
// PATHS.json lists {name, input, expression}; input is a file of that name in one of the folders. Prints one
// JSON line a figure: evaluations a second of a compiled path, and of compiling and evaluating it; the best
// of three rounds after one to warm up, as the reference is measured. `results` is the number of values
// found.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "expr/jsonpath/jsonpath.h"
#include "json/text.h"

namespace {

using namespace sortie;

// Of this thread's CPU time: the machine's other users disturb it least.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "jsonpath_bench: %s\n", what.c_str());
  std::exit(1);
}

json::Value read_json(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  auto value = json::parse(text.str());
  if (!file || !value) fail("cannot read " + name);
  return std::move(value).value();
}

template <typename Operation>
double rate_of(double seconds, const Operation& operation) {
  double best = 0;
  for (int round = 0; round < 4; ++round) {
    const double start = cpu_seconds();
    std::size_t count = 0;
    std::size_t burst = 1;
    double spent = 0;
    while (spent < seconds / 4) {
      for (std::size_t i = 0; i < burst; ++i) operation();
      count += burst;
      spent = cpu_seconds() - start;
      if (spent < seconds / 400) burst *= 2;
    }
    if (round > 0) best = std::max(best, static_cast<double>(count) / spent);
  }
  return best;
}

void print(const std::string& name, const char* what, double rate, std::size_t results) {
  std::printf("{\"bench\":\"jsonpath/%s/%s\",\"impl\":\"sortie\",\"ops_per_s\":%.5g,\"results\":%zu}\n",
              name.c_str(), what, rate, results);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  double seconds = 2;
  std::string only;
  const auto option = [&arguments](const std::string& name) {
    const auto at = std::find(arguments.begin(), arguments.end(), name);
    if (at == arguments.end() || at + 1 == arguments.end()) return std::string();
    const std::string value = *(at + 1);
    arguments.erase(at, at + 2);
    return value;
  };
  if (const std::string given = option("--seconds"); !given.empty()) seconds = std::atof(given.c_str());
  only = option("--only");
  if (arguments.size() < 2) fail("PATHS.json FOLDER... [--seconds S] [--only NAME]");
  const json::Value paths = read_json(arguments[0]);
  for (const json::Value& one : paths.items()) {
    const std::string name = one.get("name").to_std_string();
    const std::string expression = one.get("expression").to_std_string();
    if (!only.empty() && name != only) continue;
    json::Value input;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
      const std::string file = arguments[i] + "/" + one.get("input").to_std_string() + ".json";
      if (std::filesystem::exists(file)) input = read_json(file);
    }
    const auto path = jsonpath::Path::compile(expression);
    if (!path || input.is_null()) fail(name + ": no path, or no input");
    std::size_t results = 0;
    const auto evaluate = [&](const jsonpath::Path& compiled) {
      const auto value = compiled.evaluate(input);
      if (!value) fail(name + ": " + value.error().message);
      results = value->is_array() ? value->size() : 1;
    };
    const double evaluated = rate_of(seconds, [&] { evaluate(*path); });
    print(name, "evaluate", evaluated, results);
    const double both = rate_of(seconds, [&] { evaluate(*jsonpath::Path::compile(expression)); });
    print(name, "compile+evaluate", both, results);
  }
}
