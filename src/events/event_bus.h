#pragma once
// The event bus: takes events durably, matches them against rules, and sees to it that every target of every
// matching rule gets what it has to get, whatever dies in between.
//
// Accepting. `put_events` writes one batch for the whole call: a line of the log stream "event" for each
// entry, the deduplication keys taken, and one document for each delivery. It answers when that batch is
// durable, and only then do deliveries leave (see delivery_queue.h). An entry that is refused is answered in
// its place, as AWS does, and does not touch the others.
//
// Who may say what. A source that begins with "aws." is accepted from people, from this server itself, and
// from actors that Options::trusted_sources lists; never from a function. Everybody else gets
// NotAuthorizedForSourceException in the entry's place.
//
// Duplicates. Where a rule deduplicates, an event whose key was seen within the window is recorded with
// "duplicateOf" and delivers nothing for that rule. A source with delivery ids (a webhook) gives one for the
// whole event: a repetition is recorded, matches no rule, and is answered with the first event's id.
//
// Schedules. A rule with a schedule fires by itself; the tick, its event and its deliveries are one batch, so
// a crash neither loses nor repeats one. Ticks missed while the process was down fire once.
//
// Everything runs on the loop's thread; callbacks never run inside the call that was given them. Errors are
// AWS's codes and messages; "InternalException" where the store could not write (then nothing changed).
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/actor.h"
#include "base/clock.h"
#include "events/dedup_table.h"
#include "events/delivery_queue.h"
#include "events/lease.h"
#include "events/route.h"
#include "events/target_invoker.h"
#include "store/store.h"

namespace sortie::events {

inline constexpr std::string_view kRuleKind = "event_rule";
inline constexpr std::string_view kBusKind = "event_bus";
inline constexpr std::string_view kTickKind = "event_tick";
inline constexpr std::string_view kEventStream = "event";

// An actor (as to_text gives it: "hook:guardduty", "account:123456789012") that may use an `aws.` source.
struct TrustedSource {
  std::string actor;
  std::string source;  // "aws.guardduty", or "aws.*" for all.
};

struct BusOptions {
  std::string account = "123456789012";  // Where an actor names none.
  std::string region = "us-east-1";
  std::vector<std::string> accounts;  // Further accounts of this server.
  std::vector<TrustedSource> trusted_sources;
  std::size_t rules_per_bus_max = 300;
  std::size_t targets_per_rule_max = 5;
  std::size_t buses_max = 100;
  std::size_t pending_deliveries_max = 200'000;   // Beyond it entries are refused: ThrottlingException.
  std::int64_t retention_ms = 90LL * 86'400'000;  // Of events and outcomes; 0: for ever.
  DeliveryOptions delivery;
  // A line of the audit trail for a change of a rule or bus; none where empty.
  std::function<store::LogLine(const Actor&, std::string action, std::string subject)> audit_line;
};

struct PutResult {
  std::string event_id;      // Empty: refused.
  std::string duplicate_of;  // The first event with the same delivery id.
  std::string error_code;
  std::string error_message;
};

// For sources whose messages have an id of their own (hooks, queues, a playbook's own calls). The entries of
// one call are told apart by their place.
struct SourceDedup {
  std::string scope;  // "hook/NAME"
  std::string key;
  std::int64_t window_ms = 86'400'000;
};

struct EventQuery {
  std::string account;  // Empty: all.
  std::string source;   // A trailing '*' means prefix; empty: all. The same for detail_type.
  std::string detail_type;
  std::string text;  // Occurs in the event or what became of it, ignoring ASCII case.
  Timestamp from{INT64_MIN};
  Timestamp before = kNever;
  std::uint64_t before_sequence = UINT64_MAX;  // Page cursor, newest first.
  std::size_t limit = 50;
};

// An accepted event and what became of it. `record` is the stored JSON: {event, bus, account, actor,
// duplicateOf?, rules: [{rule, arn, duplicateOf?, targets: [{id, arn, deliveryId}], undeliverable?}]};
// `outcomes` are the delivery lines so far, oldest first.
struct EventRecord {
  std::uint64_t sequence = 0;
  Timestamp accepted_at;
  std::string id;
  json::Value record;
  std::vector<json::Value> outcomes;
};

class EventBus {
 public:
  template <typename T>
  using Callback = std::function<void(Result<T>)>;

  EventBus(Loop& loop, Random& random, store::Store& store, TargetInvoker& invoker, BusOptions options);
  ~EventBus();
  EventBus(const EventBus&) = delete;
  EventBus& operator=(const EventBus&) = delete;

  // Reads rules, keys and pending deliveries, goes on with the deliveries and starts the schedules.
  Status recover(Lease lease);
  // What BusOptions::trusted_sources said is replaced: the configuration was read again.
  void trust(std::vector<TrustedSource> sources) { options_.trusted_sources = std::move(sources); }
  void stop();  // No further deliveries and ticks; what is being written still completes.

  void put_events(std::vector<PutEntry> entries, const Actor& actor, Callback<std::vector<PutResult>> done,
                  std::optional<SourceDedup> dedup = std::nullopt);

