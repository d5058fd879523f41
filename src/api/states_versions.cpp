// Versions of state machines: publish, delete, list. A version is one revision under a number; the numbers
// ascend and never come back, and one revision has at most one version at a time.
#include <algorithm>

#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"

namespace sortie::api {
namespace {

constexpr std::size_t kVersionsMax = 1'000;  // AWS's quota for a machine.
// How callers name the revision that a machine was created with: it has no id.
constexpr std::string_view kInitialRevision = "INITIAL";

std::string revision_name(const runtime::StateMachineRecord& record) {
  return record.revision_id.empty() ? std::string(kInitialRevision) : record.revision_id;
}

json::Value published_answer(const runtime::StateMachineRecord& version) {
  return json::Value::object(
      {{"creationDate", epoch_seconds(version.created_at)}, {"stateMachineVersionArn", version.arn}});
}

}  // namespace

std::optional<runtime::StateMachineRecord> StatesApi::version_of_revision(
    const runtime::StateMachineRecord& machine) const {
  for (runtime::StateMachineRecord& version : services_.runtime.list_versions(machine.arn)) {
    if (version.revision_id == machine.revision_id) return std::move(version);
  }
  return std::nullopt;
}

void StatesApi::publish_record(runtime::StateMachineRecord machine, std::string description,
                               const Actor& actor,
                               std::function<void(Result<runtime::StateMachineRecord>)> done) {
  if (services_.runtime.list_versions(machine.arn).size() >= kVersionsMax) {
    return done(Error{"ServiceQuotaExceededException",
                      "The state machine has reached the maximum number of versions (1000)", "", ""});
  }
  runtime::StateMachineRecord version = machine;
  version.arn = machine.arn + ":" + std::to_string(++machine.last_version);
  version.description = std::move(description);
  version.created_at = version.updated_at = services_.loop.now();
  version.tags = json::Value();
  version.last_version = 0;
  services_.runtime.publish_version(std::move(machine), std::move(version), actor, std::move(done));
}

void StatesApi::publish_state_machine_version(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineArn");
  if (Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine"}); !parsed) {
    return reply(parsed.error());
  }
  in_turn(arn, std::move(reply), [this, call, arn](AwsReply answer) {
    Result<runtime::StateMachineRecord> machine = find_unqualified_machine(call, arn);
    if (!machine) return answer(machine.error());
    const std::string revision = text_member(call.input, "revisionId");
    if (!revision.empty() && revision != revision_name(*machine)) {
      return answer(Error{"ConflictException",
                          "Failed to publish the State Machine version for revision " + revision +
                              ". The current State Machine revision is " + revision_name(*machine) + ".",
                          "", ""});
    }
    if (const auto existing = version_of_revision(*machine)) return answer(published_answer(*existing));
    publish_record(*std::move(machine), text_member(call.input, "description"), call.caller.actor,
                   [answer](Result<runtime::StateMachineRecord> version) {
                     if (!version) return answer(version.error());
                     answer(published_answer(*version));
                   });
  });
}

void StatesApi::delete_state_machine_version(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineVersionArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine"});
  if (!parsed) return reply(parsed.error());
  const runtime::QualifiedArn qualified = runtime::split_qualified_arn(arn);
  if (!qualified.is_version()) {
    return reply(
        Error{"ValidationException", "The ARN must be a state machine version ARN: '" + arn + "'", "", ""});
  }
  if (parsed->account != call.caller.account) {
    return reply(access_denied(call.caller, "states:DeleteStateMachineVersion", arn));
  }
  in_turn(qualified.machine_arn, std::move(reply), [this, call, arn, qualified](AwsReply answer) {
    const json::Value nothing = json::Value::object({});
    if (!services_.runtime.find_state_machine(arn)) return answer(nothing);
    std::string names;
    for (const runtime::AliasRecord& alias : services_.runtime.list_aliases(qualified.machine_arn)) {
      const bool routes_to_it = std::any_of(alias.routes.begin(), alias.routes.end(),
                                            [&](const auto& route) { return route.version_arn == arn; });
      if (routes_to_it) names += (names.empty() ? "" : ", ") + alias.name;
    }
    if (!names.empty()) {
      return answer(Error{"ConflictException",
                          "Version to be deleted must not be referenced by an alias. Current list of "
                          "aliases referencing this version: [" +
                              names + "]",
                          "", ""});
    }
    services_.runtime.delete_state_machine(arn, call.caller.actor, [answer, nothing](Result<Unit> done) {
      if (!done) return answer(done.error());
      answer(nothing);
    });
  });
}

void StatesApi::list_state_machine_versions(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account) {
    return reply(access_denied(call.caller, "states:ListStateMachineVersions", arn));
  }
  const std::string listing = "ListStateMachineVersions " + arn;
  // The cursor is the number of the last version that was shown; newer ones come first.
  std::uint64_t before = UINT64_MAX;
  if (call.input.get("nextToken").is_string()) {
    const Result<std::uint64_t> cursor = read_page_number(listing, text_member(call.input, "nextToken"));
    if (!cursor) return reply(cursor.error());
    before = *cursor;
  }
  const std::size_t limit = page_size_of(call.input);
  std::vector<json::Value> items;
  std::uint64_t last = 0;
  std::string next;
  for (const runtime::StateMachineRecord& version : services_.runtime.list_versions(arn)) {
    const std::uint64_t number = std::stoull(runtime::split_qualified_arn(version.arn).qualifier);
    if (number >= before) continue;
    if (items.size() == limit) {
      next = make_page_token(listing, std::to_string(last));
      break;
    }
    last = number;
    items.push_back(json::Value::object(
        {{"stateMachineVersionArn", version.arn}, {"creationDate", epoch_seconds(version.created_at)}}));
  }
  json::ObjectBuilder out;
  out.append("stateMachineVersions", json::Value::array(std::move(items)));
  if (!next.empty()) out.append("nextToken", next);
  reply(out.build());
}

}  // namespace sortie::api
