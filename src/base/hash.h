#pragma once
// Digests, message authentication and identifiers. OpenSSL stays behind this header.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sortie {

enum class Digest { kMd5, kSha1, kSha256, kSha384, kSha512 };

std::string digest(Digest algorithm, std::string_view bytes);  // Raw bytes; to_hex() for people.
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 raw bytes.
// Takes the same time whatever the first difference is; false at once when the lengths differ.
bool constant_time_equal(std::string_view a, std::string_view b);

std::string make_uuid(Random& random);  // Version 4, lower case.
std::string random_hex(Random& random, std::size_t bytes);
std::string random_alphanumeric(Random& random, std::size_t length);  // A-Z 0-9

// A small, fast, seedable generator (splitmix64): for tests, simulation and jitter, never for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

}  // namespace sortie
