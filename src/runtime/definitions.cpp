#include "runtime/definitions.h"

#include <algorithm>

#include "base/hash.h"
#include "json/members.h"
#include "json/text.h"
#include "store/for_each_document.h"

namespace sortie::runtime {
namespace {

constexpr std::string_view kRecordKind = "state_machine";
constexpr std::string_view kDefinitionKind = "definition";
constexpr std::string_view kAliasKind = "state_machine_alias";

std::string record_text(const StateMachineRecord& r, const std::string& definition_key) {
  json::ObjectBuilder out;
  out.append("arn", r.arn);
  out.append("name", r.name);
  out.append("definition_key", definition_key);
  out.append("role_arn", r.role_arn);
  out.append("type", r.type);
  out.append("revision_id", r.revision_id);
  out.append("description", r.description);
  out.append("created_at", r.created_at.ms);
  out.append("updated_at", r.updated_at.ms);
  out.append("logging", r.logging_configuration);
  out.append("tracing", r.tracing_configuration);
  out.append("encryption", r.encryption_configuration);
  out.append("tags", r.tags);
  out.append("origin", r.origin);
  if (r.last_version > 0) out.append("last_version", r.last_version);
  return json::to_text(out.build());
}

StateMachineRecord read_record(const json::Value& v) {
  StateMachineRecord r;
  r.arn = json::text_member(v, "arn");
  r.name = json::text_member(v, "name");
  r.role_arn = json::text_member(v, "role_arn");
  r.type = json::text_member(v, "type");
  r.revision_id = json::text_member(v, "revision_id");
  r.description = json::text_member(v, "description");
  if (v.get("created_at").is_integer()) r.created_at.ms = v.get("created_at").as_integer();
  if (v.get("updated_at").is_integer()) r.updated_at.ms = v.get("updated_at").as_integer();
  r.logging_configuration = v.get("logging");
  r.tracing_configuration = v.get("tracing");
  r.encryption_configuration = v.get("encryption");
  r.tags = v.get("tags");
  r.origin = json::text_member(v, "origin");
  if (v.get("last_version").is_integer()) r.last_version = v.get("last_version").as_integer();
  return r;
}

AliasRecord read_alias(const std::string& arn, const json::Value& v) {
  AliasRecord alias;
  alias.arn = arn;
  alias.name = json::text_member(v, "name");
  alias.description = json::text_member(v, "description");
  for (const json::Value& route : v.get("routes").items()) {
    if (!route.get("weight").is_integer()) continue;
    alias.routes.push_back({json::text_member(route, "version_arn"), route.get("weight").as_integer()});
  }
  if (v.get("created_at").is_integer()) alias.created_at.ms = v.get("created_at").as_integer();
  if (v.get("updated_at").is_integer()) alias.updated_at.ms = v.get("updated_at").as_integer();
  return alias;
}

}  // namespace

Status Definitions::load() {
  entries_.clear();
  aliases_.clear();
  SORTIE_TRY_STATUS(store::for_each_document(
      store_, kRecordKind, [this](const store::Document& document) { return take(document); }));
  return load_aliases();
}

Status Definitions::reload(const std::string& arn) {
  SORTIE_TRY(std::optional<std::string> record, store_.find_document(kRecordKind, arn));
  if (record) return take({std::string(kRecordKind), arn, *std::move(record)});
  entries_.erase(arn);
  return {};
}

Status Definitions::take(const store::Document& document) {
  SORTIE_TRY(const json::Value value, json::parse(document.value));
  Entry entry{read_record(value), json::text_member(value, "definition_key")};
  SORTIE_TRY(const std::optional<std::string> text,
             store_.find_document(kDefinitionKind, entry.definition_key));
  if (!text) return Error{"StoreCorrupt", "the definition of " + document.key + " is missing", "", ""};
  entry.record.definition = text->substr(text->find('\n') + 1);
  entries_.insert_or_assign(document.key, std::move(entry));
  return {};
}

Status Definitions::load_aliases() {
  return store::for_each_document(store_, kAliasKind, [this](const store::Document& document) -> Status {
    SORTIE_TRY(const json::Value value, json::parse(document.value));
    aliases_.insert_or_assign(document.key, read_alias(document.key, value));
    return {};
  });
}

Result<Definitions::Change> Definitions::prepare(StateMachineRecord record) {
  const bool express = record.type == "EXPRESS";
  const asl::Compilation made = asl::compile(
      record.definition, {express ? asl::MachineType::kExpress : asl::MachineType::kStandard, strict_});
  if (!made.ok()) {
    return Error{"InvalidDefinition", "Invalid State Machine Definition: '" + made.error_text() + "'", "",
                 ""};
  }
  // The type and the strictness decide what the text means, so they are part of the key.
  const std::string flavour = record.type + (strict_ ? " strict" : "");
  Change change;
  change.definition_key = sha256_hex(flavour + "\n" + record.definition);
  change.machine = made.machine;
  change.documents.push_back(
      {std::string(kDefinitionKind), change.definition_key, flavour + "\n" + record.definition});
  change.documents.push_back(
      {std::string(kRecordKind), record.arn, record_text(record, change.definition_key)});
  change.record = std::move(record);
  return change;
}

void Definitions::apply(Change change) {
  compiled_.insert_or_assign(change.definition_key, change.machine);
  const std::string arn = change.record.arn;
  entries_.insert_or_assign(arn, Entry{std::move(change.record), std::move(change.definition_key)});
}

void Definitions::forget(std::string_view arn) {
  for (const auto& [kind, key] : documents_of(arn)) {
    entries_.erase(key);
    aliases_.erase(key);
  }
}

store::Document Definitions::alias_document(const AliasRecord& alias) {
  std::vector<json::Value> routes;
  for (const AliasRecord::Route& route : alias.routes) {
    routes.push_back(json::Value::object({{"version_arn", route.version_arn}, {"weight", route.weight}}));
  }
  const json::Value value = json::Value::object({{"name", alias.name},
                                                 {"description", alias.description},
                                                 {"routes", json::Value::array(std::move(routes))},
                                                 {"created_at", alias.created_at.ms},
                                                 {"updated_at", alias.updated_at.ms}});
  return {std::string(kAliasKind), alias.arn, json::to_text(value)};
}

void Definitions::apply(AliasRecord alias) {
  const std::string arn = alias.arn;
  aliases_.insert_or_assign(arn, std::move(alias));
}

void Definitions::forget_alias(std::string_view arn) {
  const auto found = aliases_.find(arn);
  if (found != aliases_.end()) aliases_.erase(found);
}

const AliasRecord* Definitions::find_alias(std::string_view arn) const {
  const auto found = aliases_.find(arn);
  return found == aliases_.end() ? nullptr : &found->second;
}

std::vector<AliasRecord> Definitions::aliases(std::string_view machine_arn) const {
  const std::string prefix = std::string(machine_arn) + ":";
  std::vector<AliasRecord> out;
  for (auto it = aliases_.lower_bound(prefix); it != aliases_.end() && it->first.starts_with(prefix); ++it) {
    out.push_back(it->second);
  }
  return out;
}

std::vector<StateMachineRecord> Definitions::versions(std::string_view machine_arn) const {
  const std::string prefix = std::string(machine_arn) + ":";
  std::vector<StateMachineRecord> out;
  for (auto it = entries_.lower_bound(prefix); it != entries_.end() && it->first.starts_with(prefix); ++it) {
    out.push_back(it->second.record);
  }
  // Numbers without leading zeros: the longer text is the higher number.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.arn.size() != b.arn.size() ? a.arn.size() > b.arn.size() : a.arn > b.arn;
  });
  return out;
}

