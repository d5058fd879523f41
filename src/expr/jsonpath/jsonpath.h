#pragma once
// JSONPath as AWS Step Functions evaluates it, which is Jayway JsonPath 2.0.0 to the letter: its grammar, its
// result shapes, its quirks and the texts of its errors.
//
// A Path is compiled once, never changes afterwards and may be shared between threads; copying one is a
// pointer copy. Evaluating has no side effects and borrows nothing: the result shares blocks with the input.
//
//   definite path     $.a['b'][0]          the value itself, or an error where there is none
//   indefinite path   $.a[*] $..x $[1:]    an array of what was found, in document order, [] for nothing
//
// "Indefinite" is everything with `..`, a wildcard, a filter, a slice or a list of indices.
//
// What differs from other dialects, all of it observed on AWS or on that library version: `[-1]` is out of
// bounds (`[-1:]` or `[(@.length-1)]` take the last element), brackets want single quotes, nothing is
// unescaped inside them, functions such as `length()` are plain member names, and a member that is missing
// below a filter, slice or object wildcard fails the whole evaluation instead of being left out.
//
// Hostile input: the text has at most kTextBytesMax bytes, nesting of filters is bounded, nothing recurses
// over the document, and one evaluation takes at most kStepsMax steps and keeps at most kResultsMax results;
// beyond that it ends with kLimitExceeded. Regular expressions run on RE2, in linear time.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace sortie::jsonpath {

// Error codes of compile() and evaluate(). The message is the library's own text where it has one:
// "No results for path: $['x']", "Missing property in path $['no']", "Property ['b'] not found in path
// $['a']", "Index out of bounds when evaluating path $['a'][9]", "The path $['a'] is null".
inline constexpr std::string_view kPathNotFound = "PathNotFound";  // Nothing there.
inline constexpr std::string_view kInvalidPath =
    "InvalidPath";  // Not a path, or not applicable to the value.
inline constexpr std::string_view kLimitExceeded =
    "PathLimitExceeded";  // Too long, too deep or too much work.

inline constexpr std::size_t kTextBytesMax = 64 * 1024;
inline constexpr std::size_t kStepsMax = 10'000'000;
inline constexpr std::size_t kResultsMax = 1'000'000;

// One step of a reference path: a member's name or a non-negative index.
using ReferenceStep = std::variant<std::string, std::uint32_t>;

struct Program;  // The compiled form, private to this folder.

class Path {
 public:
  // Any path. Errors: kInvalidPath with the byte offset in place ("offset 12") where one is known.
  static Result<Path> compile(std::string_view text);
  // A reference path in the States Language's own spelling, where a backslash takes the next character of a
  // dotted name literally: `$.store\.book`, `$.\stor\e.boo\k`. For ResultPath, ItemsPath and the like.
  static Result<Path> compile_reference(std::string_view text);

  // As it was written, without surrounding blanks.
  const std::string& text() const;
  bool is_root() const;      // Exactly "$": evaluates to the input itself.
  bool is_definite() const;  // Gives one value, not an array of results.
  // Names exactly one node: member names and non-negative indices only.
  bool is_reference() const;
  // The steps of a reference path; empty for "$" and for paths that are none.
  std::vector<ReferenceStep> reference_steps() const;

  Result<json::Value> evaluate(const json::Value& root) const;
  // For a definite path: where its value lies in `root`, or nullptr for any failure. Allocates nothing when
  // the path is made of names and indices. Always nullptr for indefinite paths.
  const json::Value* find(const json::Value& root) const;

 private:
  friend Result<json::Value> set_at(const json::Value& root, const Path& reference, json::Value value);
  explicit Path(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace sortie::jsonpath
