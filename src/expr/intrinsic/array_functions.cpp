#include <unordered_map>

#include "expr/intrinsic/functions.h"
#include "json/text.h"

namespace sortie::intrinsic {
namespace {

constexpr std::uint32_t kComparedDepthMax = json::kDepthMax + 100;

std::size_t mix(std::size_t seed, std::size_t value) {
  return seed ^ (value + 0x9E3779B97F4A7C15ull + (seed << 6) + (seed >> 2));
}

// Equal values have equal hashes: numbers hash by value, objects regardless of member order. Recursive; the
// caller has bounded the depth.
std::size_t hash_of(const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::kNull:
      return 1;
    case json::Kind::kBool:
      return value.as_bool() ? 2 : 3;
    case json::Kind::kInteger:
    case json::Kind::kDouble:
    case json::Kind::kBigInteger:
      return mix(4, std::hash<double>{}(value.as_double() + 0.0));
    case json::Kind::kString:
      return mix(5, std::hash<std::string_view>{}(value.as_string()));
    case json::Kind::kArray: {
      std::size_t hash = 6;
      for (const json::Value& item : value.items()) hash = mix(hash, hash_of(item));
      return hash;
    }
    case json::Kind::kObject: {
      std::size_t sum = 0;
      for (const json::Member& member : value.members()) {
        sum += mix(std::hash<std::string_view>{}(member.key.as_string()), hash_of(member.value));
      }
      return mix(7, sum);
    }
  }
  return 0;
}

Status check_comparable(const Call& call, const json::Value& value) {
  if (value.depth() > kComparedDepthMax || is_text_longer(value, kComparedBytesMax)) {
    return failure(call, "the data is too large to compare");
  }
  return {};
}

}  // namespace

Result<json::Value> make_array(const Call& call) {
  return json::Value::array({call.arguments.begin(), call.arguments.end()});
}

Result<json::Value> array_partition(const Call& call) {
  SORTIE_TRY(const json::Value array, array_argument(call, 0));
  SORTIE_TRY(const std::int64_t size, integer_argument(call, 1));
  if (size <= 0) return failure(call, "the chunk size must be greater than 0");
  const auto items = array.items();
  const std::size_t chunk = std::min<std::uint64_t>(static_cast<std::uint64_t>(size), items.size());
  std::vector<json::Value> chunks;
  for (std::size_t first = 0; first < items.size(); first += chunk) {
    const auto part = items.subspan(first, std::min(chunk, items.size() - first));
    chunks.push_back(json::Value::array({part.begin(), part.end()}));
  }
  return json::Value::array(std::move(chunks));
}

Result<json::Value> array_contains(const Call& call) {
  SORTIE_TRY(const json::Value array, array_argument(call, 0));
  SORTIE_TRY_STATUS(check_comparable(call, array));
  SORTIE_TRY_STATUS(check_comparable(call, call.arguments[1]));
  for (const json::Value& item : array.items()) {
    if (item == call.arguments[1]) return json::Value(true);
  }
  return json::Value(false);
}

Result<json::Value> array_range(const Call& call) {
  SORTIE_TRY(const std::int64_t first, integer_argument(call, 0));
  SORTIE_TRY(const std::int64_t last, integer_argument(call, 1));
  SORTIE_TRY(const std::int64_t step, integer_argument(call, 2));
  if (step == 0) return failure(call, "the step must not be 0");
  std::vector<json::Value> items;
  std::int64_t number = first;
  while (step > 0 ? number <= last : number >= last) {
    if (items.size() == kRangeItemsMax) {
      return failure(call, "the range has more than " + std::to_string(kRangeItemsMax) + " items");
    }
    items.emplace_back(number);
    if (__builtin_add_overflow(number, step, &number)) break;
  }
  return json::Value::array(std::move(items));
}

Result<json::Value> array_get_item(const Call& call) {
  SORTIE_TRY(const json::Value array, array_argument(call, 0));
  SORTIE_TRY(const std::int64_t index, integer_argument(call, 1));
  if (index < 0 || static_cast<std::uint64_t>(index) >= array.size()) {
    return failure(call, "index " + std::to_string(index) + " is outside of the array, which has " +
                             std::to_string(array.size()) + " items");
  }
  return array.items()[static_cast<std::size_t>(index)];
}

Result<json::Value> array_length(const Call& call) {
  SORTIE_TRY(const json::Value array, array_argument(call, 0));
  return json::Value(static_cast<std::int64_t>(array.size()));
}

Result<json::Value> array_unique(const Call& call) {
  SORTIE_TRY(const json::Value array, array_argument(call, 0));
  SORTIE_TRY_STATUS(check_comparable(call, array));
  std::unordered_multimap<std::size_t, const json::Value*> seen;
  std::vector<json::Value> items;
  for (const json::Value& item : array.items()) {
    const std::size_t hash = hash_of(item);
    bool known = false;
    const auto [first, last] = seen.equal_range(hash);
    for (auto same = first; same != last && !known; ++same) known = *same->second == item;
    if (known) continue;
    seen.emplace(hash, &item);
    items.push_back(item);
  }
  return json::Value::array(std::move(items));
}

}  // namespace sortie::intrinsic
