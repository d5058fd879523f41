// State machines: create, update, delete, describe, list, validate.
#include <algorithm>
#include <map>
#include <set>

#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"
#include "asl/variable_references.h"
#include "base/hash.h"
#include "base/text.h"

namespace sortie::api {
namespace {

using runtime::StateMachineRecord;

json::Value default_logging() {
  return json::Value::object({{"level", "OFF"}, {"includeExecutionData", false}});
}

json::Value default_encryption() { return json::Value::object({{"type", "AWS_OWNED_KEY"}}); }

json::Value default_tracing() { return json::Value::object({{"enabled", false}}); }

// arn:aws:logs:REGION:ACCOUNT:log-group:NAME, with or without ":*". Whether it is there is not asked.
bool names_log_group(const json::Value& destination) {
  const std::string arn = text_member(destination.get("cloudWatchLogsLogGroup"), "logGroupArn");
  const std::vector<std::string_view> parts = split(arn, ':');
  return (parts.size() == 7 || (parts.size() == 8 && parts[7] == "*")) && parts[0] == "arn" &&
         parts[2] == "logs" && parts[5] == "log-group" && !parts[6].empty();
}

// As DescribeStateMachine shows it: with its defaults.
Result<json::Value> checked_logging(const json::Value& given) {
  if (!given.is_object()) return default_logging();
  const std::string level = given.get("level").is_string() ? text_member(given, "level") : "OFF";
  const json::Value& destinations = given.get("destinations");
  const bool needs_destination = level != "OFF";
  if ((needs_destination && destinations.size() != 1) || destinations.size() > 1) {
    return Error{"InvalidLoggingConfiguration",
                 "Invalid Logging Configuration: Must specify exactly one Log Destination.", "", ""};
  }
  if (!destinations.empty() && !names_log_group(destinations[0])) {
    return Error{"InvalidLoggingConfiguration", "Invalid Logging Configuration: Log Destination not found.",
                 "", ""};
  }
  json::ObjectBuilder out;
  out.append("level", level).append("includeExecutionData", flag_of(given, "includeExecutionData"));
  if (!destinations.empty()) out.append("destinations", destinations);
  return out.build();
}

json::Value checked_tracing(const json::Value& given) {
  if (!given.is_object()) return default_tracing();
  return json::Value::object({{"enabled", flag_of(given, "enabled")}});
}

Status check_version_parameters(const json::Value& input) {
  if (!flag_of(input, "publish") && !text_member(input, "versionDescription").empty()) {
    return Error{"ValidationException", "Version description can only be set when publish is true", "", ""};
  }
  return {};
}

json::Value or_default(const json::Value& value, const json::Value& fallback) {
  return value.is_null() ? fallback : value;
}

// Role and tags are ignored in this comparison, as AWS does.
bool is_same_machine(const StateMachineRecord& a, const StateMachineRecord& b) {
  return a.definition == b.definition && a.type == b.type &&
         or_default(a.logging_configuration, default_logging()) == b.logging_configuration &&
         or_default(a.tracing_configuration, default_tracing()) == b.tracing_configuration &&
         or_default(a.encryption_configuration, default_encryption()) ==
             or_default(b.encryption_configuration, default_encryption());
}

Result<StateMachineRecord> read_new_machine(const AwsCall& call, std::string_view region) {
  const json::Value& in = call.input;
  StateMachineRecord record;
  record.name = text_member(in, "name");
  SORTIE_TRY_STATUS(check_states_name(record.name));
  record.arn = state_machine_arn(region, call.caller.account, record.name);
  record.definition = text_member(in, "definition");
  record.role_arn = text_member(in, "roleArn");
  SORTIE_TRY_STATUS(check_role_arn(record.role_arn));
  if (in.get("type").is_string()) record.type = text_member(in, "type");
  SORTIE_TRY(record.logging_configuration, checked_logging(in.get("loggingConfiguration")));
  record.tracing_configuration = checked_tracing(in.get("tracingConfiguration"));
  SORTIE_TRY_STATUS(check_encryption(in.get("encryptionConfiguration")));
  record.encryption_configuration = in.get("encryptionConfiguration");
  SORTIE_TRY(record.tags, merged_tags(json::Value(), in.get("tags"), record.arn));
  record.origin = "api";
  return record;
}

json::ObjectBuilder created_answer(const StateMachineRecord& record) {
  json::ObjectBuilder out;
  out.append("stateMachineArn", record.arn).append("creationDate", epoch_seconds(record.created_at));
  return out;
}

json::Value references_json(const std::map<std::string, std::set<std::string>>& references) {
  json::ObjectBuilder out;
  for (const auto& [state, variables] : references) {
    std::vector<json::Value> names(variables.begin(), variables.end());
    out.append(state, json::Value::array(std::move(names)));
  }
  return out.build();
}

// Recorded: a machine without variables is described without its encryption, unless one was asked for; a
// machine with variables shows both, the default key, too.
void append_configurations(json::ObjectBuilder& out, const StateMachineRecord& record,
                           const std::string& definition, bool strict) {
  out.append("loggingConfiguration", or_default(record.logging_configuration, default_logging()));
  out.append("tracingConfiguration", or_default(record.tracing_configuration, default_tracing()));
  const asl::Compilation compilation = asl::compile(definition, {.strict = strict});
  std::map<std::string, std::set<std::string>> references;
  if (compilation.ok()) references = asl::variable_references(*compilation.machine);
  if (!references.empty() || !record.encryption_configuration.is_null()) {
    out.append("encryptionConfiguration", or_default(record.encryption_configuration, default_encryption()));
  }
  if (!references.empty()) out.append("variableReferences", references_json(references));
}

bool has_any(const json::Value& input, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return !input.get(name).is_null(); });
}

