// Task tokens and activities.
#include <algorithm>

#include "api/page_token.h"
#include "api/states_api.h"
#include "api/states_arn.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::string_view kActivityKind = "activity";
constexpr std::size_t kKnownActivitiesMax = 1'000;

// The Runtime says which it is; the words are AWS's.
Error token_error(const Error& error) {
  if (error.code == "InvalidToken") return {error.code, "Invalid Token: 'Invalid token'", "", ""};
  if (error.code == "TaskTimedOut") {
    return {error.code, "Task Timed Out: 'Provided task does not exist anymore'", "", ""};
  }
  if (error.code == "TaskDoesNotExist") {
    return {error.code, "Task Does Not Exist: 'Provided task does not exist'", "", ""};
  }
  return error;
}

runtime::Runtime::Callback<Unit> answer_nothing(AwsReply reply) {
  return [reply = std::move(reply)](Result<Unit> done) {
    if (!done) return reply(token_error(done.error()));
    reply(json::Value::object({}));
  };
}

json::Value created_activity(const json::Value& activity, std::string_view arn) {
  return json::Value::object(
      {{"activityArn", arn}, {"creationDate", epoch_seconds({activity.get("created_at_ms").as_integer()})}});
}

// A long poll under way. It ends by an answer or when its caller goes away.
struct ActivityPoll {
  std::shared_ptr<void> handle;
};

}  // namespace

std::optional<Error> StatesApi::refused(const AwsCall& call) const {
  if (!services_.refuse_token) return std::nullopt;
  return services_.refuse_token(call.input.get("taskToken").as_string(), call.caller.actor, call.operation);
}

void StatesApi::send_task_success(const AwsCall& call, AwsReply reply) {
  if (std::optional<Error> error = refused(call)) return reply(*std::move(error));
  services_.runtime.send_task_success(text_member(call.input, "taskToken"), text_member(call.input, "output"),
                                      call.caller.actor, {}, answer_nothing(std::move(reply)));
}

void StatesApi::send_task_failure(const AwsCall& call, AwsReply reply) {
  if (std::optional<Error> error = refused(call)) return reply(*std::move(error));
  services_.runtime.send_task_failure(text_member(call.input, "taskToken"), text_member(call.input, "error"),
                                      text_member(call.input, "cause"), call.caller.actor, {},
                                      answer_nothing(std::move(reply)));
}

void StatesApi::send_task_heartbeat(const AwsCall& call, AwsReply reply) {
  if (std::optional<Error> error = refused(call)) return reply(*std::move(error));
  services_.runtime.send_task_heartbeat(text_member(call.input, "taskToken"),
                                        answer_nothing(std::move(reply)));
}

Result<json::Value> StatesApi::load_activity(std::string_view arn) {
  SORTIE_TRY(const std::optional<std::string> text, services_.store.find_document(kActivityKind, arn));
  if (!text)
    return Error{"ActivityDoesNotExist", "Activity Does Not Exist: '" + std::string(arn) + "'", "", ""};
  Result<json::Value> value = json::parse(*text);
  if (!value || !value->get("created_at_ms").is_integer()) {
    return Error{"StoreCorrupt", "the activity's record cannot be read", "", ""};
  }
  return value;
}

void StatesApi::create_activity(const AwsCall& call, AwsReply reply) {
  const std::string name = text_member(call.input, "name");
  if (Status status = check_states_name(name); !status) return reply(status.error());
  if (Status status = check_encryption(call.input.get("encryptionConfiguration")); !status)
    return reply(status.error());
  const std::string arn = activity_arn(options_.region, call.caller.account, name);
  const Result<json::Value> tags = merged_tags(json::Value(), call.input.get("tags"), arn);
  if (!tags) return reply(tags.error());
  in_turn(arn, std::move(reply), [this, arn, name, tags = *tags](AwsReply answer) {
    const Result<json::Value> existing = load_activity(arn);
    if (existing) return answer(created_activity(*existing, arn));
    if (existing.error().code != "ActivityDoesNotExist") return answer(existing.error());
    const json::Value activity =
        json::Value::object({{"name", name}, {"created_at_ms", services_.loop.now().ms}, {"tags", tags}});
    save_document(std::string(kActivityKind), arn, activity, [answer, activity, arn](Status done) {
      if (!done) return answer(done.error());
      answer(created_activity(activity, arn));
    });
  });
}

