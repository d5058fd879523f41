// Signature Version 4: AWS's own published example, botocore's real signer, and everything that must not
// pass.
#include "api/sigv4.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "api/testing/api_fakes.h"
#include "base/hash.h"
#include "base/text.h"

namespace sortie::api {
namespace {

using namespace api::testing;

const Timestamp kNow = parse_rfc3339("2026-11-22T21:26:59Z").value();

io::HttpRequest signable(const std::string& body = R"({"name":"x"})") {
  io::HttpRequest request;
  request.method = "POST";
  request.target = request.path = "/";
  request.headers = {{"Host", "127.0.0.1:8420"},
                     {"Content-Type", "application/x-amz-json-1.0"},
                     {"X-Amz-Target", "AWSStepFunctions.ListStateMachines"},
                     {"User-Agent", "Boto3/1.44"}};
  request.body = body;
  return request;
}

SigningInput input_of(const SigningKey& key, std::string service = "states") {
  return {key.access_key_id, key.secret_access_key, key.session_token, std::move(service), "us-east-1"};
}

FixedKeyRing ring_of(SigningKey key) {
  FixedKeyRing ring;
  ring.add(std::move(key));
  return ring;
}

io::HttpRequest signed_request(const SigningKey& key, Timestamp when = kNow) {
  io::HttpRequest request = signable();
  sign_request(request, input_of(key), when);
  return request;
}

std::string code_of(const Result<Verified>& result) { return result.ok() ? "" : result.error().code; }

TEST(SigV4, MakesTheSignatureOfTheServicesOwnTestSuite) {
  // "get-vanilla" of the aws-sig-v4-test-suite.
  io::HttpRequest request;
  request.method = "GET";
  request.path = "/";
  request.headers = {{"Host", "example.amazonaws.com"}};
  sign_request(request,
               {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", "service", "us-east-1"},
               parse_rfc3339("2015-08-30T12:36:00Z").value());
  EXPECT_EQ(request.headers.get("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4, VerifiesWhatItSigned) {
  const SigningKey key = account_key();
  const Result<Verified> verified = verify_signature(signed_request(key), ring_of(key), kNow);
  ASSERT_TRUE(verified.ok()) << verified.error().message;
  EXPECT_EQ(verified->key.actor, key.actor);
  EXPECT_EQ(verified->service, "states");
  EXPECT_EQ(verified->region, "us-east-1");
}

TEST(SigV4, VerifiesSessionTokens) {
  const SigningKey key = function_key({});
  EXPECT_EQ(code_of(verify_signature(signed_request(key), ring_of(key), kNow)), "");
}

TEST(SigV4, AnyHostIsFineAsLongAsItIsTheSignedOne) {
  const SigningKey key = account_key();
  io::HttpRequest request = signable();
  request.headers.set("Host", "sync-127.0.0.1:8420");
  sign_request(request, input_of(key), kNow);
  EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "");
  request.headers.set("Host", "127.0.0.1:8420");
  EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "InvalidSignatureException");
}

TEST(SigV4, RefusesEveryChangeOfASignedRequest) {
  const SigningKey key = account_key();
  const io::HttpRequest good = signed_request(key);
  const auto code_after = [&](auto change) {
    io::HttpRequest request = good;
    change(request);
    return code_of(verify_signature(request, ring_of(key), kNow));
  };
  EXPECT_EQ(code_after([](auto& r) { r.body += " "; }), "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.method = "PUT"; }), "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.path = "/x"; }), "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.query = "a=1"; }), "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.headers.set("X-Amz-Target", "AWSStepFunctions.DeleteStateMachine"); }),
            "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.headers.add("X-Amz-Target", "AWSStepFunctions.DeleteStateMachine"); }),
            "InvalidSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.headers.add("X-Amz-Security-Token", "t"); }),
            "IncompleteSignatureException");
  EXPECT_EQ(code_after([](auto& r) { r.headers.add("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"); }),
            "IncompleteSignatureException");
  // What proxies change is not signed.
  EXPECT_EQ(code_after([](auto& r) { r.headers.set("User-Agent", "other"); }), "");
}

