#include "api/shape.h"

#include "base/text.h"
#include "json/text.h"

namespace sortie::api {
namespace {

// A list of a million bad items is not worth a megabyte of complaints.
constexpr std::size_t kViolationsMax = 10;
constexpr std::size_t kEchoBytesMax = 2048;

struct Checker {
  std::vector<std::string> violations;
  std::optional<Error> wrong_type;

  void violate(const Shape& shape, const std::string& path, const json::Value* value, std::string_view rule) {
    if (violations.size() >= kViolationsMax) return;
    std::string text = "Value ";
    if (value == nullptr) {
      text += "null ";
    } else if (!shape.sensitive) {
      const std::string shown = value->is_string() ? value->to_std_string() : json::to_text(*value);
      text += "'" + std::string(truncate_utf8(shown, kEchoBytesMax)) + "' ";
    }
    violations.push_back(text + "at '" + path + "' failed to satisfy constraint: " + std::string(rule));
  }

  void refuse_type(const Shape& shape, const json::Value& value) {
    if (wrong_type) return;
    wrong_type = Error{"SerializationException", type_message(shape, value), "", ""};
  }

  static std::string type_message(const Shape& shape, const json::Value& value) {
    if (shape.type == Shape::Type::kStructure) return "Unexpected field type";
    if (shape.type == Shape::Type::kList) return "Expected list or null";
    if (value.is_object()) return "Start of structure or map found where not expected.";
    if (value.is_array()) return "Start of list found where not expected.";
    std::string_view found = "STRING_VALUE";
    if (value.is_number()) found = "NUMBER_VALUE";
    if (value.is_bool()) found = value.as_bool() ? "TRUE_VALUE" : "FALSE_VALUE";
    std::string_view wanted = "a String";
    if (shape.type == Shape::Type::kInteger) wanted = "an Integer";
    if (shape.type == Shape::Type::kNumber) wanted = "a Float";
    if (shape.type == Shape::Type::kBoolean) wanted = "a Boolean";
    return std::string(found) + " can not be converted to " + std::string(wanted);
  }

  void check_length(const Shape& shape, const std::string& path, const json::Value& value,
                    std::int64_t length) {
    if (shape.min && length < *shape.min) {
      violate(shape, path, &value,
              "Member must have length greater than or equal to " + std::to_string(*shape.min));
    }
    if (shape.max && length > *shape.max) {
      violate(shape, path, &value,
              "Member must have length less than or equal to " + std::to_string(*shape.max));
    }
  }

  void check_string(const Shape& shape, const std::string& path, const json::Value& value) {
    if (!value.is_string()) return refuse_type(shape, value);
    const std::string_view text = value.as_string();
    if (shape.min || shape.max) {
      check_length(shape, path, value, static_cast<std::int64_t>(count_code_points(text)));
    }
    if (!shape.values.empty()) {
      std::string list;
      for (const std::string_view allowed : shape.values) {
        if (allowed == text) return;
        list += (list.empty() ? "" : ", ") + std::string(allowed);
      }
      violate(shape, path, &value, "Member must satisfy enum value set: [" + list + "]");
    }
    if (shape.matches != nullptr && !shape.matches(text)) {
      violate(shape, path, &value,
              "Member must satisfy regular expression pattern: " + std::string(shape.pattern));
    }
  }

  void check_number(const Shape& shape, const std::string& path, const json::Value& value) {
    if (!value.is_number()) return refuse_type(shape, value);
    const double number = value.as_double();
    if (shape.min && number < static_cast<double>(*shape.min)) {
      violate(shape, path, &value,
              "Member must have value greater than or equal to " + std::to_string(*shape.min));
    }
    if (shape.max && number > static_cast<double>(*shape.max)) {
      violate(shape, path, &value,
              "Member must have value less than or equal to " + std::to_string(*shape.max));
    }
  }

  void check_list(const Shape& shape, const std::string& path, const json::Value& value) {
    if (!value.is_array()) return refuse_type(shape, value);
    check_length(shape, path, value, static_cast<std::int64_t>(value.size()));
    std::size_t index = 0;
    for (const json::Value& item : value.items()) {
      const std::string place = path + "." + std::to_string(++index) + ".member";
      if (item.is_null()) {
        violate(*shape.item, place, nullptr, "Member must not be null");
      } else {
        check(*shape.item, place, item);
      }
    }
  }

  void check_structure(const Shape& shape, const std::string& path, const json::Value& value) {
    if (!value.is_object()) return refuse_type(shape, value);
    for (const ShapeMember& member : shape.members) {
      const json::Value* found = value.find(member.name);
      const std::string place =
          path.empty() ? std::string(member.name) : path + "." + std::string(member.name);
      if (found != nullptr && !found->is_null()) {
        check(*member.shape, place, *found);
      } else if (member.required) {
        violate(*member.shape, place, nullptr, "Member must not be null");
      }
    }
  }

  // Recursion follows the shape, which is of fixed depth, not the input.
  void check(const Shape& shape, const std::string& path, const json::Value& value) {
    switch (shape.type) {
      case Shape::Type::kString:
        return check_string(shape, path, value);
      case Shape::Type::kInteger:
      case Shape::Type::kNumber:
        return check_number(shape, path, value);
      case Shape::Type::kBoolean:
        if (!value.is_bool()) refuse_type(shape, value);
        return;
      case Shape::Type::kList:
        return check_list(shape, path, value);
      case Shape::Type::kStructure:
        return check_structure(shape, path, value);
    }
  }
};

}  // namespace

Error validation_error(const std::vector<std::string>& sentences) {
  const std::string count = std::to_string(sentences.size());
  return {"ValidationException",
          count + (sentences.size() == 1 ? " validation error detected: " : " validation errors detected: ") +
              join(sentences, "; "),
          "", ""};
}

Status check_shape(const Shape& shape, const json::Value& input) {
  Checker checker;
  checker.check(shape, "", input);
  if (checker.wrong_type) return *checker.wrong_type;
  if (!checker.violations.empty()) return validation_error(checker.violations);
  return {};
}

}  // namespace sortie::api
