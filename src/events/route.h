#pragma once
// From an accepted entry to what has to be delivered where: pure functions, no store, no clock.
//
// An Event is the envelope as targets see it plus its text as it was sent, because patterns look at the
// spelling of numbers and at repeated names. A CompiledRule is a rule with its pattern, schedule and
// transformers compiled; immutable and shared, so that a rule can be replaced while its deliveries are on the
// way.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/actor.h"
#include "base/result.h"
#include "base/time.h"
#include "events/model.h"
#include "expr/pattern/input_transformer.h"
#include "expr/pattern/pattern.h"
#include "expr/pattern/rule_set.h"
#include "expr/schedule/schedule.h"
#include "json/value.h"

namespace sortie::events {

inline constexpr std::size_t kEntryBytesMax = 256 * 1024;
inline constexpr std::size_t kEntriesMax = 10;
inline constexpr int kBusHopsMax = 5;  // How often one event may be forwarded from bus to bus.

// One element of PutEvents' Entries, or what another source makes of its own kind of message.
struct PutEntry {
  std::string source;
  std::string detail_type;
  std::string detail;  // JSON text of an object.
  std::vector<std::string> resources;
  std::optional<Timestamp> time;
  std::string bus;  // A name or an ARN; empty: the default bus.
  std::string trace_header;

  std::size_t bytes() const;  // As AWS counts them.
};

// Per-entry refusals: code and message as PutEvents answers them.
Status check_entry(const PutEntry& entry);

struct Event {
  std::string id;
  std::string account;
  std::string bus;
  json::Value envelope;
  std::string text;  // The envelope's JSON with the detail as it was sent.
  Actor actor;
  std::string trace_header;
  int hops = 0;

  std::string source() const;
  std::string detail_type() const;
};

// The entry has passed check_entry. `id` is the event's, `now` its time unless it brings one.
Event make_event(const PutEntry& entry, std::string id, std::string_view account, std::string_view region,
                 std::string_view bus, Timestamp now, const Actor& actor);
// The event of a schedule's tick.
Event make_scheduled_event(const Rule& rule, std::string id, std::string_view region, Timestamp due);

// What is missing from an event that TestEventPattern is given; PutEvents makes all of it itself.
bool is_envelope(const json::Value& event);

struct CompiledTarget {
  Target target;
  TargetKind kind = TargetKind::kUnsupported;
  std::optional<pattern::InputPath> path;
  std::optional<pattern::InputTransformer> transformer;
};

struct CompiledRule {
  Rule rule;
  std::optional<pattern::Pattern> pattern;
  std::optional<schedule::Schedule> schedule;
  std::optional<pattern::InputPath> deduplicate;
  std::vector<CompiledTarget> targets;
};

// Errors: those of PutRule and PutTargets.
Result<std::shared_ptr<const CompiledRule>> compile_rule(Rule rule);
Result<CompiledTarget> compile_target(const Target& target);

// What one target has to be given for one event.
struct Delivery {
  std::string id;  // Derived from event, rule and target: the same delivery has the same id for ever.
  std::string event_id;
  std::string rule_arn;
  std::string rule_key;
  std::string rule_name;
  std::string target_id;
  TargetKind kind = TargetKind::kUnsupported;
  std::string arn;
  std::string role_arn;
  std::string payload;
  json::Value parameters;  // The target as declared, for its SqsParameters and the like.
  RetryPolicy retry;
  std::string dead_letter_arn;
  Actor actor;  // The rule, on behalf of whoever sent the event.
  std::string trace_header;
  Timestamp accepted_at;
  int hops = 0;
};

// At most 80 characters of [0-9a-f_-]: fit to be an execution's name.
std::string delivery_id(std::string_view event_id, std::string_view rule_arn, std::string_view target_id);

struct RuleMatch {
  std::shared_ptr<const CompiledRule> rule;
  std::vector<Delivery> deliveries;
  std::vector<std::string> undeliverable;  // Targets whose transformer made no JSON of this event.
  std::string dedup_key;                   // Empty: the rule does not deduplicate, or the key is absent.
};

// The rules of one bus, found by their patterns all at once (expr/pattern/rule_set.h). Disabled rules and
// such without a pattern are known to nobody here.
class BusRules {
 public:
  BusRules();

  void put(const std::shared_ptr<const CompiledRule>& rule);  // Replaces the rule of that name.
  void remove(const std::string& name);
  // The rules together take all the memory they may: a bus takes no further ones.
  bool is_full() const;

  // By name. Errors: "MalformedDetail" where the event cannot be read (its detail is nested too deeply).
  Result<std::vector<std::shared_ptr<const CompiledRule>>> find(std::string_view event_text) const;

 private:
  pattern::RuleSet set_;
  std::map<std::string, pattern::RuleId> ids_;
  std::unordered_map<pattern::RuleId, std::shared_ptr<const CompiledRule>> rules_;
  pattern::RuleId next_id_ = 0;
  mutable pattern::MatchScratch scratch_;
};

// The matches of the rules of the event's bus, by name. Errors: those of BusRules::find.
Result<std::vector<RuleMatch>> route(const Event& event, const BusRules& rules, Timestamp now);
// The rule's deliveries for an event that is known to be its own (a tick).
RuleMatch match_rule(const Event& event, const std::shared_ptr<const CompiledRule>& rule, Timestamp now);

}  // namespace sortie::events
