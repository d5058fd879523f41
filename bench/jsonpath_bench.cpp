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
#include <filesystem>
#include <string>
#include <vector>

#include "expr/jsonpath/jsonpath.h"
#include "measure.h"

namespace {

using namespace sortie;
using namespace sortie::measure;

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
