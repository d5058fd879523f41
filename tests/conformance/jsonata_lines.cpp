// JSON Lines in and out for the JSONata engine alone: the protocol of `sortie eval` for language jsonata, so
// that recorded answers can be compared without the command line program. Arguments are ignored.
#include <chrono>
#include <iostream>
#include <string>

#include "base/hash.h"
#include "expr/jsonata/jsonata.h"
#include "json/text.h"

namespace {

using namespace sortie;

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

json::Value error_value(const Error& error) {
  json::ObjectBuilder builder;
  builder.set("code", error.code).set("message", error.message);
  if (error.place.starts_with("offset ")) builder.set("position", std::stoi(error.place.substr(7)));
  return builder.build();
}

void set_limits(const json::Value& request, jsonata::Inputs& inputs) {
  inputs.limits.time_ms_max = 20'000;
  inputs.limits.elapsed_ms = steady_ms;
  const json::Value& limits = request.get("limits");
  if (limits.get("depth").is_integer())
    inputs.limits.depth_max = static_cast<std::uint32_t>(limits.get("depth").as_integer());
  if (limits.get("time_ms").is_integer()) inputs.limits.time_ms_max = limits.get("time_ms").as_integer();
}

void answer(const json::Value& request, json::ObjectBuilder& out) {
  const bool standard = request.get("mode") == json::Value("standard");
  const auto program = jsonata::Program::compile(request.get("expression").as_string(),
                                                 standard ? jsonata::Mode::kStandard : jsonata::Mode::kAws);
  if (!program) {
    out.set("error", error_value(program.error()));
    return;
  }
  SeededRandom random(static_cast<std::uint64_t>(steady_ms()));
  jsonata::Inputs inputs;
  json::Value document;
  if (const json::Value* text = request.find("input_text")) {
    auto parsed = json::parse(text->as_string());
    if (!parsed) {
      out.set("error", error_value(parsed.error()));
      return;
    }
    document = std::move(*parsed);
    inputs.input = &document;
  } else if (const json::Value* value = request.find("input")) {
    inputs.input = value;
  }
  for (const json::Member& binding : request.get("bindings").members())
    inputs.bindings.emplace_back(binding.key.as_string(), &binding.value);
  inputs.now.ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count();
  inputs.random = &random;
  set_limits(request, inputs);
  const auto outcome = program->evaluate(inputs);
  using Kind = jsonata::Outcome::Kind;
  if (!outcome) {
    out.set("error", error_value(outcome.error()));
  } else if (outcome->kind == Kind::kValue) {
    out.set("result", outcome->value);
  } else {
    out.set(outcome->kind == Kind::kUndefined  ? "undefined"
            : outcome->kind == Kind::kFunction ? "function"
                                               : "nonfinite",
            true);
  }
}

// JSON text must not hold halves of surrogate pairs, recorded expressions do: "\\ud800" becomes the escape of
// JSONata's own string literals, which means the same.
std::string with_own_escapes(const std::string& line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool half = line.compare(i, 3, "\\ud") == 0 && i + 6 <= line.size();
    const bool pair = half && line.compare(i + 6, 3, "\\ud") == 0;
    if (half && !pair) out += '\\';
    out += line.substr(i, pair ? 12 : half ? 6 : 1);
    i += pair ? 11 : half ? 5 : 0;
  }
  return out;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    json::ObjectBuilder out;
    auto request = json::parse(line);
    if (!request) request = json::parse(with_own_escapes(line));
    if (!request || !request->get("expression").is_string()) {
      out.set("error", json::Value::object({{"code", "InvalidRequest"}, {"message", "not a request"}}));
    } else {
      out.set("id", request->get("id"));
      answer(*request, out);
    }
    std::cout << json::to_text(out.build()) << '\n' << std::flush;
  }
}
