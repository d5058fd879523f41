#include "asl/fields.h"

#include <algorithm>
#include <cmath>

#include "asl/jsonata_template.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::asl {
namespace {

std::string_view type_word(FieldKind kind) {
  switch (kind) {
    case FieldKind::kString:
    case FieldKind::kStringOrNull:
      return "String";
    case FieldKind::kBoolean:
      return "Boolean";
    case FieldKind::kInteger:
      return "Integer";
    case FieldKind::kNumber:
      return "Number";
    case FieldKind::kObject:
      return "Map";
    case FieldKind::kArray:
      return "List";
    case FieldKind::kAny:
      break;
  }
  return "Any";
}

bool has_kind(const json::Value& value, FieldKind kind) {
  switch (kind) {
    case FieldKind::kAny:
      return true;
    case FieldKind::kString:
      return value.is_string();
    case FieldKind::kStringOrNull:
      return value.is_string() || value.is_null();
    case FieldKind::kBoolean:
      return value.is_bool();
    case FieldKind::kInteger:  // 3.0 is a whole number, too.
      return value.is_integer() ||
             (value.kind() == json::Kind::kDouble && std::abs(value.as_double()) < 9e15 &&
              std::trunc(value.as_double()) == value.as_double());
    case FieldKind::kNumber:
      return value.is_number();
    case FieldKind::kObject:
      return value.is_object();
    case FieldKind::kArray:
      return value.is_array();
  }
  return false;
}

}  // namespace

std::string field_list(std::initializer_list<std::string_view> names) {
  std::string out = "[";
  for (const std::string_view name : names) {
    if (out.size() > 1) out += ", ";
    out += name;
  }
  return out + "]";
}

Fields::Fields(Diagnostics& diagnostics, const json::Value& value, const Where& where,
               std::initializer_list<FieldTable> tables, QueryLanguage language)
    : diagnostics_(diagnostics), object_(value), where_(where), tables_(tables), language_(language) {
  if (!value.is_object()) {
    diagnostics_.schema(where_, "Expected value of type Map");
    return;
  }
  std::string missing;
  for (const FieldTable table : tables_) {
    for (const FieldSpec& spec : table) {
      if (!spec.required || object_.has(spec.name)) continue;
      if (!missing.empty()) missing += ", ";
      missing += spec.name;
    }
  }
  if (!missing.empty()) diagnostics_.schema(where_, "These fields are required: [" + missing + "]");
  for (const json::Member& member : object_.members()) {
    if (!check(member)) rejected_.push_back(member.key.as_string());
  }
}

const FieldSpec* Fields::spec_of(std::string_view name) const {
  for (const FieldTable table : tables_) {
    for (const FieldSpec& spec : table) {
      if (spec.name == name) return &spec;
    }
  }
  return nullptr;
}

bool Fields::check(const json::Member& member) {
  const std::string_view name = member.key.as_string();
  const Where place = where_.member(name);
  const FieldSpec* spec = spec_of(name);
  if (spec == nullptr) {
    diagnostics_.schema(place, "Field is not supported");
    return false;
  }
  const bool is_jsonata = language_ == QueryLanguage::kJsonata;
  if (spec->language != FieldLanguage::kBoth && (spec->language == FieldLanguage::kJsonata) != is_jsonata) {
    const std::string_view own = is_jsonata ? "JSONata" : "JSONPath";
    const std::string_view other = is_jsonata ? "JSONPath" : "JSONata";
    diagnostics_.schema(where_, "The QueryLanguage is set to '" + std::string(own) + "', but field '" +
                                    std::string(name) + "' is only supported for the '" + std::string(other) +
                                    "' QueryLanguage");
    return false;
  }
  if (is_jsonata && spec->query && is_jsonata_expression(member.value)) return true;
  if (!has_kind(member.value, spec->kind)) {
    diagnostics_.schema(place, "Expected value of type " + std::string(type_word(spec->kind)));
    return false;
  }
  if (spec->kind == FieldKind::kInteger || spec->kind == FieldKind::kNumber) {
    const double number = member.value.as_double();
    if (number < static_cast<double>(spec->min)) {
      diagnostics_.schema(place, "Value must be greater than or equal to " + std::to_string(spec->min));
      return false;
    }
    if (number > static_cast<double>(spec->max)) {
      diagnostics_.schema(place, "Value must be less than or equal to " + std::to_string(spec->max));
      return false;
    }
  }
  return true;
}

const json::Value* Fields::find(std::string_view name) const {
  const json::Value* value = object_.find(name);
  if (value == nullptr || rejected_.empty()) return value;
  return std::find(rejected_.begin(), rejected_.end(), name) == rejected_.end() ? value : nullptr;
}

std::optional<std::string> Fields::text(std::string_view name) const {
  const json::Value* value = find(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->to_std_string();
}

std::optional<std::int64_t> Fields::integer(std::string_view name) const {
  const json::Value* value = find(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->is_integer() ? value->as_integer() : static_cast<std::int64_t>(value->as_double());
}

std::optional<double> Fields::number(std::string_view name) const {
  const json::Value* value = find(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->as_double();
}

bool Fields::is_true(std::string_view name) const {
  const json::Value* value = find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

bool Fields::exactly_one(std::initializer_list<std::string_view> names, bool required) const {
  const auto written =
      std::count_if(names.begin(), names.end(), [this](auto name) { return is_written(name); });
  if (written == 1 || (written == 0 && !required)) return true;
  diagnostics_.schema(where_, std::string(required ? "Exactly one" : "At most one") + " of these fields is " +
                                  (required ? "required: " : "allowed: ") + field_list(names));
  return false;
}

}  // namespace sortie::asl