// What UpdateStateMachine changes; the answer tells whether anything did.
Result<bool> apply_update(const json::Value& in, StateMachineRecord* record) {
  const StateMachineRecord before = *record;
  if (in.get("definition").is_string()) record->definition = text_member(in, "definition");
  if (in.get("roleArn").is_string()) record->role_arn = text_member(in, "roleArn");
  if (in.get("loggingConfiguration").is_object()) {
    SORTIE_TRY(record->logging_configuration, checked_logging(in.get("loggingConfiguration")));
  }
  if (in.get("tracingConfiguration").is_object()) {
    record->tracing_configuration = checked_tracing(in.get("tracingConfiguration"));
  }
  if (in.get("encryptionConfiguration").is_object()) {
    record->encryption_configuration = in.get("encryptionConfiguration");
  }
  return !(record->role_arn == before.role_arn && is_same_machine(before, *record));
}

}  // namespace

Status StatesApi::check_definition(std::string_view definition, std::string_view type) const {
  const asl::MachineType machine =
      type == "EXPRESS" ? asl::MachineType::kExpress : asl::MachineType::kStandard;
  const asl::Compilation compilation = asl::compile(definition, {.type = machine, .strict = options_.strict});
  if (compilation.ok()) return {};
  return Error{"InvalidDefinition", "Invalid State Machine Definition: '" + compilation.error_text() + "'",
               "", ""};
}

void StatesApi::create_state_machine(const AwsCall& call, AwsReply reply) {
  if (Status status = check_version_parameters(call.input); !status) return reply(status.error());
  Result<StateMachineRecord> record = read_new_machine(call, options_.region);
  if (!record) return reply(record.error());
  if (Status status = check_definition(record->definition, record->type); !status)
    return reply(status.error());
  in_turn(record->arn, std::move(reply), [this, record = *record, call](AwsReply answer) {
    create_in_turn(record, call, std::move(answer));
  });
}

void StatesApi::create_in_turn(StateMachineRecord record, const AwsCall& call, AwsReply reply) {
  if (const auto existing = services_.runtime.find_state_machine(record.arn)) {
    json::ObjectBuilder answer = created_answer(*existing);
    bool same = is_same_machine(*existing, record);
    if (same && flag_of(call.input, "publish")) {
      // Asking again is no harm while the version that the first call made is what the machine is now.
      const auto version = version_of_revision(*existing);
      same = version && version->description == text_member(call.input, "versionDescription");
      if (same) answer.append("stateMachineVersionArn", version->arn);
    }
    if (same) return reply(answer.build());
    return reply(
        Error{"StateMachineAlreadyExists", "State Machine Already Exists: '" + record.arn + "'", "", ""});
  }
  record.created_at = record.updated_at = services_.loop.now();
  save_machine(std::move(record), call, true, std::move(reply), created_answer);
}

