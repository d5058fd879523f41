#include "cli/trace_exporter.h"

#include "base/hash.h"
#include "cli/installation.h"
#include "cli/log.h"
#include "json/text.h"

namespace sortie::cli {

namespace {

json::Value otlp_attribute(std::string_view key, std::string_view value) {
  return json::Value::object({{"key", key}, {"value", json::Value::object({{"stringValue", value}})}});
}

json::Value otlp_span(const Span& span) {
  constexpr int kInternal = 1, kOk = 1, kError = 2;
  const auto nanoseconds = [](Timestamp at) { return std::to_string(at.ms) + "000000"; };
  std::vector<json::Value> attributes;
  for (const auto& [key, value] : span.attributes) attributes.push_back(otlp_attribute(key, value));
  json::ObjectBuilder out;
  out.append("traceId", span.trace_id);
  out.append("spanId", span.span_id);
  if (!span.parent_id.empty()) out.append("parentSpanId", span.parent_id);
  out.append("name", span.name);
  out.append("kind", kInternal);
  out.append("startTimeUnixNano", nanoseconds(span.started_at));
  out.append("endTimeUnixNano", nanoseconds(span.ended_at));
  out.append("attributes", json::Value::array(std::move(attributes)));
  if (!span.linked_trace_id.empty()) {
    out.append("links", json::Value::array({json::Value::object(
                            {{"traceId", span.linked_trace_id}, {"spanId", span.linked_span_id}})}));
  }
  out.append("status", span.error.empty() ? json::Value::object({{"code", kOk}})
                                          : json::Value::object({{"code", kError}, {"message", span.error}}));
  return out.build();
}

}  // namespace

TraceIds trace_ids_of(std::string_view execution_arn, std::int64_t redrive_count) {
  std::string life(execution_arn);
  if (redrive_count > 0) life += "#" + std::to_string(redrive_count);  // No ARN has one.
  const std::string digest = sha256_hex(life);
  return {digest.substr(0, 32), digest.substr(32, 16)};
}
std::string span_id_of(std::string_view idempotency_key) { return sha256_hex(idempotency_key).substr(0, 16); }
std::string trace_parent_of(const TraceIds& ids, std::string_view idempotency_key) {
  return "00-" + ids.trace_id + "-" + span_id_of(idempotency_key) + "-01";
}

json::Value to_otlp(const std::vector<Span>& spans, std::string_view version) {
  std::vector<json::Value> list;
  for (const Span& span : spans) list.push_back(otlp_span(span));
  const json::Value resource =
      json::Value::object({{"attributes", json::Value::array({otlp_attribute("service.name", "sortie"),
                                                              otlp_attribute("service.version", version)})}});
  const json::Value scope = json::Value::object({{"name", "sortie"}, {"version", version}});
  const json::Value scope_spans =
      json::Value::object({{"scope", scope}, {"spans", json::Value::array(std::move(list))}});
  return json::Value::object(
      {{"resourceSpans",
        json::Value::array({json::Value::object(
            {{"resource", resource}, {"scopeSpans", json::Value::array({scope_spans})}})})}});
}

TraceExporter::TraceExporter(io::EventLoop& loop, std::string endpoint, std::string token)
    : loop_(loop), url_(std::move(endpoint)), token_(std::move(token)), client_(loop) {
  while (url_.ends_with('/')) url_.pop_back();
  url_ += "/v1/traces";
}

TraceExporter::~TraceExporter() { loop_.cancel(timer_); }

void TraceExporter::add(Span span) {
  if (waiting_.size() >= kSpansMax) {
    waiting_.pop_front();
    ++dropped_;
  }
  waiting_.push_back(std::move(span));
  arm();
}

void TraceExporter::arm() {
  if (timer_ != 0 || is_sending_ || waiting_.empty()) return;
  timer_ = loop_.call_at(loop_.now().plus_ms(kExportEveryMs), [this] {
    timer_ = 0;
    send();
  });
}

void TraceExporter::send() {
  std::vector<Span> spans;
  while (!waiting_.empty() && spans.size() < kSpansPerExport) {
    spans.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (spans.empty()) return;
  io::HttpClientRequest request;
  request.method = "POST";
  request.url = url_;
  request.headers.add("Content-Type", "application/json");
  if (!token_.empty()) request.headers.add("Authorization", "Bearer " + token_);
  request.body = json::to_text(to_otlp(spans, kVersion));
  request.timeout_ms = 10'000;
  request.response_bytes_max = 64 * 1024;
  is_sending_ = true;
  client_.fetch(std::move(request), [this, count = spans.size()](Result<io::HttpResponse> answer) {
    is_sending_ = false;
    const bool ok = answer.ok() && answer->status / 100 == 2;
    (ok ? exported_ : dropped_) += count;
    if (!ok && !has_complained_) {
      const std::string why =
          answer.ok() ? "it answered with status " + std::to_string(answer->status) : answer.error().message;
      log(LogLevel::kWarning, "traces do not reach " + url_,
          Error{"TracesNotSent", why, "traces.endpoint in sortie.yaml",
                "spans are dropped until the collector answers"});
    }
    has_complained_ = !ok;
    arm();
  });
}

}  // namespace sortie::cli
