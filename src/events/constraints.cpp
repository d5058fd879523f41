#include "events/constraints.h"

#include <algorithm>

#include "base/text.h"
#include "json/text.h"

namespace sortie::events {

namespace constraints_detail {
constexpr std::size_t kShownBytesMax = 256;
}

std::string Constraints::path_of(std::string_view member) const {
  std::string path(member);
  if (!path.empty() && path[0] >= 'A' && path[0] <= 'Z') path[0] = static_cast<char>(path[0] + 32);
  return prefix_ + path;
}

void Constraints::mistyped(std::string_view member) {
  if (mistyped_.empty()) mistyped_ = path_of(member);
}

void Constraints::violated(std::string_view shown_value, std::string_view path, std::string_view constraint) {
  violations_.push_back("Value " + std::string(shown_value) + " at '" + std::string(path) +
                        "' failed to satisfy constraint: " + std::string(constraint));
}

const json::Value* Constraints::given(const json::Value& request, std::string_view member, bool required) {
  const json::Value* value = request.find(member);
  if (value != nullptr && !value->is_null()) return value;
  if (required) violated("null", path_of(member), "Member must not be null");
  return nullptr;
}

void Constraints::length(const std::string& value, std::string_view member, std::size_t min,
                         std::size_t max) {
  const std::size_t characters = count_code_points(value);
  const std::string shown = "'" + std::string(truncate_utf8(value, constraints_detail::kShownBytesMax)) + "'";
  if (characters > max) {
    violated(shown, path_of(member), "Member must have length less than or equal to " + std::to_string(max));
  } else if (characters < min) {
    violated(shown, path_of(member),
             "Member must have length greater than or equal to " + std::to_string(min));
  }
}

std::string Constraints::text(const json::Value& request, std::string_view member, std::size_t min,
                              std::size_t max, bool required) {
  const json::Value* value = given(request, member, required);
  if (value == nullptr) return "";
  if (!value->is_string()) {
    mistyped(member);
    return "";
  }
  std::string text = value->to_std_string();
  length(text, member, min, max);
  return text;
}

std::string Constraints::name(const json::Value& request, std::string_view member, std::size_t max,
                              bool required, std::string_view also) {
  std::string text = this->text(request, member, 1, max, required);
  const bool valid = std::all_of(text.begin(), text.end(), [also](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || also.find(c) != std::string_view::npos;
  });
  if (!valid) {
    violated("'" + std::string(truncate_utf8(text, constraints_detail::kShownBytesMax)) + "'",
             path_of(member),
             "Member must satisfy regular expression pattern: [" + std::string(also) + "\\.\\-_A-Za-z0-9]+");
  }
  return text;
}

std::string Constraints::one_of(const json::Value& request, std::string_view member,
                                std::initializer_list<std::string_view> values) {
  const json::Value* value = given(request, member, false);
  if (value == nullptr) return "";
  if (!value->is_string()) {
    mistyped(member);
    return "";
  }
  std::string text = value->to_std_string();
  if (std::find(values.begin(), values.end(), text) != values.end()) return text;
  std::string set;
  for (std::string_view one : values) set += (set.empty() ? "" : ", ") + std::string(one);
  violated("'" + std::string(truncate_utf8(text, constraints_detail::kShownBytesMax)) + "'", path_of(member),
           "Member must satisfy enum value set: [" + set + "]");
  return "";
}

std::int64_t Constraints::integer(const json::Value& request, std::string_view member, std::int64_t min,
                                  std::int64_t max, std::int64_t otherwise) {
  const json::Value* value = given(request, member, false);
  if (value == nullptr) return otherwise;
  if (!value->is_integer()) {
    mistyped(member);
    return otherwise;
  }
  const std::int64_t number = value->as_integer();
  const std::string shown = "'" + std::to_string(number) + "'";
  if (number > max) {
    violated(shown, path_of(member), "Member must have value less than or equal to " + std::to_string(max));
  } else if (number < min) {
    violated(shown, path_of(member),
             "Member must have value greater than or equal to " + std::to_string(min));
  }
  return number;
}

void Constraints::items(const json::Value& request, std::string_view member, std::size_t min,
                        std::size_t max) {
  const json::Value* value = given(request, member, true);
  if (value == nullptr) return;
  if (!value->is_array()) return mistyped(member);
  const std::string shown =
      "'" + std::string(truncate_utf8(json::to_text(*value), constraints_detail::kShownBytesMax)) + "'";
  if (value->size() > max) {
    violated(shown, path_of(member), "Member must have length less than or equal to " + std::to_string(max));
  } else if (value->size() < min) {
    violated(shown, path_of(member),
             "Member must have length greater than or equal to " + std::to_string(min));
  }
}

Status Constraints::result() const {
  if (!mistyped_.empty()) {
    return Error{"SerializationException", "The value at '" + mistyped_ + "' has the wrong type."};
  }
  if (violations_.empty()) return {};
  const std::string count = std::to_string(violations_.size());
  return Error{"ValidationException",
               count + (violations_.size() == 1 ? " validation error" : " validation errors") +
                   " detected: " + join(violations_, "; ")};
}

}  // namespace sortie::events
