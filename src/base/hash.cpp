#include "base/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/text.h"

namespace sortie {
namespace {

const EVP_MD* fetch(const char* name) {
  const EVP_MD* method = EVP_MD_fetch(nullptr, name, nullptr);
  SORTIE_CHECK(method != nullptr);
  return method;
}

const EVP_MD* method_of(Digest algorithm) {
  switch (algorithm) {
    case Digest::kMd5:
      return EVP_md5();
    case Digest::kSha1:
      return EVP_sha1();
    case Digest::kSha256: {
      // Found once: OpenSSL looks the other handles up by name and under locks at every use.
      static const EVP_MD* const method = fetch("SHA2-256");
      return method;
    }
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

// RFC 2104 over two digests: OpenSSL's own HMAC finds its parts by name at every call, which costs more than
// the work itself.
std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  constexpr std::size_t kBlockBytes = 64, kDigestBytes = 32;
  const EVP_MD* method = method_of(Digest::kSha256);
  std::string hashed_key;
  if (key.size() > kBlockBytes) key = hashed_key = digest(Digest::kSha256, key);
  std::array<unsigned char, kBlockBytes> pad;
  const auto fill = [&](unsigned char mask) {
    pad.fill(mask);
    for (std::size_t i = 0; i < key.size(); ++i) pad[i] ^= static_cast<unsigned char>(key[i]);
  };
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  SORTIE_CHECK(context != nullptr);
  const auto digest_behind_pad = [&](const void* data, std::size_t size, unsigned char* out) {
    return EVP_DigestInit_ex(context.get(), method, nullptr) == 1 &&
           EVP_DigestUpdate(context.get(), pad.data(), pad.size()) == 1 &&
           EVP_DigestUpdate(context.get(), data, size) == 1 &&
           EVP_DigestFinal_ex(context.get(), out, nullptr) == 1;
  };
  std::array<unsigned char, kDigestBytes> inner, outer;
  fill(0x36);
  SORTIE_CHECK(digest_behind_pad(bytes.data(), bytes.size(), inner.data()));
  fill(0x5c);
  SORTIE_CHECK(digest_behind_pad(inner.data(), inner.size(), outer.data()));
  OPENSSL_cleanse(pad.data(), pad.size());
  OPENSSL_cleanse(hashed_key.data(), hashed_key.size());
  return {reinterpret_cast<char*>(outer.data()), outer.size()};
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
  std::string uuid;
  uuid.reserve(36);
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) uuid += '-';
    uuid += hex[i];
  }
  return uuid;
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
