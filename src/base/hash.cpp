#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"

namespace sortie {
namespace {

const EVP_MD* method_of(Digest algorithm) {
  switch (algorithm) {
    case Digest::kMd5:
      return EVP_md5();
    case Digest::kSha1:
      return EVP_sha1();
    case Digest::kSha256:
      return EVP_sha256();
    case Digest::kSha384:
      return EVP_sha384();
    case Digest::kSha512:
      return EVP_sha512();
  }
  SORTIE_CHECK(false);
}

}  // namespace

std::string digest(Digest algorithm, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  SORTIE_CHECK(EVP_Digest(bytes.data(), bytes.size(), out, &length, method_of(algorithm), nullptr) == 1);
  return {reinterpret_cast<char*>(out), length};
}

std::string sha256_hex(std::string_view bytes) { return to_hex(digest(Digest::kSha256, bytes)); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  SORTIE_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                    reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out,
                    &length) != nullptr);
  return {reinterpret_cast<char*>(out), length};
}

bool constant_time_equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_hex(Random& random, std::size_t bytes) {
  std::string raw;
  raw.reserve(bytes);
  while (raw.size() < bytes) {
    std::uint64_t bits = random.next();
    for (int i = 0; i < 8 && raw.size() < bytes; ++i, bits >>= 8) raw += static_cast<char>(bits & 0xFF);
  }
  return to_hex(raw);
}

std::string make_uuid(Random& random) {
  std::string hex = random_hex(random, 16);
  hex[12] = '4';
  hex[16] = "89ab"[random.next() & 3];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::string random_alphanumeric(Random& random, std::size_t length) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";  // 32 letters: no modulo bias.
  std::string out;
  out.reserve(length);
  while (out.size() < length) {
    std::uint64_t bits = random.next();
    for (int i = 0; i < 12 && out.size() < length; ++i, bits >>= 5) out += kAlphabet[bits & 31];
  }
  return out;
}

std::uint64_t SeededRandom::next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace sortie
