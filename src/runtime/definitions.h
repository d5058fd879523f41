#pragma once
// The registry of state machines, their versions and aliases: records as documents of the store, each
// revision's text kept for as long as an execution may run on it, compiled machines cached by what they were
// made from. A version is a record of its own under its own ARN; an alias is a document that names versions.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "asl/compile.h"
#include "runtime/runtime.h"

namespace sortie::runtime {

class Definitions {
 public:
  Definitions(store::Store& store, bool strict) : store_(store), strict_(strict) {}

  Status load();                          // Reads all records.
  Status reload(const std::string& arn);  // One that another node may have changed.

  // What putting this record writes; nothing is changed here until apply() is called after the commit.
  struct Change {
    StateMachineRecord record;
    std::string definition_key;
    std::shared_ptr<const asl::StateMachine> machine;
    std::vector<store::Document> documents;
  };
  // Error "InvalidDefinition".
  Result<Change> prepare(StateMachineRecord record);
  void apply(Change change);
  void forget(std::string_view arn);

  static store::Document alias_document(const AliasRecord& alias);
  void apply(AliasRecord alias);
  void forget_alias(std::string_view arn);
  const AliasRecord* find_alias(std::string_view arn) const;
  std::vector<AliasRecord> aliases(std::string_view machine_arn) const;
  std::vector<StateMachineRecord> versions(std::string_view machine_arn) const;
  // Kind and key of every document of this machine or version; for deleting.
  std::vector<std::pair<std::string, std::string>> documents_of(std::string_view arn) const;

  struct Current {
    const StateMachineRecord* record;
    std::string definition_key;
    std::shared_ptr<const asl::StateMachine> machine;
  };
  Result<Current> current(std::string_view arn);  // Error "StateMachineDoesNotExist".
  const StateMachineRecord* find(std::string_view arn) const;
  std::vector<StateMachineRecord> list() const;
  std::vector<std::string> arns() const;  // The same.
  // The machine an execution runs on, whatever has become of its record.
  Result<std::shared_ptr<const asl::StateMachine>> machine(const std::string& definition_key);

 private:
  struct Entry {
    StateMachineRecord record;
    std::string definition_key;
  };

  store::Store& store_;
  bool strict_;
  Status load_aliases();
  Status take(const store::Document& document);

  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, AliasRecord, std::less<>> aliases_;
  std::unordered_map<std::string, std::shared_ptr<const asl::StateMachine>> compiled_;
};

}  // namespace sortie::runtime
