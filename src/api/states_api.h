#pragma once
// The Step Functions API on top of the Runtime: checks parameters as AWS does and in AWS's order, asks the
// Runtime, and renders the answer in wire form. Every answer that says something was done is given after it
// became durable.
//
// A caller sees its own account only.
//
// Activities are documents of kind "activity" (key: the ARN); the Runtime only knows their ARNs.
// Source: Step Functions API Reference, botocore's model, and the answers recorded from AWS.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "api/aws_call.h"
#include "api/keyed_queue.h"
#include "base/clock.h"
#include "engine/state_trial.h"
#include "json/members.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace sortie::api {

namespace test_state {
struct Trial;
}

inline constexpr std::int64_t kActivityPollMs = 60'000;
inline constexpr std::int64_t kListPageDefault = 100;

// Writes a batch of documents under the shard and epoch that the caller fills in; tells when it is durable.
using CommitBatch = std::function<void(store::Batch batch, std::function<void(Status)> done)>;

struct StatesServices {
  Loop& loop;
  Random& random;
  runtime::Runtime& runtime;
  store::Store& store;
  CommitBatch commit;
  // Asked before a SendTask* reaches the Runtime: an error refuses it (an approval's token is worth nothing
  // here). The asked side records the refusal. May be empty.
  std::function<std::optional<Error>(std::string_view task_token, const Actor& actor,
                                     std::string_view operation)>
      refuse_token;
  // For TestState. Carries out one task that no execution waits for: its result, or an Error with the task's
  // error as code and its cause as message. Empty: such calls are refused.
  // What an HTTP task sent and got comes beside its end: {"request", "response"}, else null.
  using TaskTrial = std::function<void(Result<json::Value> end, json::Value trace)>;
  std::function<void(runtime::TaskOrder order, TaskTrial done)> try_task = {};
  // Holds a mocked result against the model of the service: "" or what is wrong ("Field 'X' must be a
  // string"). `strict` also asks for required members. Empty: nothing is checked.
  std::function<void(const asl::TaskResource& resource, const json::Value& result, bool strict,
                     std::function<void(std::string)> done)>
      check_mock = {};
  // What an ItemReader makes of an object's text: its items (TestState's mapItemReaderData). Empty: only JSON
  // is read.
  std::function<Result<json::Value>(const asl::ItemReader& reader, std::string_view text)> read_items = {};
};

struct StatesOptions {
  std::string region = "us-east-1";
  bool strict = false;  // compatibility: strict
  // Whether the mock configuration has this test case of a machine; empty where there is no configuration.
  std::function<bool(std::string_view machine, std::string_view test_case)> has_test_case;
};

class StatesApi final : public AwsService {
 public:
  StatesApi(StatesServices services, StatesOptions options);
  void handle(AwsCall call, AwsReply reply) override;

 private:
  using Operation = void (StatesApi::*)(const AwsCall& call, AwsReply reply);
  static const std::pair<std::string_view, Operation>* find_operation(std::string_view name);

  // states_machines.cpp
  void create_state_machine(const AwsCall& call, AwsReply reply);
  void create_in_turn(runtime::StateMachineRecord record, const AwsCall& call, AwsReply reply);
  void update_state_machine(const AwsCall& call, AwsReply reply);
  void update_checked(const AwsCall& call, const std::string& arn, AwsReply reply);
  void delete_state_machine(const AwsCall& call, AwsReply reply);
  void describe_state_machine(const AwsCall& call, AwsReply reply);
  void describe_state_machine_for_execution(const AwsCall& call, AwsReply reply);
  void list_state_machines(const AwsCall& call, AwsReply reply);
  void validate_definition(const AwsCall& call, AwsReply reply);
  Status check_definition(std::string_view definition, std::string_view type) const;

  // The record of a machine itself: a version's or alias's ARN names no machine that could be changed.
  Result<runtime::StateMachineRecord> find_unqualified_machine(const AwsCall& call, std::string_view arn);
  // Answers with `answer` and the version's ARN, once the record and, if asked for, the version are durable.
  void save_machine(runtime::StateMachineRecord record, const AwsCall& call, bool changed, AwsReply reply,
                    std::function<json::ObjectBuilder(const runtime::StateMachineRecord&)> answer);

  // states_versions.cpp
  void publish_state_machine_version(const AwsCall& call, AwsReply reply);
  void delete_state_machine_version(const AwsCall& call, AwsReply reply);
  void list_state_machine_versions(const AwsCall& call, AwsReply reply);
  std::optional<runtime::StateMachineRecord> version_of_revision(
      const runtime::StateMachineRecord& machine) const;
  // Writes the record and a new version of it together.
  void publish_record(runtime::StateMachineRecord machine, std::string description, const Actor& actor,
                      std::function<void(Result<runtime::StateMachineRecord>)> done);

