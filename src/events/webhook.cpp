#include "events/webhook.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/hash.h"
#include "base/text.h"
#include "expr/pattern/input_transformer.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::events {

namespace webhook_detail {

constexpr std::size_t kDeliveryIdBytesMax = 512;

Error misconfigured(std::string message, std::string pointer, std::string hint = "") {
  return Error{"InvalidConfiguration", std::move(message), std::move(pointer), std::move(hint)};
}

Status check_members(const json::Value& object, std::string_view pointer,
                     std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return misconfigured("an object is wanted here", std::string(pointer));
  for (const json::Member& member : object.members()) {
    if (std::find(known.begin(), known.end(), member.key.as_string()) == known.end()) {
      std::string names;
      for (std::string_view name : known) names += (names.empty() ? "" : ", ") + std::string(name);
      return misconfigured("'" + member.key.to_std_string() + "' is unknown here",
                           std::string(pointer) + "/" + member.key.to_std_string(), "known are: " + names);
    }
  }
  return {};
}

Status read_secret_of(const json::Value& object, const std::string& pointer, const SecretReader& read_secret,
                      Hook& hook) {
  auto secret = read_secret(json::text_member(object, "secret"));
  if (!secret)
    return misconfigured("the secret cannot be read: " + secret.error().message, pointer + "/secret");
  if (secret->size() < kHookSecretBytesMin) {
    return misconfigured("the secret has fewer than 8 bytes", pointer + "/secret");
  }
  hook.secret = std::move(secret).value();
  return {};
}

Status read_proof(const json::Value& configuration, const SecretReader& read_secret, Hook& hook) {
  const json::Value& hmac = configuration.get("hmac");
  const json::Value& token = configuration.get("token");
  if (hmac.is_null() == token.is_null()) {
    return misconfigured("a hook needs either hmac or token", "",
                         "hmac: {header: X-Signature, secret: env:NAME}");
  }
  if (!token.is_null()) {
    SORTIE_TRY_STATUS(check_members(token, "/token", {"header", "secret"}));
    hook.token_header = json::text_member(token, "header");
    return read_secret_of(token, "/token", read_secret, hook);
  }
  SORTIE_TRY_STATUS(check_members(hmac, "/hmac", {"header", "secret", "prefix", "encoding"}));
  hook.hmac_header = json::text_member(hmac, "header");
  hook.hmac_prefix = json::text_member(hmac, "prefix");
  const std::string encoding = json::text_member(hmac, "encoding");
  hook.hmac_base64 = encoding == "base64";
  if (hook.hmac_header.empty()) return misconfigured("hmac needs the header's name", "/hmac/header");
  if (!encoding.empty() && encoding != "hex" && !hook.hmac_base64) {
    return misconfigured("encoding is hex or base64", "/hmac/encoding");
  }
  return read_secret_of(hmac, "/hmac", read_secret, hook);
}

Status check_signature(const Hook& hook, const HookRequest& request) {
  const Error refused{"Unauthorized", "The request is not signed as this hook wants it."};
  const auto given = request.header(hook.hmac_header);
  if (!given || !given->starts_with(hook.hmac_prefix)) return refused;
  std::string signed_text;
  if (!hook.timestamp_header.empty()) {
    const auto time = request.header(hook.timestamp_header);
    if (!time) return refused;
    signed_text = std::string(*time) + ".";
  }
  signed_text += request.body;
  const std::string digest = hmac_sha256(hook.secret, signed_text);
  const std::string want = hook.hmac_base64 ? base64_encode(digest) : to_hex(digest);
  std::string got(trim(given->substr(hook.hmac_prefix.size())));
  if (!hook.hmac_base64) got = to_lower_ascii(got);
  if (!constant_time_equal(want, got)) return refused;
  return {};
}

Status check_token(const Hook& hook, const HookRequest& request) {
  const Error refused{"Unauthorized", "The request carries no valid token."};
  const bool bearer = hook.token_header.empty();
  const auto given = request.header(bearer ? std::string_view("Authorization") : hook.token_header);
  if (!given) return refused;
  std::string_view token = *given;
  if (bearer) {
    if (token.size() < 7 || !equals_ignore_case_ascii(token.substr(0, 7), "Bearer ")) return refused;
    token = trim(token.substr(7));
  }
  // Digests have the same length whatever the token's, so the comparison tells nothing about it.
  if (!constant_time_equal(sha256_hex(hook.secret), sha256_hex(token))) return refused;
  return {};
}

Status check_window(const Hook& hook, const HookRequest& request, Timestamp now) {
  if (hook.timestamp_header.empty()) return {};
  const Error stale{"StaleRequest", "The request's time is outside the window of this hook."};
  const auto given = request.header(hook.timestamp_header);
  if (!given) return stale;
  const std::string_view text = trim(*given);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  Timestamp at;
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number < 0 || number > 100'000'000'000'000) return stale;
    at.ms = number > 100'000'000'000 ? number
                                     : number * 1000;  // Milliseconds are beyond the year 5000 in seconds.
  } else {
    auto parsed = parse_rfc3339(text);
    if (!parsed) return stale;
    at = *parsed;
  }
  if (at.ms < now.ms - hook.window_ms || at.ms > now.ms + hook.window_ms) return stale;
  return {};
}

}  // namespace webhook_detail

using namespace webhook_detail;

