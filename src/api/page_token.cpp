#include "api/page_token.h"

#include <charconv>

#include "base/hash.h"
#include "base/text.h"

namespace sortie::api {
namespace {

constexpr std::size_t kDigestBytes = 16;

Error invalid_token() { return {"InvalidToken", "Invalid Token: 'Invalid token'", "", ""}; }

std::string digest_of(std::string_view listing, std::string_view cursor) {
  std::string text = "sortie page\n" + std::string(listing) + "\n" + std::string(cursor);
  return digest(Digest::kSha256, text).substr(0, kDigestBytes);
}

}  // namespace

std::string make_page_token(std::string_view listing, std::string_view cursor) {
  return base64url_encode(digest_of(listing, cursor) + std::string(cursor));
}

Result<std::string> read_page_token(std::string_view listing, std::string_view token) {
  auto bytes = base64url_decode(token);
  if (!bytes || bytes->size() <= kDigestBytes) return invalid_token();
  std::string cursor = bytes->substr(kDigestBytes);
  if (bytes->substr(0, kDigestBytes) != digest_of(listing, cursor)) return invalid_token();
  return cursor;
}

Result<std::uint64_t> read_page_number(std::string_view listing, std::string_view token) {
  SORTIE_TRY(const std::string cursor, read_page_token(listing, token));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), number);
  if (error != std::errc() || end != cursor.data() + cursor.size()) return invalid_token();
  return number;
}

}  // namespace sortie::api
