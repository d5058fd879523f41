#pragma once
// An event as patterns see it: every scalar is a field of its own, named by the member names that lead to it,
// joined by dots. Arrays do not appear in the path; instead a field remembers, as coordinates, which element
// of which array it came from, so that a pattern's fields can be kept from matching across elements. Empty
// arrays and empty objects leave no field at all, repeated member names leave all of theirs.
//
// Built once per event, then matched against any number of patterns. Immutable; may be shared by threads.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "expr/pattern/scalars.h"
#include "json/value.h"

namespace sortie::pattern {

enum class FieldKind : std::uint8_t { kString, kNumber, kTrue, kFalse, kNull };

// Element `index` of array `array`. Arrays are numbered in the order of the text, outer before inner.
struct Coordinate {
  std::uint32_t array = 0;
  std::uint32_t index = 0;
  auto operator<=>(const Coordinate&) const = default;
};

struct Field {
  FieldKind kind = FieldKind::kNull;
  std::string text;                // A string without its escapes, a number as it is spelled, or the literal.
  std::optional<double> number;    // Numbers that can be compared.
  std::optional<Address> address;  // Strings that are one.
  std::vector<Coordinate> coordinates;  // Outermost first.
};

struct ArrayPlace {
  std::string path;                  // Of the array itself.
  std::optional<Coordinate> parent;  // The innermost element that the array lies in.
};

class FlatEvent {
 public:
  // Errors: code "InvalidEvent": no JSON, no object, nested too deeply.
  static Result<FlatEvent> parse(std::string_view event_text);
  static Result<FlatEvent> from_value(const json::Value& event);

  // In the order of the text; nullptr where the event has no such field.
  const std::vector<Field>* find(std::string_view path) const;
  const ArrayPlace& array(std::uint32_t number) const { return arrays_[number]; }

 private:
  friend class EventFlattener;
  std::map<std::string, std::vector<Field>, std::less<>> fields_;
  std::vector<ArrayPlace> arrays_;
};

}  // namespace sortie::pattern
