#include "integrations/s3_objects.h"

#include "base/text.h"

namespace sortie::integrations {
namespace s3_objects {

constexpr std::int64_t kPauseMs = 500;

json::Value integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }

bool flag(const json::Value& answer, std::string_view name) {
  const json::Value& value = answer.get(name);
  return value.is_bool() && value.as_bool();
}

std::string text(const json::Value& answer, std::string_view name) {
  const json::Value& value = answer.get(name);
  return value.is_string() ? value.to_std_string() : std::string();
}

}  // namespace s3_objects

S3Objects::S3Objects(Loop& loop, SdkPool& pool, AwsOptions options)
    : loop_(loop), pool_(pool), options_(std::move(options)) {}

void S3Objects::read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) {
  json::ObjectBuilder in;
  in.append("parameters", request.parameters).append("offset", s3_objects::integer(request.offset));
  in.append("bytes", s3_objects::integer(request.bytes)).append("gunzip", request.gunzip);
  if (!request.etag.empty()) in.append("etag", request.etag);
  call(request.caller, "readObject", in.build(), [done = std::move(done)](const Result<json::Value>& answer) {
    if (!answer) return done(answer.error());
    Result<std::string> bytes = base64_decode(s3_objects::text(*answer, "body"));
    if (!bytes) return done(bytes.error());
    done(runtime::ObjectPiece{*std::move(bytes), s3_objects::flag(*answer, "at_end"),
                              s3_objects::text(*answer, "etag")});
  });
}

void S3Objects::list(runtime::ListObjects request, std::function<void(Result<runtime::ObjectPage>)> done) {
  const json::Value in =
      json::Value::object({{"parameters", request.parameters}, {"after_key", request.after_key}});
  call(request.caller, "listObjects", in, [done = std::move(done)](const Result<json::Value>& answer) {
    if (!answer) return done(answer.error());
    runtime::ObjectPage page;
    for (const json::Value& item : answer->get("items").items()) page.items.push_back(item);
    page.last_key = s3_objects::text(*answer, "last_key");
    page.at_end = s3_objects::flag(*answer, "at_end");
    done(std::move(page));
  });
}

void S3Objects::write(runtime::WriteObject request, std::function<void(Status)> done) {
  const json::Value in = json::Value::object(
      {{"bucket", request.bucket}, {"key", request.key}, {"body", to_valid_utf8(request.body)}});
  call(request.caller, "writeObject", in, [done = std::move(done)](const Result<json::Value>& answer) {
    if (answer) return done({});
    done(answer.error());
  });
}

void S3Objects::call(const runtime::ObjectCaller& caller, std::string action, json::Value parameters,
                     std::function<void(Result<json::Value>)> done) {
  SdkCall call;
  call.service = "s3";
  call.action = std::move(action);
  call.is_object_call = true;
  call.parameters = std::move(parameters);
  call.region = options_.region;
  call.endpoint_url = options_.endpoint_url;
  call.credentials = options_.credentials;
  if (options_.assume_machine_role) {
    call.role_arn = caller.role_arn;
    call.role_session_name = caller.execution_name;
  }
  attempt(std::move(call), 1, std::move(done));
}

void S3Objects::attempt(SdkCall call, int tries, std::function<void(Result<json::Value>)> done) {
  pool_.call(call, [this, call, tries, done = std::move(done),
                    alive = std::weak_ptr<int>(alive_)](const SdkAnswer& answer) {
    if (alive.expired()) return;
    if (answer.ok()) return done(answer.result);
    if (!answer.retryable || tries >= kTriesMax) return done(Error{answer.error, answer.cause, "", ""});
    const Timestamp due = loop_.now().plus_ms(s3_objects::kPauseMs << tries);
    loop_.call_at(due, [this, call, tries, done, alive] {
      if (!alive.expired()) attempt(call, tries + 1, done);
    });
  });
}

}  // namespace sortie::integrations
