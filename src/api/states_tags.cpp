// Tags of state machines and activities.
#include <algorithm>

#include "api/states_api.h"
#include "api/states_arn.h"
#include "json/text.h"

namespace sortie::api {
namespace {

constexpr std::size_t kTagsMax = 50;

Error resource_not_found(std::string_view arn) {
  return {"ResourceNotFound", "Resource not found: '" + std::string(arn) + "'", "", ""};
}

}  // namespace

Result<json::Value> merged_tags(const json::Value& tags, const json::Value& added, std::string_view arn) {
  std::vector<json::Value> out(tags.items().begin(), tags.items().end());
  for (const json::Value& tag : added.items()) {
    if (!tag.get("key").is_string()) return Error{"ValidationException", "A tag needs a key", "", ""};
    const json::Value plain =
        json::Value::object({{"key", tag.get("key")},
                             {"value", tag.get("value").is_string() ? tag.get("value") : json::Value("")}});
    const auto same = std::find_if(out.begin(), out.end(), [&](const json::Value& other) {
      return other.get("key") == plain.get("key");
    });
    if (same != out.end()) {
      *same = plain;
    } else {
      out.push_back(plain);
    }
    if (out.size() > kTagsMax) {
      return Error{"TooManyTags", "Too many tags: '" + std::string(arn) + "' may have at most 50", "", ""};
    }
  }
  if (out.empty() && tags.is_null()) return json::Value();
  return json::Value::array(std::move(out));
}

void StatesApi::change_tags(const AwsCall& call, const std::string& arn,
                            std::function<Result<json::Value>(json::Value)> change, AwsReply reply) {
  const Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine", "activity"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account) {
    return reply(access_denied(call.caller, "states:" + call.operation, arn));
  }
  if (!parsed->more.empty()) return reply(resource_not_found(arn));
  const auto answer_nothing = [](const AwsReply& answer, const Status& done) {
    if (!done) return answer(done.error());
    answer(json::Value::object({}));
  };
  if (parsed->kind == "activity") {
    in_turn(arn, std::move(reply), [this, arn, change, answer_nothing](AwsReply answer) {
      const Result<json::Value> activity = load_activity(arn);
      if (!activity) {
        const bool missing = activity.error().code == "ActivityDoesNotExist";
        return answer(missing ? resource_not_found(arn) : activity.error());
      }
      const Result<json::Value> tags = change(activity->get("tags"));
      if (!tags) return answer(tags.error());
      const json::Value changed = json::ObjectBuilder(*activity).set("tags", *tags).build();
      save_document("activity", arn, changed,
                    [answer, answer_nothing](Status done) { answer_nothing(answer, done); });
    });
    return;
  }
  in_turn(
      arn, std::move(reply), [this, arn, change, actor = call.caller.actor, answer_nothing](AwsReply answer) {
        std::optional<runtime::StateMachineRecord> record = services_.runtime.find_state_machine(arn);
        if (!record) return answer(resource_not_found(arn));
        Result<json::Value> tags = change(record->tags);
        if (!tags) return answer(tags.error());
        record->tags = *std::move(tags);
        services_.runtime.put_state_machine(
            *std::move(record), actor, [answer, answer_nothing](Result<runtime::StateMachineRecord> done) {
              answer_nothing(answer, done ? Status() : Status(done.error()));
            });
      });
}

void StatesApi::tag_resource(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "resourceArn");
  const json::Value added = call.input.get("tags");
  change_tags(
      call, arn, [added, arn](json::Value tags) { return merged_tags(tags, added, arn); }, std::move(reply));
}

void StatesApi::untag_resource(const AwsCall& call, AwsReply reply) {
  const json::Value gone = call.input.get("tagKeys");
  change_tags(
      call, text_member(call.input, "resourceArn"),
      [gone](json::Value tags) -> Result<json::Value> {
        std::vector<json::Value> kept;
        for (const json::Value& tag : tags.items()) {
          const auto items = gone.items();
          if (std::find(items.begin(), items.end(), tag.get("key")) == items.end()) kept.push_back(tag);
        }
        return json::Value::array(std::move(kept));
      },
      std::move(reply));
}

void StatesApi::list_tags(const AwsCall& call, AwsReply reply) {
  const std::string arn = text_member(call.input, "resourceArn");
  const Result<StatesArn> parsed = parse_states_arn(arn, {"stateMachine", "activity"});
  if (!parsed) return reply(parsed.error());
  if (parsed->account != call.caller.account) {
    return reply(access_denied(call.caller, "states:ListTagsForResource", arn));
  }
  json::Value tags;
  if (parsed->kind == "activity") {
    const Result<json::Value> activity = load_activity(arn);
    if (!activity) {
      const bool missing = activity.error().code == "ActivityDoesNotExist";
      return reply(missing ? resource_not_found(arn) : activity.error());
    }
    tags = activity->get("tags");
  } else {
    const auto record = services_.runtime.find_state_machine(arn);
    if (!record) return reply(resource_not_found(arn));
    tags = record->tags;
  }
  reply(json::Value::object({{"tags", tags.is_array() ? tags : json::Value::array({})}}));
}

}  // namespace sortie::api
