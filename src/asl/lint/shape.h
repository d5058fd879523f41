#pragma once
// What is known of a value before anything runs. Immutable and shared, like the values themselves.
//
// Shapes are kept small: one that would grow beyond kShapeSizeMax nodes becomes "unknown", so building them
// in a loop or doubling them state after state costs nothing.
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "expr/jsonpath/jsonpath.h"
#include "json/value.h"

namespace sortie::asl::analysis {

inline constexpr std::size_t kShapeSizeMax = 500;
inline constexpr std::size_t kNobody = SIZE_MAX;

struct Shape;
using ShapePtr = std::shared_ptr<const Shape>;
using Steps = std::span<const jsonpath::ReferenceStep>;

enum class ShapeKind : std::uint8_t { kUnknown, kScalar, kObject, kArray };

struct Shape {
  ShapeKind kind = ShapeKind::kUnknown;
  bool is_open = true;    // An object that may have more members than are listed.
  bool is_tuple = false;  // An array whose items are known one by one.
  std::map<std::string, ShapePtr, std::less<>> members;
  std::vector<ShapePtr> items;  // Of a tuple.
  ShapePtr element;             // Of another array; null: unknown.
  std::uint64_t sources = 0;    // Watched states that this value itself comes from, one bit each.
  std::size_t maker = kNobody;  // The state whose result it is.
  ShapePtr replaced;            // The state input whose place it took.
  // Filled in by seal().
  std::size_t size = 1;
  std::uint64_t all_sources = 0;  // With those of everything inside.
};

ShapePtr seal(Shape shape);
ShapePtr unknown_shape(std::uint64_t sources = 0);
ShapePtr scalar_shape(std::uint64_t sources = 0);
ShapePtr empty_object();
ShapePtr array_of(ShapePtr element, std::uint64_t sources = 0);
ShapePtr closed_object(std::initializer_list<std::string_view> members);  // Of unknown values.
ShapePtr shape_of(const json::Value& literal);

enum class Miss : std::uint8_t { kNone, kArray, kScalar, kAbsent };

struct Found {
  ShapePtr shape;               // Of what the path leads to; unknown where it misses.
  Miss miss = Miss::kNone;      // It can never lead anywhere.
  std::size_t maker = kNobody;  // On a miss: who made the value that stands in the way.
  bool is_certain = false;      // The place is known to exist, not only thinkable.
};

Found resolve(const ShapePtr& root, Steps steps);
// The same value with the knowledge that the path leads somewhere.
ShapePtr refine(const ShapePtr& root, Steps steps);
// What ResultPath makes of it.
ShapePtr store(const ShapePtr& root, Steps steps, ShapePtr value);
bool same_shape(const ShapePtr& a, const ShapePtr& b);

}  // namespace sortie::asl::analysis
