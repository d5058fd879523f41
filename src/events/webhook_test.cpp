#include "events/webhook.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/text.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::events {
namespace {

constexpr std::string_view kSecret = "correct horse battery";
constexpr Timestamp kNow{1'795'000'000'000};

Result<Hook> hook_of(std::string_view yaml) {
  return parse_hook("edr", json::parse_yaml(yaml)->value, [](std::string_view name) -> Result<std::string> {
    if (name == "env:SECRET") return std::string(kSecret);
    if (name == "env:SHORT") return std::string("x");
    return Error{"NotFound", "no such secret"};
  });
}

std::string sign(std::string_view text) { return to_hex(hmac_sha256(kSecret, text)); }

std::string code_of(const Hook& hook, std::vector<std::pair<std::string, std::string>> headers,
                    std::string_view body) {
  const auto event = accept_hook(hook, HookRequest{std::move(headers), body}, "1", kNow);
  return event ? "accepted" : event.error().code;
}

TEST(Webhook, TakesOnlyBodiesThatAreSigned) {
  const Hook hook = *hook_of("hmac: {header: X-Sig, secret: 'env:SECRET', prefix: 'sha256='}");
  EXPECT_EQ(code_of(hook, {{"x-sig", "sha256=" + sign("{}")}}, "{}"), "accepted");
  EXPECT_EQ(code_of(hook, {{"X-Sig", "sha256=" + sign("{}")}}, "{ }"), "Unauthorized");
  EXPECT_EQ(code_of(hook, {{"X-Sig", sign("{}")}}, "{}"), "Unauthorized");
  EXPECT_EQ(code_of(hook, {{"X-Sig", ""}}, "{}"), "Unauthorized");
  EXPECT_EQ(code_of(hook, {}, "{}"), "Unauthorized");
  const Hook base64 = *hook_of("hmac: {header: X-Sig, secret: 'env:SECRET', encoding: base64}");
  EXPECT_EQ(code_of(base64, {{"X-Sig", base64_encode(hmac_sha256(kSecret, "{}"))}}, "{}"), "accepted");
}

TEST(Webhook, TakesOnlyTheToken) {
  const Hook bearer = *hook_of("token: {secret: 'env:SECRET'}");
  EXPECT_EQ(code_of(bearer, {{"authorization", "bearer " + std::string(kSecret)}}, "{}"), "accepted");
  EXPECT_EQ(code_of(bearer, {{"authorization", std::string(kSecret)}}, "{}"), "Unauthorized");
  EXPECT_EQ(code_of(bearer, {{"authorization", "Bearer "}}, "{}"), "Unauthorized");
  const Hook named = *hook_of("token: {secret: 'env:SECRET', header: X-Token}");
  EXPECT_EQ(code_of(named, {{"X-Token", std::string(kSecret)}}, "{}"), "accepted");
  EXPECT_EQ(code_of(named, {{"X-Token", "correct horse batterz"}}, "{}"), "Unauthorized");
}

TEST(Webhook, RefusesReplaysOutsideTheWindow) {
  const Hook hook = *hook_of("hmac: {header: S, secret: 'env:SECRET'}\ntimestamp: {header: T, window: 5m}");
  const auto code_at = [&](const std::string& time) {
    return code_of(hook, {{"T", time}, {"S", sign(time + ".{}")}}, "{}");
  };
  EXPECT_EQ(code_at("1795000000"), "accepted");
  EXPECT_EQ(code_at("1795000299000"), "accepted");
  EXPECT_EQ(code_at("2026-11-18T11:06:40Z"), "accepted");
  EXPECT_EQ(code_at("1794999699"), "StaleRequest");
  EXPECT_EQ(code_at("1795000301"), "StaleRequest");
  EXPECT_EQ(code_at("now"), "StaleRequest");
  EXPECT_EQ(code_of(hook, {{"T", "1795000000"}, {"S", sign("{}")}}, "{}"), "Unauthorized")
      << "the time is signed, too";
}

TEST(Webhook, ARequestThatIsPostedAgainWithinTheWindowIsTheSameDelivery) {
  const Hook hook = *hook_of("hmac: {header: S, secret: 'env:SECRET'}\ntimestamp: {header: T, window: 5m}");
  const auto key_of = [&](const std::string& time, const std::string& body) {
    return accept_hook(hook, HookRequest{{{"T", time}, {"S", sign(time + "." + body)}}, body}, "1", kNow)
        ->dedup->key;
  };
  EXPECT_EQ(key_of("1795000000", "{}"), key_of("1795000000", "{}"));
  EXPECT_NE(key_of("1795000000", "{}"), key_of("1795000001", "{}"));
  EXPECT_NE(key_of("1795000000", "{}"), key_of("1795000000", "[]"));
}

TEST(Webhook, WrapsTheBodyIntoAnEventOfItsOwnSource) {
  const Hook hook = *hook_of(
      "token: {secret: 'env:SECRET', header: X}\ndelivery_id: {path: $.id}\ndetail_type: {header: X-Event, "
      "default: Alert}");
  const auto accept = [&](std::string_view body, std::string event = "") {
    auto accepted =
        accept_hook(hook, HookRequest{{{"X", std::string(kSecret)}, {"X-Event", event}}, body}, "1", kNow);
    EXPECT_TRUE(accepted.ok());
    return *accepted;
  };
  const HookEvent object = accept(R"({"id": 7, "n": 1.0})", "Detection");
  EXPECT_EQ(object.entry.source, "sortie.hooks.edr");
  EXPECT_EQ(object.entry.detail_type, "Detection");
  EXPECT_EQ(object.entry.detail, R"({"id": 7, "n": 1.0})");
  EXPECT_EQ(object.dedup->key, "7");
  EXPECT_EQ(to_text(object.actor), "hook:edr");
  EXPECT_EQ(accept("[1]").entry.detail, R"({"body":[1]})");
  EXPECT_EQ(accept("plain \xff text").entry.detail, "{\"body\":\"plain \xEF\xBF\xBD text\"}");
  EXPECT_EQ(accept("{}").entry.detail_type, "Alert");
  EXPECT_FALSE(accept("{}").dedup.has_value());
  EXPECT_EQ(code_of(hook, {{"X", std::string(kSecret)}}, std::string(300'000, ' ')), "PayloadTooLarge");
}

TEST(Webhook, ConfigurationMistakesNameTheirPlace) {
  const auto place = [](std::string_view yaml) {
    auto hook = hook_of(yaml);
    return hook ? std::string("valid") : hook.error().code + hook.error().place;
  };
  EXPECT_EQ(place("source: x"), "InvalidConfiguration");
  EXPECT_EQ(place("token: {secret: 'env:SECRET'}\nhmac: {header: X, secret: 'env:SECRET'}"),
            "InvalidConfiguration");
  EXPECT_EQ(place("token: {secret: 'env:SHORT'}"), "InvalidConfiguration/token/secret");
  EXPECT_EQ(place("token: {secret: 'env:NONE'}"), "InvalidConfiguration/token/secret");
  EXPECT_EQ(place("hmac: {secret: 'env:SECRET'}"), "InvalidConfiguration/hmac/header");
  EXPECT_EQ(place("hmac: {header: X, secret: 'env:SECRET', encoding: rot13}"),
            "InvalidConfiguration/hmac/encoding");
  EXPECT_EQ(place("token: {secret: 'env:SECRET'}\nsorce: x"), "InvalidConfiguration/sorce");
  EXPECT_EQ(place("token: {secret: 'env:SECRET'}\ntimestamp: {header: T}"), "InvalidConfiguration/timestamp");
  EXPECT_EQ(place("token: {secret: 'env:SECRET'}\ndelivery_id: {path: id}"),
            "InvalidConfiguration/delivery_id");
}

}  // namespace
}  // namespace sortie::events