std::vector<std::pair<std::string, std::string>> Definitions::documents_of(std::string_view arn) const {
  std::vector<std::pair<std::string, std::string>> out;
  out.emplace_back(kRecordKind, arn);
  if (!split_qualified_arn(arn).qualifier.empty()) return out;
  for (const StateMachineRecord& version : versions(arn)) out.emplace_back(kRecordKind, version.arn);
  for (const AliasRecord& alias : aliases(arn)) out.emplace_back(kAliasKind, alias.arn);
  return out;
}

Result<Definitions::Current> Definitions::current(std::string_view arn) {
  const auto found = entries_.find(arn);
  if (found == entries_.end()) {
    return Error{"StateMachineDoesNotExist", "State Machine Does Not Exist: '" + std::string(arn) + "'", "",
                 ""};
  }
  SORTIE_TRY(auto compiled, machine(found->second.definition_key));
  return Current{&found->second.record, found->second.definition_key, std::move(compiled)};
}

const StateMachineRecord* Definitions::find(std::string_view arn) const {
  const auto found = entries_.find(arn);
  return found == entries_.end() ? nullptr : &found->second.record;
}

std::vector<std::string> Definitions::arns() const {
  std::vector<std::string> all;
  for (const auto& [arn, entry] : entries_) {
    if (split_qualified_arn(arn).qualifier.empty()) all.push_back(arn);
  }
  return all;
}

std::vector<StateMachineRecord> Definitions::list() const {
  std::vector<StateMachineRecord> all;
  for (const auto& [arn, entry] : entries_) {
    if (split_qualified_arn(arn).qualifier.empty()) all.push_back(entry.record);
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.created_at < b.created_at; });
  return all;
}

Result<std::shared_ptr<const asl::StateMachine>> Definitions::machine(const std::string& key) {
  const auto found = compiled_.find(key);
  if (found != compiled_.end()) return found->second;
  SORTIE_TRY(const std::optional<std::string> text, store_.find_document(kDefinitionKind, key));
  if (!text) return Error{"StoreCorrupt", "definition " + key + " is missing from the store", "", ""};
  const std::size_t line = text->find('\n');
  const std::string flavour = text->substr(0, line);
  asl::CompileOptions options;
  if (flavour.starts_with("EXPRESS")) options.type = asl::MachineType::kExpress;
  options.strict = flavour.ends_with(" strict");
  const asl::Compilation made = asl::compile(std::string_view(*text).substr(line + 1), options);
  if (!made.ok()) {
    return Error{"InvalidDefinition", "definition " + key + " no longer compiles: " + made.error_text(), "",
                 ""};
  }
  compiled_.emplace(key, made.machine);
  return made.machine;
}

}  // namespace sortie::runtime
