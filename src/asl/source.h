#pragma once
// A definition's text and its value side by side: what a linter or an editor needs to point at a line.
#include <map>
#include <string>
#include <string_view>

#include "json/text.h"
#include "json/value.h"

namespace sortie::asl {

class DefinitionSource {
 public:
  // JSON or YAML, told apart as compile() does. Text that cannot be read has a null value and no places.
  explicit DefinitionSource(std::string_view text);

  const json::Value& value() const { return value_; }
  // Where the value at a JSON pointer begins, its column in characters; a pointer that leads nowhere is taken
  // for its nearest parent, in the end for the beginning of the text.
  json::Position position(std::string_view pointer) const;
  bool is_yaml() const { return is_yaml_; }
  const std::map<std::string, json::Position>& places() const { return places_; }  // YAML only.

 private:
  std::string text_;
  json::Value value_;
  std::map<std::string, json::Position> places_;  // YAML only.
  bool is_yaml_ = false;
};

// One step of a JSON pointer: "~" and "/" escaped.
std::string escape_pointer(std::string_view name);

}  // namespace sortie::asl