std::optional<TrustedSource> trusted_source(const Hook& hook) {
  if (!hook.source.starts_with("aws")) return std::nullopt;
  return TrustedSource{"hook:" + hook.name, hook.source};
}

std::optional<std::string_view> HookRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignore_case_ascii(key, name)) return value;
  }
  return std::nullopt;
}

Result<Hook> parse_hook(std::string_view name, const json::Value& configuration,
                        const SecretReader& read_secret) {
  SORTIE_TRY_STATUS(check_members(
      configuration, "", {"hmac", "token", "timestamp", "delivery_id", "source", "detail_type", "bus"}));
  Hook hook;
  hook.name = std::string(name);
  const bool valid = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!valid) return misconfigured("a hook's name has 1 to 64 letters, digits, '-' or '_'", "");
  SORTIE_TRY_STATUS(read_proof(configuration, read_secret, hook));
  const json::Value& timestamp = configuration.get("timestamp");
  if (!timestamp.is_null()) {
    SORTIE_TRY_STATUS(check_members(timestamp, "/timestamp", {"header", "window"}));
    hook.timestamp_header = json::text_member(timestamp, "header");
    if (hook.timestamp_header.empty() || !hook.uses_signature()) {
      return misconfigured("timestamp needs a header, and a signature that covers it", "/timestamp");
    }
    if (timestamp.has("window")) {
      auto window = parse_window_ms(json::text_member(timestamp, "window"));
      if (!window) return misconfigured(window.error().message, "/timestamp/window", window.error().hint);
      hook.window_ms = *window;
    }
  }
  const json::Value& delivery = configuration.get("delivery_id");
  if (!delivery.is_null()) {
    SORTIE_TRY_STATUS(check_members(delivery, "/delivery_id", {"header", "path"}));
    hook.delivery_header = json::text_member(delivery, "header");
    hook.delivery_path = json::text_member(delivery, "path");
    if (hook.delivery_header.empty() && !pattern::InputPath::compile(hook.delivery_path)) {
      return misconfigured("delivery_id needs a header or a path into the body", "/delivery_id");
    }
  }
  const json::Value& detail_type = configuration.get("detail_type");
  if (detail_type.is_object()) {
    SORTIE_TRY_STATUS(check_members(detail_type, "/detail_type", {"header", "default"}));
    hook.detail_type_header = json::text_member(detail_type, "header");
    if (detail_type.has("default")) hook.detail_type = json::text_member(detail_type, "default");
  } else if (detail_type.is_string()) {
    hook.detail_type = detail_type.to_std_string();
  }
  if (hook.detail_type.empty()) return misconfigured("detail_type must not be empty", "/detail_type");
  hook.source =
      configuration.has("source") ? json::text_member(configuration, "source") : "sortie.hooks." + hook.name;
  if (hook.source.empty()) return misconfigured("source must not be empty", "/source");
  hook.bus = json::text_member(configuration, "bus");
  return hook;
}

Result<HookEvent> accept_hook(const Hook& hook, const HookRequest& request, std::string_view account,
                              Timestamp now) {
  if (request.body.size() > kHookBodyBytesMax) {
    return Error{"PayloadTooLarge", "The body is longer than 204800 bytes."};
  }
  SORTIE_TRY_STATUS(hook.uses_signature() ? check_signature(hook, request) : check_token(hook, request));
  SORTIE_TRY_STATUS(check_window(hook, request, now));
  HookEvent event;
  event.actor.kind = Actor::Kind::kHook;
  event.actor.name = hook.name;
  event.actor.account = std::string(account);
  event.actor.channel = "hook";
  const auto parsed = json::parse(request.body);
  json::Value detail;
  if (parsed && parsed->is_object()) {
    detail = *parsed;
    event.entry.detail = std::string(request.body);
  } else {
    detail = json::Value::object({{"body", parsed ? *parsed : json::Value(to_valid_utf8(request.body))}});
    event.entry.detail = json::to_text(detail);
  }
  event.entry.source = hook.source;
  event.entry.detail_type = hook.detail_type;
  event.entry.bus = hook.bus;
  if (!hook.detail_type_header.empty()) {
    const auto given = request.header(hook.detail_type_header);
    if (given && !trim(*given).empty())
      event.entry.detail_type = to_valid_utf8(truncate_utf8(trim(*given), 128));
  }
  std::string delivery;
  if (!hook.delivery_header.empty()) {
    delivery = std::string(trim(request.header(hook.delivery_header).value_or("")));
  } else if (!hook.delivery_path.empty()) {
    const auto value = pattern::InputPath::compile(hook.delivery_path)->find(detail);
    if (value && !value->is_null()) delivery = json::to_text(*value);
  }
  if (delivery.size() > kDeliveryIdBytesMax) {
    return Error{"InvalidRequest", "The delivery's id is longer than 512 bytes."};
  }
  if (!delivery.empty()) {
    event.dedup = SourceDedup{"hook/" + hook.name, delivery};
  } else if (hook.uses_signature() && !hook.timestamp_header.empty()) {
    // What was signed once is one delivery: a request that somebody recorded starts nothing again.
    const std::string signed_text =
        std::string(request.header(hook.timestamp_header).value_or("")) + "." + std::string(request.body);
    event.dedup = SourceDedup{"hook/" + hook.name, "signed/" + sha256_hex(signed_text), 2 * hook.window_ms};
  }
  return event;
}

}  // namespace sortie::events
