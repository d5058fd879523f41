#pragma once
// JSONata 2 as an engine of its own: an expression is compiled once into an immutable Program, which may be
// shared between threads, and evaluated as often as wanted. Nothing here has I/O, a clock or randomness of
// its own: the time of $now, chance and the deadline come in with the Inputs.
//
//   auto program = jsonata::Program::compile("$sum(order.items.(price * qty))", jsonata::Mode::kAws);
//   auto outcome = program->evaluate({.input = &document, .now = clock.now()});
//
// Two dialects: kStandard is jsonata-js 2.2; kAws is what Step Functions runs, 2.0.6 (no ?: and ??, its
// rounding of integers in $string) with $partition, $range, $hash, $random(seed), $uuid, $parse and without
// $eval. Regular expressions are those of JavaScript as far as a linear-time engine can run them; look-around
// and back references are refused at compile time.
//
// Errors have JSONata's own codes (S0201, T2001, D3030 ...); place is "offset N", counted in UTF-16 units,
// just behind the token at fault. Limits end an evaluation with D1011 (depth), D1012 (time or steps) or
// D2015 (size). The caller's thread needs Limits::stack_bytes_max of free stack.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"

namespace sortie::jsonata {

enum class Mode : std::uint8_t { kAws, kStandard };

struct Limits {
  std::uint32_t depth_max = 100'000;  // Nested evaluations.
  std::size_t stack_bytes_max = 4 * 1024 * 1024;
  std::uint64_t steps_max = 1'000'000'000;
  std::size_t bytes_max = 512 * 1024 * 1024;  // Made by one evaluation, not counting the input.
  // Wall time: `elapsed_ms` counts on a steady clock from any fixed point. 0 or no function: no limit.
  std::int64_t time_ms_max = 0;
  std::function<std::int64_t()> elapsed_ms{};
};

struct Inputs {
  const json::Value* input = nullptr;  // nullptr: JSONata's undefined.
  // Variables by name, without the dollar sign. The values have to outlive the call only.
  std::vector<std::pair<std::string_view, const json::Value*>> bindings{};
  Timestamp now{};
  Random* random = nullptr;  // For $random, $shuffle, $uuid; without it they fail.
  Limits limits{};
  // Half of a surrogate pair in the result becomes U+FFFD; with this it stays, as three bytes that are no
  // UTF-8 (to_text_with_halves writes them).
  bool keep_halves = false;
};

struct Outcome {
  enum class Kind : std::uint8_t {
    kValue,
    kUndefined,  // Nothing: not an error here.
    kFunction,   // A function, alone or within arrays and objects: JSON cannot hold it.
    kNonFinite,  // Infinity or NaN, likewise.
  };
  Kind kind = Kind::kUndefined;
  json::Value value{};  // For kValue.
};

struct NodePool;

inline constexpr std::size_t kTextBytesMax = 1024 * 1024;

// JSON text of the value of an Outcome made with keep_halves: halves are escapes, "\\ud83d".
std::string to_text_with_halves(const json::Value& value);

class Program {
 public:
  static Result<Program> compile(std::string_view text, Mode mode);

  Result<Outcome> evaluate(const Inputs& inputs) const;

  const std::string& text() const;
  // Names of all variables that occur, without the dollar sign, built-in functions and locals included.
  std::vector<std::string_view> variables() const;

 private:
  Program() = default;

  std::shared_ptr<const NodePool> pool_;
};

}  // namespace sortie::jsonata
