// $now, $millis, $fromMillis, $toMillis: all from Inputs::now, nothing reads a clock.
#include "expr/jsonata/functions.h"
#include "expr/jsonata/pictures.h"

namespace sortie::jsonata {
namespace time_natives {

using Arguments = std::span<const Val>;

std::optional<std::string_view> text_of(Arguments a, std::size_t index) {
  const Val value = argument(a, index);
  return value.is_string() ? std::optional(value.str()) : std::nullopt;
}

double now_ms(Engine& engine) { return static_cast<double>(engine.inputs().now.ms); }

Val now(Engine& engine, Arguments a) {
  return engine.make_text(
      format_date(now_ms(engine), text_of(a, 0), text_of(a, 1), engine.mode() == Mode::kAws));
}

Val millis(Engine& engine, Arguments) { return Val::of_number(now_ms(engine)); }

Val from_millis(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  return engine.make_text(
      format_date(a[0].number, text_of(a, 1), text_of(a, 2), engine.mode() == Mode::kAws));
}

Val to_millis(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const auto picture = text_of(a, 1);
  const auto ms = picture ? parse_date(a[0].str(), *picture, now_ms(engine), engine.mode() == Mode::kAws)
                          : parse_iso_date(a[0].str());
  return ms ? Val::of_number(*ms) : Val();
}

}  // namespace time_natives

std::span<const Native> time_functions() {
  using namespace time_natives;
  static constexpr Native kTable[] = {
      {"now", "<s?s?:s>", 2, now},
      {"millis", "<:n>", 0, millis},
      {"fromMillis", "<n-s?s?:s>", 3, from_millis},
      {"toMillis", "<s-s?:n>", 2, to_millis},
  };
  return kTable;
}

}  // namespace sortie::jsonata
