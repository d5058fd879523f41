#include "api/sigv4.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/hash.h"
#include "base/text.h"

namespace sortie::api {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr std::size_t kAuthorizationBytesMax = 8 * 1024;

struct Authorization {
  std::string access_key_id;
  std::string date;  // "20261122"
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;  // Lower case, in the order given.
  std::string signature;                    // 64 hex digits.
};

Error incomplete(std::string message) { return {"IncompleteSignatureException", std::move(message), "", ""}; }

Error bad_signature(std::string message) { return {"InvalidSignatureException", std::move(message), "", ""}; }

Error mismatch() {
  return bad_signature(
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
      "Access Key and signing method. Consult the service documentation for details.");
}

Error unknown_client() {
  return {"UnrecognizedClientException", "The security token included in the request is invalid.", "", ""};
}

Status read_credential(std::string_view text, Authorization* out) {
  const std::vector<std::string_view> parts = split(text, '/');
  if (parts.size() != 5 || parts[0].empty() || parts[4] != "aws4_request") {
    return incomplete(
        "Credential must have at least 5 slash-delimited elements, as in "
        "KEY/DATE/REGION/SERVICE/aws4_request.");
  }
  out->access_key_id = std::string(parts[0]);
  out->date = std::string(parts[1]);
  out->region = std::string(parts[2]);
  out->service = std::string(parts[3]);
  return {};
}

Result<Authorization> read_authorization(std::string_view header) {
  if (header.size() > kAuthorizationBytesMax) return incomplete("The Authorization header is too long.");
  if (!header.starts_with(kAlgorithm)) {
    return incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256.");
  }
  Authorization out;
  std::string credential, headers;
  for (std::string_view part : split(header.substr(kAlgorithm.size()), ',')) {
    part = trim(part);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals), value = part.substr(equals + 1);
    if (name == "Credential") credential = std::string(value);
    if (name == "SignedHeaders") headers = to_lower_ascii(value);
    if (name == "Signature") out.signature = std::string(value);
  }
  std::string missing;
  if (credential.empty()) missing += "Authorization header requires 'Credential' parameter. ";
  if (out.signature.empty()) missing += "Authorization header requires 'Signature' parameter. ";
  if (headers.empty()) missing += "Authorization header requires 'SignedHeaders' parameter. ";
  if (!missing.empty()) return incomplete(std::string(trim(missing)));
  SORTIE_TRY_STATUS(read_credential(credential, &out));
  for (const std::string_view name : split(headers, ';')) out.signed_headers.emplace_back(name);
  return out;
}

// "20261122T212659Z"
Result<Timestamp> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') {
    return incomplete("Date must be in ISO-8601 'basic format', as in 20261122T212659Z.");
  }
  std::string extended;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 4 || i == 6) extended += '-';
    if (i == 11 || i == 13) extended += ':';
    extended += text[i];
  }
  auto time = parse_rfc3339(extended);
  if (!time) return incomplete("Date must be in ISO-8601 'basic format', as in 20261122T212659Z.");
  return *time;
}

// "Sun, 22 Nov 2026 21:26:59 GMT", the fixed form of RFC 7231.
Result<Timestamp> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Error error =
      incomplete("Date header must be an RFC 7231 date, as in Sun, 22 Nov 2026 21:26:59 GMT.");
  if (text.size() != 29 || text.substr(25) != " GMT") return error;
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) return error;
  char number[16];
  std::snprintf(number, sizeof number, "%02d", static_cast<int>(month - kMonths.begin()) + 1);
  const std::string iso = std::string(text.substr(12, 4)) + "-" + number + "-" +
                          std::string(text.substr(5, 2)) + "T" + std::string(text.substr(17, 8)) + "Z";
  auto time = parse_rfc3339(iso);
  if (!time) return error;
  return *time;
}

// What goes into the string to sign, and its date: X-Amz-Date, else Date.
Result<Timestamp> request_date(const io::HttpRequest& request) {
  if (const std::string* header = request.headers.find("x-amz-date")) return parse_amz_date(trim(*header));
  if (const std::string* header = request.headers.find("date")) {
    const std::string_view text = trim(*header);
    return text.size() == 16 ? parse_amz_date(text) : parse_http_date(text);
  }
  return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
}

