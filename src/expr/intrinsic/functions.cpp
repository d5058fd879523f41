#include "expr/intrinsic/functions.h"

#include <cmath>

namespace sortie::intrinsic {
namespace {

constexpr Function kFunctions[] = {
    {"States.Array", 0, SIZE_MAX, make_array},
    {"States.ArrayPartition", 2, 2, array_partition},
    {"States.ArrayContains", 2, 2, array_contains},
    {"States.ArrayRange", 3, 3, array_range},
    {"States.ArrayGetItem", 2, 2, array_get_item},
    {"States.ArrayLength", 1, 1, array_length},
    {"States.ArrayUnique", 1, 1, array_unique},
    {"States.Base64Encode", 1, 1, base64_encode_text},
    {"States.Base64Decode", 1, 1, base64_decode_text},
    {"States.Hash", 2, 2, hash_text},
    {"States.JsonMerge", 3, 3, json_merge},
    {"States.StringToJson", 1, 1, string_to_json},
    {"States.JsonToString", 1, 1, json_to_string},
    {"States.MathRandom", 2, 3, math_random},
    {"States.MathAdd", 2, 2, math_add},
    {"States.StringSplit", 2, 2, string_split},
    {"States.UUID", 0, 0, make_uuid_text},
    {"States.Format", 1, SIZE_MAX, format},
};

constexpr double kInt64Limit = 9223372036854775808.0;  // 2^63

Error wrong_type(const Call& call, std::size_t index, std::string_view wanted) {
  const std::string_view found = json::kind_name(call.arguments[index].kind());
  return failure(call, "argument " + std::to_string(index + 1) + " must be " + std::string(wanted) +
                           ", not " + std::string(found));
}

}  // namespace

const Function* find_function(std::string_view name) {
  for (const Function& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

Error failure(const Call& call, std::string message) {
  return {std::string(kIntrinsicFailure), std::string(call.name) + ": " + std::move(message), "", ""};
}

Result<json::Value> array_argument(const Call& call, std::size_t index) {
  if (!call.arguments[index].is_array()) return wrong_type(call, index, "an array");
  return call.arguments[index];
}

Result<json::Value> object_argument(const Call& call, std::size_t index) {
  if (!call.arguments[index].is_object()) return wrong_type(call, index, "an object");
  return call.arguments[index];
}

Result<std::string_view> string_argument(const Call& call, std::size_t index) {
  if (!call.arguments[index].is_string()) return wrong_type(call, index, "a string");
  return call.arguments[index].as_string();
}

Result<std::int64_t> integer_argument(const Call& call, std::size_t index) {
  const json::Value& argument = call.arguments[index];
  if (!argument.is_number()) return wrong_type(call, index, "a number");
  if (argument.is_integer()) return argument.as_integer();
  const double number = argument.as_double();
  const double below = std::floor(number);
  const double rounded = number - below >= 0.5 ? below + 1 : below;
  if (!(rounded >= -kInt64Limit && rounded < kInt64Limit)) {
    return failure(call, "argument " + std::to_string(index + 1) + " is out of range");
  }
  return static_cast<std::int64_t>(rounded);
}

bool is_text_longer(const json::Value& value, std::size_t bytes) {
  struct Level {
    const json::Value* container;
    std::size_t next;
  };
  std::vector<Level> levels;
  std::size_t counted = 0;
  const auto count = [&](const json::Value& item) {
    counted += 1 + (item.is_string() ? item.as_string().size() : 0);
    if (!item.empty()) levels.push_back({&item, 0});
  };
  count(value);
  while (!levels.empty() && counted <= bytes) {
    Level& level = levels.back();
    const json::Value& container = *level.container;
    if (level.next == container.size()) {
      levels.pop_back();
      continue;
    }
    const std::size_t index = level.next++;
    if (container.is_array()) {
      count(container.items()[index]);
    } else {
      counted += container.members()[index].key.as_string().size();
      count(container.members()[index].value);
    }
  }
  return counted > bytes;
}

}  // namespace sortie::intrinsic
