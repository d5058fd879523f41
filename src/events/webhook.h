#pragma once
// Webhook sources, `hooks` in the configuration: who may post to /hooks/NAME, and the event that a body
// becomes. Pure: the caller brings headers, body and time; HTTP is somebody else's.
//
//   hooks:
//     crowdstrike:
//       hmac: {header: X-Signature, secret: env:HOOK_SECRET, prefix: "sha256=", encoding: hex}
//       timestamp: {header: X-Timestamp, window: 5m}     # signed together with the body: "TIME.BODY"
//       delivery_id: {header: X-Delivery}                # or {path: $.id}
//       source: sortie.hooks.crowdstrike                 # the default
//       detail_type: {header: X-Event}                   # or a text; default "Webhook"
//     plain:
//       token: {secret: file:token}                      # Authorization: Bearer ..., or header: X-Token
//
// A hook has a signature or a token, never neither. Secrets have been read by the caller: here they are
// bytes. Comparisons take constant time. A body that is no JSON object is wrapped: {"body": VALUE or TEXT}.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "events/event_bus.h"
#include "events/route.h"
#include "json/value.h"

namespace sortie::events {

inline constexpr std::size_t kHookBodyBytesMax = 200 * 1024;  // Leaves room for the rest of the entry.
inline constexpr std::size_t kHookSecretBytesMin = 8;

struct Hook {
  std::string name;
  // Signature.
  std::string hmac_header;
  std::string hmac_prefix;   // Before the digest, e.g. "sha256=".
  bool hmac_base64 = false;  // Hex otherwise.
  // Token; by default in "Authorization: Bearer".
  std::string token_header;
  std::string secret;
  // Replay window; empty header: none.
  std::string timestamp_header;
  std::int64_t window_ms = 300'000;
  std::string delivery_header;
  std::string delivery_path;
  std::string source;
  std::string detail_type = "Webhook";
  std::string detail_type_header;
  std::string bus;

  bool uses_signature() const { return !hmac_header.empty(); }
};

// Reads a secret named in the configuration ("env:NAME", "file:PATH").
using SecretReader = std::function<Result<std::string>(std::string_view name)>;

// One entry of `hooks`. Errors: code "InvalidConfiguration", place the JSON pointer within the entry.
Result<Hook> parse_hook(std::string_view name, const json::Value& configuration,
                        const SecretReader& read_secret);

// What to add to BusOptions::trusted_sources for a hook that is configured to speak for an AWS service.
std::optional<TrustedSource> trusted_source(const Hook& hook);

struct HookRequest {
  std::vector<std::pair<std::string, std::string>> headers;
  std::string_view body;

  std::optional<std::string_view> header(std::string_view name) const;  // Names ignore case.
};

struct HookEvent {
  PutEntry entry;
  std::optional<SourceDedup> dedup;
  Actor actor;
};

// Verifies, then wraps. Errors: "Unauthorized" (say no more to the caller than that), "StaleRequest" (outside
// the replay window), "PayloadTooLarge", "InvalidRequest".
Result<HookEvent> accept_hook(const Hook& hook, const HookRequest& request, std::string_view account,
                              Timestamp now);

}  // namespace sortie::events