  // states_aliases.cpp
  void create_state_machine_alias(const AwsCall& call, AwsReply reply);
  void update_state_machine_alias(const AwsCall& call, AwsReply reply);
  void delete_state_machine_alias(const AwsCall& call, AwsReply reply);
  void describe_state_machine_alias(const AwsCall& call, AwsReply reply);
  void list_state_machine_aliases(const AwsCall& call, AwsReply reply);
  Status check_routes(const AwsCall& call, const std::vector<runtime::AliasRecord::Route>& routes);
  Result<runtime::AliasRecord> find_alias(const AwsCall& call, const std::string& arn);

  // states_executions.cpp
  void start_execution(const AwsCall& call, AwsReply reply);
  void start_sync_execution(const AwsCall& call, AwsReply reply);
  void redrive_execution(const AwsCall& call, AwsReply reply);
  Result<runtime::StartRequest> read_start(const AwsCall& call, bool sync);
  void stop_execution(const AwsCall& call, AwsReply reply);
  void describe_execution(const AwsCall& call, AwsReply reply);
  void list_executions(const AwsCall& call, AwsReply reply);
  void get_execution_history(const AwsCall& call, AwsReply reply);

  // states_map_runs.cpp
  void list_map_runs(const AwsCall& call, AwsReply reply);
  void describe_map_run(const AwsCall& call, AwsReply reply);
  void update_map_run(const AwsCall& call, AwsReply reply);
  Result<runtime::MapRunDescription> find_map_run(const AwsCall& call, std::string_view arn);

  // states_tasks.cpp
  void send_task_success(const AwsCall& call, AwsReply reply);
  void send_task_failure(const AwsCall& call, AwsReply reply);
  void send_task_heartbeat(const AwsCall& call, AwsReply reply);
  std::optional<Error> refused(const AwsCall& call) const;
  void create_activity(const AwsCall& call, AwsReply reply);
  void delete_activity(const AwsCall& call, AwsReply reply);
  void describe_activity(const AwsCall& call, AwsReply reply);
  void list_activities(const AwsCall& call, AwsReply reply);
  void get_activity_task(const AwsCall& call, AwsReply reply);
  Result<json::Value> load_activity(std::string_view arn);

  // states_test_state.cpp
  void test_state(const AwsCall& call, AwsReply reply);
  Result<json::Value> read_trial_items(const json::Value& configuration, test_state::Trial& trial) const;
  Status find_tested_state(const AwsCall& call, test_state::Trial& trial, json::Value* state_text) const;
  Status prepare_trial(const AwsCall& call, test_state::Trial& trial) const;
  void run_trial(std::shared_ptr<test_state::Trial> trial, const AwsCall& call, AwsReply reply);
  void run_task_of(std::shared_ptr<test_state::Trial> trial, const engine::StateTrial::ForTask& task,
                   const AwsCall& call, AwsReply reply);

  // states_tags.cpp
  void tag_resource(const AwsCall& call, AwsReply reply);
  void untag_resource(const AwsCall& call, AwsReply reply);
  void list_tags(const AwsCall& call, AwsReply reply);
  void change_tags(const AwsCall& call, const std::string& arn,
                   std::function<Result<json::Value>(json::Value)> change, AwsReply reply);

  void not_built_yet(const AwsCall& call, AwsReply reply);
  Result<runtime::StateMachineRecord> find_machine(const AwsCall& call, std::string_view arn);
  // The same for what an execution can be started by; an alias gives one of the versions it routes to.
  Result<runtime::StateMachineRecord> find_startable(const AwsCall& call, const std::string& arn);
  // Runs `change` when no other change of this ARN is under way; the reply ends it.
  void in_turn(const std::string& arn, AwsReply reply, std::function<void(AwsReply)> change);
  void save_document(std::string kind, std::string key, const json::Value& value,
                     std::function<void(Status)> done);

  StatesServices services_;
  StatesOptions options_;
  KeyedQueue changes_;
  // ARNs of activities that are in the store: only this object makes and deletes them, and pollers ask
  // thousands of times a second.
  std::unordered_set<std::string> known_activities_;
};

// Shared by the parts of the API. Members that are absent or null read as "", 0 or false.
using json::text_member;
bool flag_of(const json::Value& input, std::string_view name);
// maxResults: 0 and absent mean the default page.
std::size_t page_size_of(const json::Value& input, std::size_t fallback = kListPageDefault);
// Error "InvalidEncryptionConfiguration" for anything but AWS_OWNED_KEY: a customer's key would be a promise
// that Sortie does not keep.
Status check_encryption(const json::Value& configuration);
// Error "TooManyTags" beyond 50, and tags with the last value of each key.
Result<json::Value> merged_tags(const json::Value& tags, const json::Value& added, std::string_view arn);

std::string_view status_name(store::ExecutionStatus status);
std::optional<store::ExecutionStatus> parse_status(std::string_view name);
// What is wrong with an execution's input, in AWS's words; nothing where it is JSON.
std::optional<Error> find_input_fault(std::string_view input_text);
Error execution_does_not_exist(std::string_view arn);
// ARN and account of an execution that the caller names.
Status check_execution_arn(const AwsCall& call, std::string_view arn, std::string_view type = "execution");

}  // namespace sortie::api
