#pragma once
// The 18 functions. Each checks its arguments' types itself: arity is settled when the call is compiled,
// types are known only at run time. Private to this folder.
#include <cstdint>
#include <string>

#include "expr/intrinsic/node.h"

namespace sortie::intrinsic {

inline constexpr std::size_t kHashedCharactersMax = 10'000;  // States.Base64Encode, Base64Decode, Hash.
inline constexpr std::size_t kRangeItemsMax = 1'000;         // States.ArrayRange.
inline constexpr std::size_t kResultBytesMax = 16u << 20;    // Text that one call may produce.
inline constexpr std::size_t kComparedBytesMax = 64u << 20;  // Data that one call may compare.

Error failure(const Call& call, std::string message);

// The argument if it has the type; `index` counts from 0, messages count from 1.
Result<json::Value> array_argument(const Call& call, std::size_t index);
Result<json::Value> object_argument(const Call& call, std::size_t index);
Result<std::string_view> string_argument(const Call& call, std::size_t index);
// Any number, rounded to the nearest integer, halves upwards.
Result<std::int64_t> integer_argument(const Call& call, std::size_t index);

// True when the value's text is surely longer than `bytes`. Values share blocks, so a small one may stand
// for a text that is exponentially longer; this stops counting as soon as it knows.
bool is_text_longer(const json::Value& value, std::size_t bytes);

Result<json::Value> make_array(const Call& call);
Result<json::Value> array_partition(const Call& call);
Result<json::Value> array_contains(const Call& call);
Result<json::Value> array_range(const Call& call);
Result<json::Value> array_get_item(const Call& call);
Result<json::Value> array_length(const Call& call);
Result<json::Value> array_unique(const Call& call);
Result<json::Value> base64_encode_text(const Call& call);
Result<json::Value> base64_decode_text(const Call& call);
Result<json::Value> hash_text(const Call& call);
Result<json::Value> json_merge(const Call& call);
Result<json::Value> string_to_json(const Call& call);
Result<json::Value> json_to_string(const Call& call);
Result<json::Value> math_random(const Call& call);
Result<json::Value> math_add(const Call& call);
Result<json::Value> string_split(const Call& call);
Result<json::Value> make_uuid_text(const Call& call);
Result<json::Value> format(const Call& call);

}  // namespace sortie::intrinsic
