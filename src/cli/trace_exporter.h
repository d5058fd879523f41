#pragma once
// TraceExporter sends what ran to an OpenTelemetry collector: one trace for each execution, a span for each
// attempt of a Task, OTLP over HTTP with JSON bodies (opentelemetry-proto, `ExportTraceServiceRequest`). A
// redrive is a trace of its own, whose root links to the root of the life before it.
//
// A span leaves when it has ended, so a run that waits for days holds nothing open here. Trace and span ids
// are made of the execution's ARN and the attempt's idempotency key: the same attempt has the same span after
// a restart, and whoever knows the ARN finds the trace. Payloads are never in a span.
//
// Telemetry must not harm what it watches: at most kSpansMax spans wait, what is beyond is dropped and
// counted, and a collector that does not answer is told of once and tried again with the next spans.
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/http_client.h"
#include "json/value.h"

namespace sortie::cli {

struct Span {
  std::string trace_id;   // 32 hexadecimal digits.
  std::string span_id;    // 16 hexadecimal digits.
  std::string parent_id;  // "" for the root.
  std::string name;
  Timestamp started_at, ended_at;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string error;  // "" where it went well.
  std::string linked_trace_id{}, linked_span_id{};
};

// Of an execution's ARN and how often it had been redriven.
struct TraceIds {
  std::string trace_id;
  std::string root_span_id;
};
TraceIds trace_ids_of(std::string_view execution_arn, std::int64_t redrive_count);
std::string span_id_of(std::string_view idempotency_key);
// The W3C header `traceparent` for what an attempt asks of others, its span the parent.
std::string trace_parent_of(const TraceIds& ids, std::string_view idempotency_key);
// The body of one export.
json::Value to_otlp(const std::vector<Span>& spans, std::string_view version);

class TraceExporter {
 public:
  static constexpr std::size_t kSpansMax = 4096;
  static constexpr std::size_t kSpansPerExport = 512;
  static constexpr std::int64_t kExportEveryMs = 2'000;

  // `endpoint` is the collector's base URL ("http://127.0.0.1:4318"); `token` a bearer token or "".
  TraceExporter(io::EventLoop& loop, std::string endpoint, std::string token);
  ~TraceExporter();

  void add(Span span);
  std::uint64_t exported() const { return exported_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  void arm();
  void send();

  io::EventLoop& loop_;
  std::string url_, token_;
  io::HttpClient client_;
  std::deque<Span> waiting_;
  Loop::TimerId timer_ = 0;
  bool is_sending_ = false;
  bool has_complained_ = false;
  std::uint64_t exported_ = 0, dropped_ = 0;
};

}  // namespace sortie::cli
