// Strings: encoding, hashing, splitting, formatting.
#include <utility>

#include "base/hash.h"
#include "base/text.h"
#include "expr/intrinsic/functions.h"
#include "expr/jsonpath/java_text.h"

namespace sortie::intrinsic {
namespace {

// Characters as Java counts them: code points beyond the first plane count twice.
std::size_t count_utf16_units(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) count += byte >= 0xF0 ? 2 : 1;
  }
  return count;
}

Result<std::string_view> short_argument(const Call& call, std::size_t index) {
  SORTIE_TRY(const std::string_view text, string_argument(call, index));
  if (count_utf16_units(text) > kHashedCharactersMax) {
    return failure(call, "argument " + std::to_string(index + 1) + " has more than " +
                             std::to_string(kHashedCharactersMax) + " characters");
  }
  return text;
}

std::string_view first_character(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return text.substr(0, end);
}

}  // namespace

Result<json::Value> base64_encode_text(const Call& call) {
  SORTIE_TRY(const std::string_view text, short_argument(call, 0));
  return json::Value(base64_encode(text));
}

Result<json::Value> base64_decode_text(const Call& call) {
  SORTIE_TRY(const std::string_view text, short_argument(call, 0));
  std::string padded(text);  // Padding may be missing.
  if (text.find('=') == std::string_view::npos) {
    while (padded.size() % 4 > 1) padded += '=';
  }
  auto bytes = base64_decode(padded);
  if (!bytes) return failure(call, "the text is not valid Base64");
  return json::Value(to_valid_utf8(*bytes));
}

Result<json::Value> hash_text(const Call& call) {
  static constexpr std::pair<std::string_view, Digest> kAlgorithms[] = {
      {"MD5", Digest::kMd5},        {"SHA-1", Digest::kSha1},     {"SHA-256", Digest::kSha256},
      {"SHA-384", Digest::kSha384}, {"SHA-512", Digest::kSha512},
  };
  SORTIE_TRY(const std::string_view text, short_argument(call, 0));
  SORTIE_TRY(const std::string_view wanted, string_argument(call, 1));
  for (const auto& [name, algorithm] : kAlgorithms) {
    if (name == wanted) return json::Value(to_hex(digest(algorithm, text)));
  }
  return failure(call, "the algorithm must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512");
}

// Every character of the second argument separates; empty pieces are dropped.
Result<json::Value> string_split(const Call& call) {
  SORTIE_TRY(const std::string_view text, string_argument(call, 0));
  SORTIE_TRY(const std::string_view separators, string_argument(call, 1));
  std::vector<json::Value> pieces;
  std::size_t first = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view character = first_character(text.substr(at));
    if (separators.find(character) != std::string_view::npos) {
      if (at > first) pieces.emplace_back(text.substr(first, at - first));
      first = at + character.size();
    }
    at += character.size();
  }
  if (first < text.size()) pieces.emplace_back(text.substr(first));
  return json::Value::array(std::move(pieces));
}

Result<json::Value> format(const Call& call) {
  std::vector<std::string> made;
  const std::vector<std::string>* pieces = call.pieces;
  if (pieces == nullptr) {
    SORTIE_TRY(const std::string_view text, string_argument(call, 0));
    made = cut_at_placeholders(text, false);
    pieces = &made;
  }
  const auto values = call.arguments.subspan(1);
  if (pieces->size() - 1 != values.size()) {
    return failure(call, "the template has " + std::to_string(pieces->size() - 1) + " placeholders for " +
                             std::to_string(values.size()) + " values");
  }
  std::string out = pieces->front();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (out.size() > kResultBytesMax || is_text_longer(values[i], kResultBytesMax - out.size())) {
      return failure(call, "the text would be too long");
    }
    jsonpath::append_java_text(out, values[i]);
    out += (*pieces)[i + 1];
  }
  return json::Value(out);
}

}  // namespace sortie::intrinsic