void StatesApi::save_machine(StateMachineRecord record, const AwsCall& call, bool changed, AwsReply reply,
                             std::function<json::ObjectBuilder(const StateMachineRecord&)> answer) {
  const auto finish = [reply, record, answer](const std::string& version_arn) {
    json::ObjectBuilder out = answer(record);
    if (!version_arn.empty()) out.append("stateMachineVersionArn", version_arn);
    reply(out.build());
  };
  if (flag_of(call.input, "publish")) {
    const auto published = changed ? std::nullopt : version_of_revision(record);
    if (published) return finish(published->arn);
    return publish_record(record, text_member(call.input, "versionDescription"), call.caller.actor,
                          [reply, finish](Result<StateMachineRecord> version) {
                            if (!version) return reply(version.error());
                            finish(version->arn);
                          });
  }
  if (!changed) return finish("");
  services_.runtime.put_state_machine(record, call.caller.actor,
                                      [reply, finish](const Result<StateMachineRecord>& done) {
                                        if (!done) return reply(done.error());
                                        finish("");
                                      });
}

void StatesApi::update_state_machine(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineArn");
  if (Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine"}); !parsed)
    return reply(parsed.error());
  if (Result<StateMachineRecord> found = find_unqualified_machine(call, arn); !found) {
    return reply(found.error());
  }
  if (!has_any(call.input, {"definition", "roleArn", "loggingConfiguration", "tracingConfiguration",
                            "encryptionConfiguration"})) {
    return reply(
        Error{"MissingRequiredParameter",
              "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration "
              "must be specified",
              "", ""});
  }
  if (Status status = check_version_parameters(call.input); !status) return reply(status.error());
  if (Status status = check_encryption(call.input.get("encryptionConfiguration")); !status) {
    return reply(status.error());
  }
  if (call.input.get("roleArn").is_string()) {
    if (Status status = check_role_arn(text_member(call.input, "roleArn")); !status)
      return reply(status.error());
  }
  in_turn(arn, std::move(reply),
          [this, call, arn](AwsReply answer) { update_checked(call, arn, std::move(answer)); });
}

void StatesApi::update_checked(const AwsCall& call, const std::string& arn, AwsReply reply) {
  Result<StateMachineRecord> found = find_unqualified_machine(call, arn);
  if (!found) return reply(found.error());
  StateMachineRecord record = *std::move(found);
  const std::string definition_before = record.definition;
  const Result<bool> changed = apply_update(call.input, &record);
  if (!changed) return reply(changed.error());
  if (record.definition != definition_before) {
    if (Status status = check_definition(record.definition, record.type); !status)
      return reply(status.error());
  }
  if (*changed) {
    record.updated_at = services_.loop.now();
    record.revision_id = make_uuid(services_.random);
  }
  save_machine(std::move(record), call, *changed, std::move(reply),
               [now = services_.loop.now()](const StateMachineRecord& saved) {
                 json::ObjectBuilder out;
                 out.append("updateDate", epoch_seconds(now));
                 if (!saved.revision_id.empty()) out.append("revisionId", saved.revision_id);
                 return out;
               });
}

void StatesApi::delete_state_machine(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "stateMachineArn");
  if (Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine"}); !parsed)
    return reply(parsed.error());
  if (!runtime::split_qualified_arn(arn).qualifier.empty()) {
    return reply(Error{"ValidationException",
                       "The ARN must be a state machine ARN without a version or alias: '" + arn + "'", "",
                       ""});
  }
  in_turn(arn, std::move(reply), [this, call, arn](AwsReply answer) {
    Result<StateMachineRecord> found = find_machine(call, arn);
    const json::Value nothing = json::Value::object({});
    // Deleting what is not there is no error on AWS.
    if (!found && found.error().code == "StateMachineDoesNotExist") return answer(nothing);
    if (!found) return answer(found.error());
    services_.runtime.delete_state_machine(arn, call.caller.actor, [answer, nothing](Result<Unit> done) {
      if (!done) return answer(done.error());
      answer(nothing);
    });
  });
}

void StatesApi::describe_state_machine(const AwsCall& call, AwsReply reply) {
  Result<StateMachineRecord> record = find_machine(call, text_member(call.input, "stateMachineArn"));
  if (!record) return reply(record.error());
  json::ObjectBuilder out;
  out.append("stateMachineArn", record->arn).append("name", record->name).append("status", "ACTIVE");
  if (text_member(call.input, "includedData") != "METADATA_ONLY")
    out.append("definition", record->definition);
  out.append("roleArn", record->role_arn).append("type", record->type);
  out.append("creationDate", epoch_seconds(record->created_at));
  append_configurations(out, *record, record->definition, options_.strict);
  if (!record->revision_id.empty()) out.append("revisionId", record->revision_id);
  if (!record->description.empty()) out.append("description", record->description);
  reply(out.build());
}

void StatesApi::describe_state_machine_for_execution(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "executionArn");
  if (Status status = check_execution_arn(call, arn); !status) return reply(status.error());
  const Result<runtime::ExecutionDescription> execution = services_.runtime.describe_execution(arn);
  if (!execution) {
    if (execution.error().code == "ExecutionDoesNotExist") return reply(execution_does_not_exist(arn));
    return reply(execution.error());
  }
  // The machine as the execution started on it: it may have changed or gone since; a version has not.
  const auto now = services_.runtime.find_state_machine(
      execution->version_arn.empty() ? execution->state_machine_arn : execution->version_arn);
  const bool unchanged =
      now && now->definition == execution->definition && now->role_arn == execution->role_arn;
  const Result<StatesArn> parsed = parse_states_arn(execution->state_machine_arn, {"stateMachine"});
  json::ObjectBuilder out;
  out.append("stateMachineArn", execution->state_machine_arn);
  out.append("name", parsed ? parsed->name : std::string());
  if (text_member(call.input, "includedData") != "METADATA_ONLY")
    out.append("definition", execution->definition);
  out.append("roleArn", execution->role_arn);
  out.append("updateDate", epoch_seconds(unchanged ? now->updated_at : execution->started_at));
  append_configurations(out, unchanged ? *now : StateMachineRecord{}, execution->definition, options_.strict);
  if (unchanged && !now->revision_id.empty()) out.append("revisionId", now->revision_id);
  reply(out.build());
}