TEST(SigV4, RefusesAWrongSecretAnUnknownKeyAndAMissingToken) {
  const SigningKey key = account_key();
  SigningKey other = key;
  other.secret_access_key = "another secret";
  EXPECT_EQ(code_of(verify_signature(signed_request(other), ring_of(key), kNow)),
            "InvalidSignatureException");
  EXPECT_EQ(code_of(verify_signature(signed_request(key), FixedKeyRing(), kNow)),
            "UnrecognizedClientException");
  SigningKey without_token = function_key({});
  without_token.session_token = "";
  EXPECT_EQ(code_of(verify_signature(signed_request(without_token), ring_of(function_key({})), kNow)),
            "UnrecognizedClientException");
  SigningKey wrong_token = function_key({});
  wrong_token.session_token = "made up";
  EXPECT_EQ(code_of(verify_signature(signed_request(wrong_token), ring_of(function_key({})), kNow)),
            "UnrecognizedClientException");
}

TEST(SigV4, AKeyWithoutASecretNeverVerifies) {
  SigningKey empty = account_key();
  empty.secret_access_key = "";
  EXPECT_EQ(code_of(verify_signature(signed_request(empty), ring_of(empty), kNow)),
            "UnrecognizedClientException");
}

TEST(SigV4, RefusesExpiredCredentials) {
  SigningKey key = function_key({});
  key.expires_at = kNow;
  EXPECT_EQ(code_of(verify_signature(signed_request(key), ring_of(key), kNow)), "ExpiredTokenException");
}

