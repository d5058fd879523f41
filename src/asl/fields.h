#pragma once
// Which members an object of a definition may have, as tables: name, kind of value, range, query language.
//
// Fields reads one object against the tables of its state type and reports what they do not allow: a member
// that is unknown, missing, of the wrong kind, out of range, or of the other query language. Its getters then
// answer only with values that passed, so the code behind them has no checks to repeat.
//
// Texts are AWS's where recordings show them ("These fields are required: [States]"), else in their style.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "asl/diagnostics.h"
#include "json/value.h"

namespace sortie::asl {

enum class FieldKind : std::uint8_t {
  kAny,
  kString,
  kBoolean,
  kInteger,
  kNumber,
  kObject,
  kArray,
  kStringOrNull
};
enum class FieldLanguage : std::uint8_t { kBoth, kJsonPath, kJsonata };

inline constexpr std::int64_t kSecondsMax = 99'999'999;  // Of every field that counts seconds.

struct FieldSpec {
  std::string_view name;
  FieldKind kind = FieldKind::kAny;
  FieldLanguage language = FieldLanguage::kBoth;
  bool required = false;
  std::int64_t min = INT64_MIN;  // For kInteger and kNumber.
  std::int64_t max = INT64_MAX;
  bool query = false;  // In JSONata an expression may stand for the value, whatever its kind.
};

using FieldTable = std::span<const FieldSpec>;

class Fields {
 public:
  // Borrows everything. `value` that is no object is reported and reads as empty.
  Fields(Diagnostics& diagnostics, const json::Value& value, const Where& where,
         std::initializer_list<FieldTable> tables, QueryLanguage language = QueryLanguage::kJsonPath);

  bool is_object() const { return object_.is_object(); }
  const json::Value& object() const { return object_; }
  const Where& where() const { return where_; }
  Where at(std::string_view name) const { return where_.member(name); }
  QueryLanguage language() const { return language_; }

  // The member, where it is present and passed the table; else nullptr.
  const json::Value* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // Present in the text, right or wrong: for rules about which fields go together.
  bool is_written(std::string_view name) const { return object_.find(name) != nullptr; }
  std::optional<std::string> text(std::string_view name) const;
  std::optional<std::int64_t> integer(std::string_view name) const;
  std::optional<double> number(std::string_view name) const;
  bool is_true(std::string_view name) const;

  // Reports unless exactly one (or, without `required`, at most one) of the fields is written.
  bool exactly_one(std::initializer_list<std::string_view> names, bool required = true) const;

 private:
  const FieldSpec* spec_of(std::string_view name) const;
  bool check(const json::Member& member);

  Diagnostics& diagnostics_;
  const json::Value& object_;
  const Where& where_;
  std::vector<FieldTable> tables_;
  QueryLanguage language_;
  std::vector<std::string_view> rejected_;  // Present, and reported.
};

std::string field_list(std::initializer_list<std::string_view> names);  // "[Next, End]"

}  // namespace sortie::asl
