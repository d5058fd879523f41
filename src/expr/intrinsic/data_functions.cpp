// JSON, numbers, chance.
#include "base/hash.h"
#include "base/text.h"
#include "expr/intrinsic/functions.h"
#include "json/text.h"

namespace sortie::intrinsic {
namespace {

// A number below `count` without bias.
std::uint64_t draw(Random& random, std::uint64_t count) {
  const std::uint64_t usable = UINT64_MAX - UINT64_MAX % count;
  std::uint64_t bits = random.next();
  while (bits >= usable) bits = random.next();
  return bits % count;
}

}  // namespace

Result<json::Value> json_merge(const Call& call) {
  SORTIE_TRY(const json::Value first, object_argument(call, 0));
  SORTIE_TRY(const json::Value second, object_argument(call, 1));
  if (!call.arguments[2].is_bool() || call.arguments[2].as_bool()) {
    return failure(call, "argument 3 must be false: only shallow merging is supported");
  }
  std::vector<json::Member> members;
  members.reserve(first.size() + second.size());
  for (const json::Member& member : first.members()) {
    const json::Value* later = second.find(member.key.as_string());
    members.push_back({member.key, later != nullptr ? *later : member.value});
  }
  for (const json::Member& member : second.members()) {
    if (!first.has(member.key.as_string())) members.push_back(member);
  }
  return json::Value::object(std::move(members));
}

Result<json::Value> string_to_json(const Call& call) {
  SORTIE_TRY(const std::string_view text, string_argument(call, 0));
  if (trim(text).empty()) return json::Value();
  auto value = json::parse(text);
  if (!value)
    return failure(call, "the text is no JSON: " + value.error().message + " (" + value.error().place + ")");
  return value;
}

Result<json::Value> json_to_string(const Call& call) {
  if (is_text_longer(call.arguments[0], kResultBytesMax)) return failure(call, "the text would be too long");
  return json::Value(json::to_text(call.arguments[0]));
}

Result<json::Value> math_add(const Call& call) {
  SORTIE_TRY(const std::int64_t first, integer_argument(call, 0));
  SORTIE_TRY(const std::int64_t second, integer_argument(call, 1));
  std::int64_t sum = 0;
  if (__builtin_add_overflow(first, second, &sum) || sum < INT32_MIN || sum > INT32_MAX) {
    return failure(call, "the sum is outside of -2147483648 to 2147483647");
  }
  return json::Value(sum);
}

Result<json::Value> math_random(const Call& call) {
  SORTIE_TRY(const std::int64_t start, integer_argument(call, 0));
  SORTIE_TRY(const std::int64_t end, integer_argument(call, 1));
  if (start >= end) return failure(call, "the start must be less than the end");
  const std::uint64_t count = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start);
  std::uint64_t drawn = 0;
  if (call.arguments.size() == 3) {
    SORTIE_TRY(const std::int64_t seed, integer_argument(call, 2));
    SeededRandom random(static_cast<std::uint64_t>(seed));
    drawn = draw(random, count);
  } else if (call.random != nullptr) {
    drawn = draw(*call.random, count);
  } else {
    return failure(call, "there is no source of randomness here; give a seed");
  }
  return json::Value(static_cast<std::int64_t>(static_cast<std::uint64_t>(start) + drawn));
}

Result<json::Value> make_uuid_text(const Call& call) {
  if (call.random == nullptr) return failure(call, "there is no source of randomness here");
  return json::Value(make_uuid(*call.random));
}

}  // namespace sortie::intrinsic