  // Rules. `put_rule` keeps the targets, tags and deduplication of a rule that exists; `replace_rule` puts
  // the whole rule, as a file of the project folder declares it, and makes its bus where there is none.
  void put_rule(Rule rule, const Actor& actor, Callback<std::string> done);  // Answers the ARN.
  void replace_rule(Rule rule, const Actor& actor, Callback<std::string> done);
  void put_targets(std::string_view key, std::vector<Target> targets, const Actor& actor,
                   Callback<Unit> done);
  // Answers the ids that the rule did not have.
  void remove_targets(std::string_view key, const std::vector<std::string>& ids, const Actor& actor,
                      Callback<std::vector<std::string>> done);
  void set_rule_state(std::string_view key, bool enabled, const Actor& actor, Callback<Unit> done);
  void delete_rule(std::string_view key, bool with_targets, const Actor& actor, Callback<Unit> done);
  void set_rule_tags(std::string_view key, json::Value tags, const Actor& actor, Callback<Unit> done);
  std::shared_ptr<const CompiledRule> find_rule(std::string_view key) const;
  // Whether an enabled rule of the account's default bus has this very source in its pattern: where nobody
  // does, such events need not be made.
  bool listens_to(std::string_view account, std::string_view source) const;
  static bool names_source(const Rule& rule, std::string_view source);
  // By name.
  std::vector<std::shared_ptr<const CompiledRule>> list_rules(std::string_view account,
                                                              std::string_view bus) const;

  void create_bus(Bus bus, const Actor& actor, Callback<std::string> done);  // Answers the ARN.
  void update_bus(Bus bus, const Actor& actor, Callback<Unit> done);
  void delete_bus(std::string_view account, std::string_view name, const Actor& actor, Callback<Unit> done);
  std::optional<Bus> find_bus(std::string_view account,
                              std::string_view name) const;  // The default always is.
  std::vector<Bus> list_buses(std::string_view account) const;
  // The name of the bus that an entry is for. PutEvents does not ask whether it is there, as on AWS.
  Result<std::string> bus_of(const PutEntry& entry, std::string_view account) const;

  Result<std::vector<EventRecord>> list_events(const EventQuery& query);
  Result<std::optional<EventRecord>> find_event(std::string_view id);
  // Called for every accepted event once it is durable; the handle ends it.
  std::shared_ptr<void> observe(std::function<void(const EventRecord&)> callback);

  struct Figures {
    std::uint64_t accepted = 0, refused = 0, duplicates = 0, matched = 0, ticks = 0, pending_deliveries = 0;
    std::uint64_t retried_deliveries =
        0;                         // Of the pending ones: failed before, and wait for their next turn.
    std::int64_t last_lag_ms = 0;  // From accepting an event to its target having it, the last time.
  };
  Figures figures() const;
  // Every stored rule compiles, every pending delivery can be read: one sentence for each that does not.
  Result<std::vector<std::string>> check();

  const BusOptions& options() const { return options_; }
  std::string account_of(const Actor& actor) const;
  Loop& loop() const { return loop_; }

 private:
  using RulePointer = std::shared_ptr<const CompiledRule>;
  struct Acceptance;  // One call's batch and what to do when it is durable.
  struct Observer;

  Status load_buses();
  Status load_rules();
  Status load_ticks();
  Status check_source(const PutEntry& entry, const Actor& actor) const;
  PutResult accept_entry(const PutEntry& entry, const Actor& actor, const std::optional<SourceDedup>& dedup,
                         Acceptance& acceptance);
  void add_event(const Event& event, std::vector<RuleMatch> matches, std::string duplicate_of,
                 Acceptance& acceptance);
  void add_match(RuleMatch match, const Event& event, std::vector<json::Value>& told, Acceptance& acceptance);
  void commit(Acceptance acceptance, std::function<void(Status)> then);
  Result<std::vector<json::Value>> outcomes_of(const std::string& event_id);
  bool forward(const Delivery& delivery, store::Batch batch, std::function<void(Status)> done);

  // Rules under change: the newest one that is on its way to the store, or the one in force.
  RulePointer newest_rule(const std::string& key) const;
  void put_in_force(const std::string& key, const RulePointer& rule);
  // Errors: those of BusRules::find.
  Result<std::vector<RuleMatch>> matches_of(const Event& event) const;
  void write_rule(Rule rule, const Actor& actor, std::string action, std::function<void(Status)> done);
  void write_bus(std::optional<Bus> bus, const std::string& key, const Actor& actor, std::string action,
                 std::function<void(Status)> done);
  Status check_rule_limits(const Rule& rule, bool is_new) const;
  template <typename T>
  void answer(const Callback<T>& done, Result<T> result);

  void schedule_rule(const RulePointer& rule);
  void arm_ticks();
  void fire_due_ticks();
  void fire(const RulePointer& rule, Timestamp due);
  void sweep();

  Loop& loop_;
  Random& random_;
  store::Store& store_;
  BusOptions options_;
  Lease lease_;
  DeliveryQueue deliveries_;
  DedupTable dedup_;
  std::map<std::string, RulePointer, std::less<>>
      rules_;  // In force, by key: all rules of a bus are together.
  mutable std::map<std::string, bool, std::less<>>
      listening_;                                           // What listens_to() found, until a rule changes.
  std::map<std::string, BusRules, std::less<>> bus_rules_;  // The same, by the bus's key.
  std::map<std::string, std::pair<std::uint64_t, RulePointer>> rules_in_flight_;  // nullptr: being deleted.
  std::map<std::string, Bus, std::less<>> buses_;
  std::set<std::string> buses_in_flight_;
  std::uint64_t change_no_ = 0;
  std::map<std::string, Timestamp> ticks_;  // Rule key -> last fired.
  std::set<std::pair<Timestamp, std::string>> due_;
  std::set<std::string> firing_;
  Loop::TimerId tick_timer_ = 0;
  Loop::TimerId sweep_timer_ = 0;
  bool stopped_ = false;
  Figures figures_;
  std::vector<std::weak_ptr<Observer>> observers_;
  std::shared_ptr<bool> alive_;
};

}  // namespace sortie::events