TEST(SigV4, AllowsFiveMinutesOfClockSkewAndNotASecondMore) {
  const SigningKey key = account_key();
  const FixedKeyRing ring = ring_of(key);
  EXPECT_EQ(code_of(verify_signature(signed_request(key), ring, kNow.plus_ms(300'000))), "");
  EXPECT_EQ(code_of(verify_signature(signed_request(key), ring, kNow.plus_ms(-300'000))), "");
  const auto late = verify_signature(signed_request(key), ring, kNow.plus_ms(301'000));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(
      late.error().message,
      "Signature expired: 20261122T212659Z is now earlier than 20261122T212700Z (20261122T213200Z - 5 min.)");
  const auto early = verify_signature(signed_request(key), ring, kNow.plus_ms(-301'000));
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().message.substr(0, 24), "Signature not yet curren");
}

TEST(SigV4, NamesWhatIsMissingInTheAuthorizationHeader) {
  const FixedKeyRing ring = ring_of(account_key());
  const auto answer = [&](const char* header) {
    io::HttpRequest request = signable();
    request.headers.set("X-Amz-Date", amz_date(kNow));
    if (header != nullptr) request.headers.set("Authorization", header);
    const auto result = verify_signature(request, ring, kNow);
    return result.ok() ? "" : result.error().code + ": " + result.error().message;
  };
  EXPECT_EQ(answer(nullptr), "MissingAuthenticationTokenException: Missing Authentication Token");
  EXPECT_EQ(answer(""), "MissingAuthenticationTokenException: Missing Authentication Token");
  EXPECT_EQ(answer("AWS4-HMAC-SHA256"),
            "IncompleteSignatureException: Authorization header requires 'Credential' parameter. "
            "Authorization header "
            "requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.");
  for (const char* header :
       {"Basic YTpi",
        "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/other, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=//////////, SignedHeaders=;;;;, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/20261122/r/s/aws4_request, SignedHeaders=x-amz-date, Signature=00"}) {
    EXPECT_EQ(answer(header).substr(0, 30), "IncompleteSignatureException: ") << header;
  }
  EXPECT_EQ(answer(("AWS4-HMAC-SHA256 " + std::string(100'000, ',')).c_str()).substr(0, 28),
            "IncompleteSignatureException");
}

TEST(SigV4, RefusesDatesThatAreNone) {
  const SigningKey key = account_key();
  for (const char* date : {"", "yesterday", "20261322T212659Z", "2026-11-22T21:26:59Z", "20261122T212659"}) {
    io::HttpRequest request = signed_request(key);
    request.headers.set("X-Amz-Date", date);
    EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "IncompleteSignatureException") << date;
  }
  io::HttpRequest request = signed_request(key);
  request.headers.erase("X-Amz-Date");
  EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "IncompleteSignatureException");
}

TEST(SigV4, TakesAnUnsignedPayloadOnlyWhereTheHeaderThatSaysSoIsSigned) {
  const SigningKey key = account_key();
  io::HttpRequest request = signable();
  request.headers.set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  sign_request(request, input_of(key), kNow);
  EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "");
  request.headers.set("X-Amz-Content-Sha256", sha256_hex("something else"));
  EXPECT_EQ(code_of(verify_signature(request, ring_of(key), kNow)), "InvalidSignatureException");
}

TEST(SigV4, CanonicalPathsAreEncodedOnceMore) {
  EXPECT_EQ(canonical_path("/2015-03-31/functions/arn%3Aaws%3Alambda", true),
            "/2015-03-31/functions/arn%253Aaws%253Alambda");
  EXPECT_EQ(canonical_path("/a//b/./c/../d/", true), "/a/b/d/");
  EXPECT_EQ(canonical_path("/a//b", false), "/a//b");
  EXPECT_EQ(canonical_path("", true), "/");
  EXPECT_EQ(canonical_path("/../..", true), "/");
}

TEST(SigV4, CanonicalQueriesAreSorted) {
  EXPECT_EQ(canonical_query("b=2&a=1&a=0&c", false), "a=0&a=1&b=2&c=");
  EXPECT_EQ(canonical_query("a=x+y&b=%7e&c=:", true), "a=x%20y&b=~&c=%3A");
}

TEST(SigV4, MessagesHoldNoSecretsAndNoSignatures) {
  const SigningKey key = account_key();
  SigningKey other = key;
  other.secret_access_key = "another secret";
  const io::HttpRequest request = signed_request(other);
  const auto result = verify_signature(request, ring_of(key), kNow);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message.find(key.secret_access_key), std::string::npos);
  const std::string authorization(request.headers.get("authorization"));
  EXPECT_EQ(result.error().message.find(authorization.substr(authorization.rfind('=') + 1)),
            std::string::npos);
}

// The real signer: requests of botocore, as they leave a client, are verified here.
TEST(SigV4, VerifiesRequestsSignedByBotocore) {
  const std::string root = SORTIE_SOURCE_DIR, python = root + "/build/venv/bin/python";
  if (!std::ifstream(python).good())
    GTEST_SKIP() << "SKIP: no Python environment in build/venv (scripts/venv.sh)";
  const std::string command = python + " " + root + "/src/api/testing/botocore_requests.py";
  std::FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  char chunk[4096];
  for (std::size_t n; (n = std::fread(chunk, 1, sizeof chunk, pipe)) > 0;) output.append(chunk, n);
  ASSERT_EQ(pclose(pipe), 0);

  SigningKey plain = account_key(), session = function_key({});
  plain.access_key_id = "AKIDBOTOCORE";
  plain.secret_access_key = "botocore/secret+with=signs";
  session.access_key_id = "ASIABOTOCORE";
  session.secret_access_key = plain.secret_access_key;
  session.session_token = "session//token+==";
  FixedKeyRing ring = ring_of(plain);
  ring.add(session);
  int count = 0;
  for (const std::string_view line : split(output, '\n')) {
    if (line.empty()) continue;
    const json::Value sent = parse_json(line);
    io::HttpRequest request;
    request.method = sent.get("method").to_std_string();
    request.path = sent.get("path").to_std_string();
    request.query = sent.get("query").to_std_string();
    for (const json::Value& header : sent.get("headers").items()) {
      request.headers.add(header[0].to_std_string(), header[1].to_std_string());
    }
    request.body = base64_decode(sent.get("body").as_string()).value();
    const Timestamp now{sent.get("now_ms").as_integer()};
    const auto verified = verify_signature(request, ring, now);
    EXPECT_TRUE(verified.ok()) << sent.get("what").to_std_string() << ": " << verified.error().message;
    request.body += "x";
    const bool unsigned_payload = request.headers.get("x-amz-content-sha256") == "UNSIGNED-PAYLOAD";
    EXPECT_EQ(verify_signature(request, ring, now).ok(), unsigned_payload);
    ++count;
  }
  EXPECT_GE(count, 20);
}

}  // namespace
}  // namespace sortie::api
