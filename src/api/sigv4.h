#pragma once
// AWS Signature Version 4 in header form: checking it (the server) and making it (tests, our own clients).
//
// Verification takes the request as it came over the wire. What is signed is the raw path (percent-encoded
// once more, as every service but S3 does), the sorted query, the named headers and the body's SHA-256. The
// Host header is part of the signature but may say anything: SDKs put prefixes before it. Headers that decide
// what a request means (host, the date, x-amz-target, x-amz-security-token, x-amz-content-sha256) have to be
// signed where they are present. Presigned URLs are not accepted.
//
// Errors carry AWS's names: "MissingAuthenticationTokenException", "IncompleteSignatureException",
// "UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException". Messages never hold a
// secret or a signature. Signatures and tokens are compared in constant time.
// Source: AWS General Reference, "Create a signed AWS API request"; botocore's signer for the fine print.
#include <string>
#include <string_view>
#include <vector>

#include "api/key_ring.h"
#include "base/result.h"
#include "base/time.h"
#include "io/http_message.h"

namespace sortie::api {

inline constexpr std::int64_t kClockSkewMsMax = 5 * 60 * 1000;

struct Verified {
  SigningKey key;
  std::string service;  // Of the credential scope: "states", "events", "lambda", "sts".
  std::string region;   // Of the credential scope; any is accepted.
};

// Whether the request carries a SigV4 Authorization header at all.
bool has_signature(const io::HttpRequest& request);

// The keys that secrets have become for a day, a region and a service, the latest few: a request of a caller
// that is known then costs one HMAC instead of five.
class DerivedKeys {
 public:
  std::string get(std::string_view secret, std::string_view date, std::string_view region,
                  std::string_view service);

 private:
  struct Entry {
    std::string secret, date, region, service, key;
  };
  static constexpr std::size_t kKept = 16;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;  // The place that is given away next.
};

Result<Verified> verify_signature(const io::HttpRequest& request, const KeyRing& keys, Timestamp now,
                                  DerivedKeys* derived = nullptr);

struct SigningInput {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // "" if there is none.
  std::string service;
  std::string region;
};

// Adds X-Amz-Date, X-Amz-Security-Token (if any) and Authorization. The request needs its Host header; every
// header present is signed except those that proxies change (user-agent, expect, connection, ...).
void sign_request(io::HttpRequest& request, const SigningInput& input, Timestamp now);

// "20261122T212659Z"
std::string amz_date(Timestamp time);

// The parts, for tests. `signed_headers` are lower case and sorted.
std::string canonical_path(std::string_view raw_path, bool normalize);
std::string canonical_query(std::string_view raw_query, bool decode);
std::string canonical_request(const io::HttpRequest& request, const std::vector<std::string>& signed_headers,
                              std::string_view path, std::string_view query, std::string_view payload_hash);

}  // namespace sortie::api
