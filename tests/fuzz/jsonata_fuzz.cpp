// Fuzzes: jsonata
// The JSONata compiler and evaluator in both modes. The first line of the data is the expression, the rest
// the JSON input. What must hold beside not crashing: limits end every evaluation, results are valid JSON.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "base/text.h"
#include "expr/jsonata/jsonata.h"
#include "json/text.h"

namespace {

using namespace sortie;

void check_mode(std::string_view text, const json::Value& document, jsonata::Mode mode) {
  const auto program = jsonata::Program::compile(text, mode);
  if (!program) return;
  SeededRandom random(1);
  jsonata::Inputs inputs{.input = &document, .now = {1521801216617}, .random = &random};
  inputs.limits.steps_max = 20'000;
  inputs.limits.bytes_max = 8 << 20;
  inputs.limits.stack_bytes_max = 1 << 20;
  const auto outcome = program->evaluate(inputs);
  if (outcome) SORTIE_CHECK(is_valid_utf8(json::to_text(outcome->value)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t line = all.find('\n');
  json::Value document = *json::parse(R"({"a":[{"b":1,"c":"x"},{"b":[2,3]}],"d":null,"e":{"f":1.5}})");
  if (line != std::string_view::npos) {
    if (auto parsed = json::parse(all.substr(line + 1))) document = std::move(*parsed);
  }
  check_mode(all.substr(0, line), document, jsonata::Mode::kStandard);
  check_mode(all.substr(0, line), document, jsonata::Mode::kAws);
  return 0;
}