void StatesApi::list_state_machines(const AwsCall& call, AwsReply reply) {
  const std::string listing = "ListStateMachines " + call.caller.account;
  std::vector<StateMachineRecord> machines = services_.runtime.list_state_machines();
  std::erase_if(machines, [&](const StateMachineRecord& record) {
    const Result<StatesArn> parsed = parse_states_arn(record.arn, {"stateMachine"});
    return !parsed || parsed->account != call.caller.account;
  });
  const auto place = [](const StateMachineRecord& record) {
    std::string ms = std::to_string(record.created_at.ms);
    return std::string(20 - std::min<std::size_t>(20, ms.size()), '0') + ms + " " + record.arn;
  };
  std::sort(machines.begin(), machines.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::string after;
  if (call.input.get("nextToken").is_string()) {
    Result<std::string> cursor = read_page_token(listing, text_member(call.input, "nextToken"));
    if (!cursor) return reply(cursor.error());
    after = *std::move(cursor);
  }
  std::vector<json::Value> items;
  std::string last, next;
  for (const StateMachineRecord& record : machines) {
    if (place(record) <= after) continue;
    if (items.size() == page_size_of(call.input)) {
      next = make_page_token(listing, last);
      break;
    }
    last = place(record);
    items.push_back(json::Value::object({{"stateMachineArn", record.arn},
                                         {"name", record.name},
                                         {"type", record.type},
                                         {"creationDate", epoch_seconds(record.created_at)}}));
  }
  json::ObjectBuilder out;
  out.append("stateMachines", json::Value::array(std::move(items)));
  if (!next.empty()) out.append("nextToken", next);
  reply(out.build());
}

void StatesApi::validate_definition(const AwsCall& call, AwsReply reply) {
  const bool is_express = text_member(call.input, "type") == "EXPRESS";
  const asl::Compilation compilation =
      asl::compile(call.input.get("definition").as_string(),
                   {.type = is_express ? asl::MachineType::kExpress : asl::MachineType::kStandard,
                    .strict = options_.strict});
  const bool with_warnings = text_member(call.input, "severity") == "WARNING";
  const std::size_t limit = page_size_of(call.input, 100);
  std::vector<json::Value> diagnostics;
  bool truncated = false;
  for (const asl::Diagnostic& diagnostic : compilation.diagnostics) {
    const bool is_error = diagnostic.severity == asl::Diagnostic::Severity::kError;
    if (!is_error && !with_warnings) continue;
    if (diagnostics.size() == limit) {
      truncated = true;
      break;
    }
    json::ObjectBuilder item;
    item.append("severity", is_error ? "ERROR" : "WARNING");
    item.append("code", diagnostic.code).append("message", diagnostic.message);
    if (!diagnostic.location.empty()) item.append("location", diagnostic.location);
    diagnostics.push_back(item.build());
  }
  reply(json::Value::object({{"result", compilation.ok() ? "OK" : "FAIL"},
                             {"diagnostics", json::Value::array(std::move(diagnostics))},
                             {"truncated", truncated}}));
}

}  // namespace sortie::api
