// JSONata beside the libraries it is measured against: the same expressions and documents, the same figures
// (evaluate a compiled expression; compile and evaluate), the same JSON lines {bench, impl, ops_per_s,
// check}. `check` digests the result: equal digests are equal answers.
//
//   jsonata_bench EXPRESSIONS_DIR DOCUMENTS_DIR [SECONDS]
//
// EXPRESSIONS_DIR holds jsonata.json, [{name, input, expression}]; input names a document NAME.json in either
// folder, which the expression sees as $states.input. bench/jsonata_peers.py runs this and the others in one
// go.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/hash.h"
#include "base/text.h"
#include "expr/jsonata/jsonata.h"
#include "measure.h"

namespace {

using namespace sortie;
using namespace sortie::measure;

json::Value read(const std::string& first, const std::string& second, const std::string& name) {
  for (const std::string& folder : {first, second}) {
    const std::string file = folder + "/" + name + ".json";
    if (std::filesystem::exists(file)) return read_json(file);
  }
  fail("there is no " + name + ".json");
}

// One text for equal values whatever the library: members sorted, numbers as nine significant digits in the
// way of JavaScript's toExponential.
void canonical(const json::Value& value, std::string& out) {
  if (value.is_array()) {
    out += '[';
    for (const json::Value& item : value.items()) {
      if (&item != value.items().data()) out += ',';
      canonical(item, out);
    }
    out += ']';
  } else if (value.is_object()) {
    std::vector<const json::Member*> members;
    for (const json::Member& member : value.members()) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](auto* a, auto* b) { return a->key.as_string() < b->key.as_string(); });
    out += '{';
    for (const json::Member* member : members) {
      if (member != members.front()) out += ',';
      json::append_quoted(out, member->key.as_string());
      out += ':';
      canonical(member->value, out);
    }
    out += '}';
  } else if (value.is_number()) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%.8e", value.as_double());
    const std::string text = digits;
    const std::size_t e = text.find('e');
    out += text.substr(0, e + 2) + std::to_string(std::atoi(text.c_str() + e + 2));
  } else {
    out += json::to_text(value);
  }
}

std::string check_of(const jsonata::Outcome& outcome) {
  if (outcome.kind != jsonata::Outcome::Kind::kValue) return "undefined";
  std::string text;
  canonical(outcome.value, text);
  return to_hex(digest(Digest::kSha1, text)).substr(0, 12);
}

struct Figure {
  double per_second = 0;
  double cpu_us = 0;  // Each: what other programs on the machine disturb least.
};

// Best of three rounds after a warm-up.
template <typename Work>
Figure rate(double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  Figure best;
  for (int round = 0; round < 4; ++round) {
    const auto start = Clock::now();
    const double cpu_start = cpu_seconds();
    double taken = 0;
    std::uint64_t count = 0;
    std::uint64_t batch = 1;
    while (taken < seconds / 4) {
      for (std::uint64_t i = 0; i < batch; ++i) work();
      count += batch;
      taken = std::chrono::duration<double>(Clock::now() - start).count();
      if (taken < seconds / 100) batch *= 2;
    }
    const double cpu_us = (cpu_seconds() - cpu_start) * 1e6 / static_cast<double>(count);
    if (round == 0) continue;
    best.per_second = std::max(best.per_second, static_cast<double>(count) / taken);
    best.cpu_us = best.cpu_us == 0 ? cpu_us : std::min(best.cpu_us, cpu_us);
  }
  return best;
}

void print(const std::string& bench, const Figure& figure, const std::string& check) {
  std::printf(R"({"bench":"jsonata/%s","impl":"sortie","ops_per_s":%.4g,"cpu_us":%.4g,"check":"%s"})"
              "\n",
              bench.c_str(), figure.per_second, figure.cpu_us, check.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::printf("skipped: jsonata_bench EXPRESSIONS_DIR DOCUMENTS_DIR [SECONDS]\n");
    return 0;
  }
  const double seconds = argc > 3 ? std::strtod(argv[3], nullptr) : 1;
  const std::string only = argc > 4 ? argv[4] : "";
  const json::Value list = read(argv[1], argv[2], "jsonata");
  for (const json::Value& row : list.items()) {
    const std::string name = row.get("name").to_std_string();
    if (!only.empty() && name != only) continue;
    const std::string expression = row.get("expression").to_std_string();
    const json::Value input = read(argv[1], argv[2], row.get("input").to_std_string());
    const json::Value states = json::Value::object({{"input", input}});
    jsonata::Inputs inputs;
    inputs.bindings.emplace_back("states", &states);
    const auto compiled = jsonata::Program::compile(expression, jsonata::Mode::kAws);
    if (!compiled) fail(name + ": " + compiled.error().message);
    const auto first = compiled->evaluate(inputs);
    if (!first) fail(name + ": " + first.error().message);
    const std::string check = check_of(*first);
    print(name + "/evaluate", rate(seconds, [&] { (void)compiled->evaluate(inputs).ok(); }), check);
    print(name + "/compile+evaluate",
          rate(seconds,
               [&] {
                 const auto fresh = jsonata::Program::compile(expression, jsonata::Mode::kAws);
                 (void)fresh->evaluate(inputs).ok();
               }),
          check);
  }
  return 0;
}
