// Retry and Catch: which errors, and what then.
#include "asl/build.h"

namespace sortie::asl {
namespace {

constexpr std::int64_t kDelaySecondsMax = 31'622'400;  // 366 days.

constexpr FieldSpec kRetrier[] = {
    {.name = "ErrorEquals", .kind = FieldKind::kArray, .required = true},
    {.name = "IntervalSeconds", .kind = FieldKind::kInteger, .min = 1, .max = kSecondsMax},
    {.name = "MaxAttempts", .kind = FieldKind::kInteger, .min = 0, .max = kSecondsMax},
    {.name = "BackoffRate", .kind = FieldKind::kNumber, .min = 1},
    {.name = "MaxDelaySeconds", .kind = FieldKind::kInteger, .min = 1, .max = kDelaySecondsMax},
    {.name = "JitterStrategy", .kind = FieldKind::kString},
    {.name = "Comment", .kind = FieldKind::kString},
};

constexpr FieldSpec kCatcher[] = {
    {.name = "ErrorEquals", .kind = FieldKind::kArray, .required = true},
    {.name = "Next", .kind = FieldKind::kString, .required = true},
    {.name = "ResultPath", .kind = FieldKind::kStringOrNull, .language = FieldLanguage::kJsonPath},
    {.name = "Assign", .kind = FieldKind::kObject},
    {.name = "Output", .language = FieldLanguage::kJsonata},
    {.name = "Comment", .kind = FieldKind::kString},
};

std::vector<std::string> compile_error_names(Diagnostics& diagnostics, const Fields& fields, bool is_last) {
  std::vector<std::string> names;
  const json::Value* list = fields.find("ErrorEquals");
  if (list == nullptr) return names;
  const Where where = fields.at("ErrorEquals");
  if (list->empty()) diagnostics.schema(where, "List must contain at least 1 item");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::Value& name = (*list)[i];
    const Where place = where.item(i);
    if (!name.is_string()) {
      diagnostics.schema(place, "Expected value of type String");
      continue;
    }
    const bool is_all = name.as_string() == "States.ALL";
    if (is_all && list->size() > 1) diagnostics.schema(place, "States.ALL must appear alone in ErrorEquals");
    if (is_all && !is_last) diagnostics.schema(place, "States.ALL must be in the last element of its list");
    names.push_back(name.to_std_string());
  }
  return names;
}

void compile_retrier(StateBuild& in, const json::Value& value, const Where& where, bool is_last) {
  const Fields fields(in.diagnostics(), value, where, {kRetrier}, in.state.query_language);
  Retrier out;
  out.error_equals = compile_error_names(in.diagnostics(), fields, is_last);
  out.interval_seconds = fields.integer("IntervalSeconds").value_or(out.interval_seconds);
  out.max_attempts = fields.integer("MaxAttempts").value_or(out.max_attempts);
  out.backoff_rate = fields.number("BackoffRate").value_or(out.backoff_rate);
  out.max_delay_seconds = fields.integer("MaxDelaySeconds");
  if (out.max_delay_seconds && *out.max_delay_seconds < out.interval_seconds) {
    in.diagnostics().schema(fields.at("MaxDelaySeconds"),
                            "MaxDelaySeconds must not be less than IntervalSeconds");
  }
  if (const auto jitter = fields.text("JitterStrategy")) {
    out.full_jitter = *jitter == "FULL";
    if (!out.full_jitter && *jitter != "NONE") {
      in.diagnostics().schema(fields.at("JitterStrategy"), "Value must be one of: [FULL, NONE]");
    }
  }
  in.state.retry.push_back(std::move(out));
}

void compile_catcher(StateBuild& in, const json::Value& value, const Where& where, bool is_last) {
  const Fields fields(in.diagnostics(), value, where, {kCatcher}, in.state.query_language);
  Catcher out;
  out.error_equals = compile_error_names(in.diagnostics(), fields, is_last);
  if (const json::Value* next = fields.find("Next")) {
    out.next = compile_target(in, *next, fields.at("Next"), "Next");
  }
  out.result_path = compile_result_path(in.diagnostics(), fields);
  out.assign = compile_assign(in.diagnostics(), fields, kStatesErrorOutput);
  out.output = compile_query(in.diagnostics(), fields, "Output", kStatesErrorOutput);
  in.state.catchers.push_back(std::move(out));
}

}  // namespace

void compile_retry(StateBuild& in) {
  const json::Value* list = in.fields.find("Retry");
  if (list == nullptr) return;
  const Where where = in.fields.at("Retry");
  for (std::size_t i = 0; i < list->size(); ++i) {
    compile_retrier(in, (*list)[i], where.item(i), i + 1 == list->size());
  }
}

void compile_catch(StateBuild& in) {
  const json::Value* list = in.fields.find("Catch");
  if (list == nullptr) return;
  const Where where = in.fields.at("Catch");
  for (std::size_t i = 0; i < list->size(); ++i) {
    compile_catcher(in, (*list)[i], where.item(i), i + 1 == list->size());
  }
}

}  // namespace sortie::asl
