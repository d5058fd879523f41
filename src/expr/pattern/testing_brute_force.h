#pragma once
// For tests: what a pattern matches, found in the obvious way. The event is flattened into a list of all its
// fields by the token reader; then every condition, in the order of the paths, is tried with every field of
// its path, and two fields go together when no array has given them different elements. Exponential, shares
// nothing with RuleSet but the comparison of one scalar with one test.
#include <map>
#include <string>
#include <vector>

#include "expr/pattern/compiler.h"
#include "expr/pattern/tokens.h"

namespace sortie::pattern {

class BruteForce {
 public:
  explicit BruteForce(std::string_view event_text) : reader_(event_text) {
    if (const auto first = reader_.next(); first && *first == Token::kStartObject) read_object("", true, {});
  }

  bool matches(const Pattern& pattern) {
    for (const Combination& combination : pattern.rules().combinations) {
      if (walk(combination, combination.begin(), {})) return true;
    }
    return false;
  }

  // Gives up, saying no match, after so many fields have been tried: for events that are not made by us.
  std::size_t steps_left = SIZE_MAX;

 private:
  using Elements = std::map<std::size_t, std::size_t>;  // Array -> which of its elements.
  struct Field {
    FieldKind kind;
    std::string text;
    Elements elements;
  };

  void read_object(const std::string& path, bool root, const Elements& elements) {
    while (*reader_.next() != Token::kEndObject) {
      const std::string name = *reader_.token_text();
      read_value(*reader_.next(), root ? name : path + "." + name, elements);
    }
  }

  void read_value(Token token, const std::string& path, const Elements& elements) {
    if (token == Token::kStartObject) return read_object(path, false, elements);
    if (token == Token::kStartArray) {
      const std::size_t array = arrays_++;
      std::size_t index = 0;
      for (Token item = *reader_.next(); item != Token::kEndArray; item = *reader_.next(), ++index) {
        Elements inner = elements;
        if (item == Token::kStartObject || item == Token::kStartArray) inner[array] = index;
        read_value(item, path, inner);
      }
      return;
    }
    const FieldKind kind = token == Token::kString  ? FieldKind::kString
                           : token == Token::kTrue  ? FieldKind::kTrue
                           : token == Token::kFalse ? FieldKind::kFalse
                           : token == Token::kNull  ? FieldKind::kNull
                                                    : FieldKind::kNumber;
    fields_[path].push_back({kind, *reader_.token_text(), elements});
  }

  bool walk(const Combination& all, Combination::const_iterator at, const Elements& chosen) {
    if (at == all.end()) return true;
    bool absent = true;
    for (const Field& field : fields_[at->first]) {
      if (steps_left == 0) return false;
      --steps_left;
      Elements joined = chosen;
      bool consistent = true;
      for (const auto& [array, index] : field.elements) {
        consistent = consistent && joined.emplace(array, index).first->second == index;
      }
      if (!consistent) continue;
      absent = false;
      Scalar scalar;
      scalar.kind = field.kind;
      scalar.text = field.text;
      if (test_values(*at->second, scalar) && walk(all, std::next(at), joined)) return true;
    }
    return absent && allows_absence(*at->second) && walk(all, std::next(at), chosen);
  }

  TokenReader reader_;
  std::size_t arrays_ = 0;
  std::map<std::string, std::vector<Field>> fields_;
};

}  // namespace sortie::pattern
