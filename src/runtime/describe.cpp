#include "runtime/describe.h"

#include "base/text.h"
#include "engine/map_run.h"
#include "json/text.h"
#include "runtime/live.h"

namespace sortie::runtime {

namespace {

// EXPRESS children are started anew, which is always possible; their names say what they are.
bool is_redrivable_by_map_run(const store::ExecutionRow& row, const engine::ExecutionImage& image,
                              Timestamp now) {
  const bool failed =
      row.status != store::ExecutionStatus::kRunning && row.status != store::ExecutionStatus::kSucceeded;
  const bool is_express = row.arn.find(":express:") != std::string::npos;
  return failed && (is_express || !redrive_obstacle(row, image, now, RedrivenBy::kMapRun));
}

}  // namespace

Result<ExecutionDescription> describe_row(store::Store& store, const store::ExecutionRow& row, Timestamp now,
                                          bool with_definition) {
  SORTIE_TRY(engine::ExecutionImage image, engine::decode_execution(row.image));
  ExecutionDescription out;
  out.arn = row.arn;
  out.name = row.name;
  out.no = row.no;
  out.state_machine_arn = row.state_machine_arn;
  out.role_arn = image.role_arn;
  out.status = row.status;
  out.started_at = row.started_at;
  out.stopped_at = row.stopped_at;
  out.input_text = image.input_text;
  out.output_text = image.output_text;
  out.error = image.error;
  out.cause = image.cause;
  Extra extra = decode_extra(image.extra);
  out.actor = std::move(extra.actor);
  out.trace_header = std::move(extra.trace_header);
  out.version_arn = std::move(extra.version_arn);
  out.alias_arn = std::move(extra.alias_arn);
  out.redrive_count = image.redrive_count;
  out.redriven_at = image.redriven_at;
  out.redrive_obstacle = redrive_obstacle(row, image, now);
  if (extra.map_child) {
    out.map_run_arn = out.state_machine_arn;
    out.state_machine_arn = engine::map_child_machine_arn(out.map_run_arn);
    out.redrivable_by_map_run = is_redrivable_by_map_run(row, image, now);
  }
  if (!with_definition) return out;
  SORTIE_TRY(const std::optional<std::string> text, store.find_document("definition", image.definition_key));
  if (text) out.definition = text->substr(text->find('\n') + 1);
  return out;
}

Result<ExecutionSummary> summarize_row(store::ExecutionRow row) {
  SORTIE_TRY(const engine::ExecutionImage image, engine::decode_execution(row.image));
  row.image.clear();
  Extra extra = decode_extra(image.extra);
  std::string map_run_arn;
  if (extra.map_child) {
    map_run_arn = row.state_machine_arn;
    row.state_machine_arn = engine::map_child_machine_arn(map_run_arn);
  }
  return ExecutionSummary{std::move(row),         std::move(extra.version_arn), std::move(extra.alias_arn),
                          std::move(map_run_arn), image.redrive_count,          image.redriven_at};
}

store::LogLine audit_line(Timestamp now, const Actor& actor, std::string action, std::string subject,
                          const std::string& definition, std::string_view reason) {
  json::ObjectBuilder details;
  if (!definition.empty()) details.append("definition", definition);
  const json::Value body = json::Value::object({{"time", to_iso8601(now)},
                                                {"actor", to_text(actor)},
                                                {"on_behalf_of", actor.on_behalf_of},
                                                {"channel", actor.channel},
                                                {"action", action},
                                                {"subject", subject},
                                                {"outcome", "done"},
                                                {"reason", std::string(truncate_utf8(reason, 8 * 1024))},
                                                {"details", details.build()}});
  return {"audit", now, to_text(actor), std::move(action), std::move(subject), json::to_text(body)};
}

}  // namespace sortie::runtime