void StatesApi::delete_activity(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "activityArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"activity"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account)
    return reply(access_denied(call.caller, "states:DeleteActivity", arn));
  in_turn(arn, std::move(reply), [this, arn](AwsReply answer) {
    store::Batch batch;
    batch.documents_gone.emplace_back(kActivityKind, arn);
    services_.commit(std::move(batch), [this, arn, answer](Status done) {
      known_activities_.erase(arn);
      if (!done) return answer(done.error());
      answer(json::Value::object({}));
    });
  });
}

void StatesApi::describe_activity(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "activityArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"activity"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account) {
    return reply(access_denied(call.caller, "states:DescribeActivity", arn));
  }
  const Result<json::Value> activity = load_activity(arn);
  if (!activity) return reply(activity.error());
  reply(json::Value::object({{"activityArn", arn},
                             {"name", activity->get("name")},
                             {"creationDate", epoch_seconds({activity->get("created_at_ms").as_integer()})},
                             {"encryptionConfiguration", json::Value::object({{"type", "AWS_OWNED_KEY"}})}}));
}

void StatesApi::list_activities(const AwsCall& call, AwsReply reply) {
  const std::string listing = "ListActivities " + call.caller.account;
  const std::string prefix = activity_arn(options_.region, call.caller.account, "");
  std::string after = prefix;
  if (call.input.get("nextToken").is_string()) {
    Result<std::string> cursor = read_page_token(listing, text_member(call.input, "nextToken"));
    if (!cursor) return reply(cursor.error());
    after = *std::move(cursor);
  }
  const std::size_t limit = page_size_of(call.input);
  const Result<std::vector<store::Document>> documents =
      services_.store.list_documents(kActivityKind, after, limit + 1);
  if (!documents) return reply(documents.error());
  std::vector<json::Value> items;
  std::string last, next;
  for (const store::Document& document : *documents) {
    if (!document.key.starts_with(prefix)) break;
    if (items.size() == limit) {
      next = make_page_token(listing, last);
      break;
    }
    const Result<json::Value> activity = json::parse(document.value);
    last = document.key;
    if (!activity || !activity->get("created_at_ms").is_integer()) continue;
    items.push_back(json::Value::object(
        {{"activityArn", document.key},
         {"name", activity->get("name")},
         {"creationDate", epoch_seconds({activity->get("created_at_ms").as_integer()})}}));
  }
  json::ObjectBuilder out;
  out.append("activities", json::Value::array(std::move(items)));
  if (!next.empty()) out.append("nextToken", next);
  reply(out.build());
}

void StatesApi::get_activity_task(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "activityArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"activity"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account)
    return reply(access_denied(call.caller, "states:GetActivityTask", arn));
  if (!known_activities_.contains(arn)) {
    if (Result<json::Value> activity = load_activity(arn); !activity) return reply(activity.error());
    if (known_activities_.size() >= kKnownActivitiesMax) known_activities_.clear();
    known_activities_.insert(arn);
  }
  const auto poll = std::make_shared<ActivityPoll>();
  Loop& loop = services_.loop;
  poll->handle = services_.runtime.poll_activity(
      arn, text_member(call.input, "workerName"), kActivityPollMs,
      [reply, poll, &loop](runtime::ActivityTask task) {
        json::ObjectBuilder out;
        if (!task.task_token.empty())
          out.append("taskToken", task.task_token).append("input", task.input_text);
        reply(out.build());
        // Not here: the handle may own this very callback.
        loop.post([poll] { poll->handle.reset(); });
      });
  if (call.peer != nullptr) {
    call.peer->on_close([weak = std::weak_ptr<ActivityPoll>(poll)] {
      if (const auto open = weak.lock()) open->handle.reset();
    });
  }
}

}  // namespace sortie::api
