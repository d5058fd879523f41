#include "runtime/task_token.h"

#include "base/hash.h"
#include "base/text.h"

namespace sortie::runtime {
namespace {

constexpr char kTokenVersion = 1;
constexpr std::size_t kBodyBytes =
    1 + 4 + 8 + 4 + 4 + 4;             // Version, shard, execution, frame, entry, attempt.
constexpr std::size_t kMacBytes = 18;  // So that the whole is a multiple of three bytes.

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

std::uint64_t get(std::string_view bytes, std::size_t at, int count) {
  std::uint64_t value = 0;
  for (int i = 0; i < count; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

}  // namespace

std::string TaskTokens::make(const AttemptKey& key) const {
  std::string body(1, kTokenVersion);
  put(body, 0, 4);
  put(body, key.execution, 8);
  put(body, key.frame, 4);
  put(body, key.entry, 4);
  put(body, key.attempt, 4);
  return base64_encode(body + hmac_sha256(key_, "task-token:" + body).substr(0, kMacBytes));
}

Result<AttemptKey> TaskTokens::read(std::string_view token) const {
  const Error invalid{"InvalidToken", "Invalid Token: 'Invalid token'", "", ""};
  const Result<std::string> raw = base64_decode(token);
  if (!raw || raw->size() != kBodyBytes + kMacBytes || (*raw)[0] != kTokenVersion) return invalid;
  const std::string_view body = std::string_view(*raw).substr(0, kBodyBytes);
  const std::string mac = hmac_sha256(key_, "task-token:" + std::string(body)).substr(0, kMacBytes);
  if (!constant_time_equal(mac, std::string_view(*raw).substr(kBodyBytes))) return invalid;
  return AttemptKey{get(body, 5, 8), static_cast<std::uint32_t>(get(body, 13, 4)),
                    static_cast<std::uint32_t>(get(body, 17, 4)),
                    static_cast<std::uint32_t>(get(body, 21, 4))};
}

}  // namespace sortie::runtime
