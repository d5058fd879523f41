#pragma once
// What an AWS operation accepts, as the service's model says it, and the errors AWS answers to what it does
// not accept: "SerializationException" for a wrong JSON type, "ValidationException" ("1 validation error
// detected: Value 'x' at 'name' failed to satisfy constraint: ...") for everything a constraint forbids.
// All violations are reported together, in the model's order. Members that the model does not know are
// ignored, null counts as absent: that is what AWS does. Values of sensitive members are never repeated.
//
// Shapes are constants of the program: they live as long as it does and point at each other.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace sortie::api {

struct Shape;

struct ShapeMember {
  std::string_view name;
  const Shape* shape;
  bool required = false;
};

struct Shape {
  enum class Type : std::uint8_t { kString, kInteger, kNumber, kBoolean, kList, kStructure };
  Type type = Type::kStructure;
  std::optional<std::int64_t> min =
      std::nullopt;  // Code points of a string, items of a list, value of a number.
  std::optional<std::int64_t> max = std::nullopt;
  bool sensitive = false;
  std::vector<std::string_view> values = {};    // An enumeration, in the order AWS lists it.
  std::string_view pattern = {};                // As AWS prints it...
  bool (*matches)(std::string_view) = nullptr;  // ... and what it means.
  const Shape* item = nullptr;                  // Of a list.
  std::vector<ShapeMember> members = {};        // Of a structure.
};

Status check_shape(const Shape& shape, const json::Value& input);

// "1 validation error detected: " + the sentences, for constraints that no model states.
Error validation_error(const std::vector<std::string>& sentences);

}  // namespace sortie::api