Status check_date(Timestamp signed_at, Timestamp now, std::string_view scope_date) {
  const std::string date = amz_date(signed_at);
  if (date.substr(0, 8) != scope_date) {
    return bad_signature(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
        to_valid_utf8(scope_date.substr(0, 16)) + "' != '" + date.substr(0, 8) + "', from '" + date + "'.");
  }
  if (signed_at.ms + kClockSkewMsMax < now.ms) {
    return bad_signature("Signature expired: " + date + " is now earlier than " +
                         amz_date(now.plus_ms(-kClockSkewMsMax)) + " (" + amz_date(now) + " - 5 min.)");
  }
  if (signed_at.ms - kClockSkewMsMax > now.ms) {
    return bad_signature("Signature not yet current: " + date + " is still later than " +
                         amz_date(now.plus_ms(kClockSkewMsMax)) + " (" + amz_date(now) + " + 5 min.)");
  }
  return {};
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whatever changes the meaning of a request has to be under the signature.
Status check_signed_headers(const io::HttpRequest& request, const std::vector<std::string>& names) {
  if (!contains(names, "host") && !contains(names, ":authority")) {
    return incomplete("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const std::string_view name :
       {"x-amz-date", "x-amz-target", "x-amz-security-token", "x-amz-content-sha256"}) {
    if (request.headers.has(name) && !contains(names, name)) {
      return incomplete("'" + std::string(name) + "' must be a 'SignedHeader' in the AWS Authorization.");
    }
  }
  if (!request.headers.has("x-amz-date") && !contains(names, "date")) {
    return incomplete("'date' must be a 'SignedHeader' in the AWS Authorization.");
  }
  return {};
}

Result<std::string> payload_hash_of(const io::HttpRequest& request) {
  const std::string actual = sha256_hex(request.body);
  const std::string* header = request.headers.find("x-amz-content-sha256");
  if (header == nullptr) return actual;
  const std::string_view claimed = trim(*header);
  if (claimed == kUnsignedPayload) return std::string(kUnsignedPayload);
  if (!constant_time_equal(to_lower_ascii(claimed), actual)) {
    return bad_signature("The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  return std::string(claimed);
}

std::string string_to_sign(std::string_view date, std::string_view scope, std::string_view canonical) {
  return std::string(kAlgorithm) + "\n" + std::string(date) + "\n" + std::string(scope) + "\n" +
         sha256_hex(canonical);
}

std::string derive_key(std::string_view secret, std::string_view date, std::string_view region,
                       std::string_view service) {
  std::string key = hmac_sha256("AWS4" + std::string(secret), date);
  key = hmac_sha256(key, region);
  key = hmac_sha256(key, service);
  return hmac_sha256(key, "aws4_request");
}

// SDKs differ in two details: whether dot segments and double slashes of the path are removed, and whether
// the query is signed as it is sent or decoded and encoded again. Each variant stands for the same request.
bool any_variant_matches(const io::HttpRequest& request, const Authorization& auth, std::string_view date,
                         std::string_view key, std::string_view payload_hash) {
  const std::string scope = auth.date + "/" + auth.region + "/" + auth.service + "/aws4_request";
  std::vector<std::string> paths = {canonical_path(request.path, true)};
  if (std::string plain = canonical_path(request.path, false); plain != paths[0]) paths.push_back(plain);
  std::vector<std::string> queries = {canonical_query(request.query, false)};
  if (std::string coded = canonical_query(request.query, true); coded != queries[0]) queries.push_back(coded);
  const std::string given = to_lower_ascii(auth.signature);
  bool matches = false;
  for (const std::string& path : paths) {
    for (const std::string& query : queries) {
      const std::string canonical =
          canonical_request(request, auth.signed_headers, path, query, payload_hash);
      const std::string expected = to_hex(hmac_sha256(key, string_to_sign(date, scope, canonical)));
      matches = constant_time_equal(expected, given) || matches;
    }
  }
  return matches;
}

Status check_session(const SigningKey& key, const io::HttpRequest& request, Timestamp now) {
  const std::string* token = request.headers.find("x-amz-security-token");
  const std::string_view given = token == nullptr ? std::string_view() : trim(*token);
  if (!constant_time_equal(given, key.session_token)) return unknown_client();
  if (key.expires_at <= now) {
    return Error{"ExpiredTokenException", "The security token included in the request is expired", "", ""};
  }
  return {};
}

}  // namespace

std::string amz_date(Timestamp time) {
  const CivilTime c = to_civil(time);
  std::string text(16, 'T');
  text[15] = 'Z';
  const auto put = [&text](std::size_t at, int number, std::size_t digits) {
    for (; digits > 0; number /= 10) text[at + --digits] = static_cast<char>('0' + number % 10);
  };
  put(0, c.year, 4);
  put(4, c.month, 2);
  put(6, c.day, 2);
  put(9, c.hour, 2);
  put(11, c.minute, 2);
  put(13, c.second, 2);
  return text;
}

std::string canonical_path(std::string_view raw_path, bool normalize) {
  if (raw_path.empty()) return "/";
  if (!normalize) return percent_encode(raw_path, true);
  std::vector<std::string_view> kept;
  for (const std::string_view segment : split(raw_path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
      continue;
    }
    kept.push_back(segment);
  }
  std::string path;
  for (const std::string_view segment : kept) path += "/" + percent_encode(segment);
  if (path.empty() || raw_path.back() == '/') path += '/';
  return path;
}

std::string canonical_query(std::string_view raw_query, bool decode) {
  if (raw_query.empty()) return "";
  std::vector<std::pair<std::string, std::string>> pairs;
  const auto recode = [&](std::string_view text) {
    if (!decode) return std::string(text);
    auto plain = percent_decode(replace_all(text, "+", " "));  // As the handlers read it.
    return plain ? percent_encode(*plain) : std::string(text);
  };
  for (const std::string_view pair : split(raw_query, '&')) {
    if (decode && pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
    pairs.emplace_back(recode(name), recode(value));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += name + "=" + value;
  }
  return out;
}

std::string canonical_request(const io::HttpRequest& request, const std::vector<std::string>& signed_headers,
                              std::string_view path, std::string_view query, std::string_view payload_hash) {
  std::string text = request.method + "\n" + std::string(path) + "\n" + std::string(query) + "\n";
  for (const std::string& name : signed_headers) {
    text += name + ":";
    bool first = true;
    for (const auto& [key, value] : request.headers.entries()) {
      if (!equals_ignore_case_ascii(key, name)) continue;
      if (!first) text += ',';
      first = false;
      bool blank = false;  // Runs of blanks become one.
      for (const char c : trim(value)) {
        const bool is_blank = c == ' ' || c == '\t';
        if (is_blank && blank) continue;
        blank = is_blank;
        text += is_blank ? ' ' : c;
      }
    }
    text += '\n';
  }
  text += "\n" + join(signed_headers, ";") + "\n" + std::string(payload_hash);
  return text;
}

bool has_signature(const io::HttpRequest& request) {
  return request.headers.get("authorization").starts_with("AWS4-");
}

std::string DerivedKeys::get(std::string_view secret, std::string_view date, std::string_view region,
                             std::string_view service) {
  for (const Entry& entry : entries_) {
    if (entry.date == date && entry.region == region && entry.service == service && entry.secret == secret)
      return entry.key;
  }
  if (entries_.size() < kKept) entries_.emplace_back();
  Entry& entry = entries_[next_++ % kKept];
  entry = {std::string(secret), std::string(date), std::string(region), std::string(service),
           derive_key(secret, date, region, service)};
  return entry.key;
}

Result<Verified> verify_signature(const io::HttpRequest& request, const KeyRing& keys, Timestamp now,
                                  DerivedKeys* derived) {
  const std::string* header = request.headers.find("authorization");
  if (header == nullptr || trim(*header).empty()) {
    return Error{"MissingAuthenticationTokenException", "Missing Authentication Token", "", ""};
  }
  SORTIE_TRY(const Authorization auth, read_authorization(trim(*header)));
  SORTIE_TRY(const Timestamp signed_at, request_date(request));
  SORTIE_TRY_STATUS(check_signed_headers(request, auth.signed_headers));
  const std::optional<SigningKey> key = keys.find(auth.access_key_id);
  if (!key || key->secret_access_key.empty()) return unknown_client();
  SORTIE_TRY_STATUS(check_session(*key, request, now));
  SORTIE_TRY_STATUS(check_date(signed_at, now, auth.date));
  SORTIE_TRY(const std::string payload_hash, payload_hash_of(request));
  const std::string& secret = key->secret_access_key;
  const std::string signing_key = derived != nullptr
                                      ? derived->get(secret, auth.date, auth.region, auth.service)
                                      : derive_key(secret, auth.date, auth.region, auth.service);
  if (!any_variant_matches(request, auth, amz_date(signed_at), signing_key, payload_hash)) {
    return mismatch();
  }
  return Verified{*key, auth.service, auth.region};
}

void sign_request(io::HttpRequest& request, const SigningInput& input, Timestamp now) {
  static constexpr std::array<std::string_view, 7> kUnsigned = {
      "authorization", "user-agent", "expect", "connection", "transfer-encoding", "x-amzn-trace-id", "date"};
  const std::string date = amz_date(now), day = date.substr(0, 8);
  request.headers.set("X-Amz-Date", date);
  if (!input.session_token.empty()) request.headers.set("X-Amz-Security-Token", input.session_token);
  std::vector<std::string> names;
  for (const auto& [name, value] : request.headers.entries()) {
    const std::string lower = to_lower_ascii(name);
    const bool skip = std::find(kUnsigned.begin(), kUnsigned.end(), lower) != kUnsigned.end();
    if (!skip && !contains(names, lower)) names.push_back(lower);
  }
  std::sort(names.begin(), names.end());
  const std::string* claimed = request.headers.find("x-amz-content-sha256");
  const std::string payload_hash = claimed != nullptr ? *claimed : sha256_hex(request.body);
  const std::string scope = day + "/" + input.region + "/" + input.service + "/aws4_request";
  const std::string canonical = canonical_request(request, names, canonical_path(request.path, true),
                                                  canonical_query(request.query, false), payload_hash);
  const std::string key = derive_key(input.secret_access_key, day, input.region, input.service);
  const std::string signature = to_hex(hmac_sha256(key, string_to_sign(date, scope, canonical)));
  request.headers.set("Authorization", std::string(kAlgorithm) + " Credential=" + input.access_key_id + "/" +
                                           scope + ", SignedHeaders=" + join(names, ";") +
                                           ", Signature=" + signature);
}

}  // namespace sortie::api
