// What Step Functions adds: $partition, $range, $hash, $random with a seed (where there is no input document,
// as in states), $uuid, $parse.
#include <cmath>

#include "base/hash.h"
#include "base/text.h"
#include "expr/jsonata/functions.h"
#include "expr/jsonata/utf.h"
#include "json/text.h"

namespace sortie::jsonata {
namespace aws_natives {

using Arguments = std::span<const Val>;

Failure refuse(std::string message) { return {.code = "D3061", .message = std::move(message)}; }

Val partition(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined() || argument(a, 1).undefined()) return {};
  const double size = std::floor(a[1].number);
  if (!(size >= 1)) throw refuse("The second argument of $partition must be a positive integer");
  const Items items(a[0]);
  Arr* out = engine.make_array();
  Arr* chunk = nullptr;
  for (std::size_t i = 0; i < items.size; ++i) {
    if (!chunk || chunk->size >= size) {
      chunk = engine.make_array();
      out->push(engine.arena(), Val::of_array(chunk));
    }
    chunk->push(engine.arena(), items[i]);
  }
  return Val::of_array(out);
}

Val range(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined() || argument(a, 1).undefined()) return {};
  const double start = a[0].number;
  const double end = a[1].number;
  const double step = argument(a, 2).undefined() ? 1 : a[2].number;
  if (step == 0) throw refuse("The step of $range must not be zero");
  const double count = std::floor((end - start) / step) + 1;
  if (count > 1e7) throw Failure{.code = "D2014", .value = describe(Val::of_number(count))};
  Arr* out = engine.make_sequence();
  for (double i = 0; i < count; ++i) out->push(engine.arena(), Val::of_number(start + i * step));
  return Val::of_array(out);
}

Val hash(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined() || argument(a, 1).undefined()) return {};
  const std::string_view name = a[1].str();
  constexpr std::pair<std::string_view, Digest> kDigests[] = {{"MD5", Digest::kMd5},
                                                              {"SHA-1", Digest::kSha1},
                                                              {"SHA-256", Digest::kSha256},
                                                              {"SHA-384", Digest::kSha384},
                                                              {"SHA-512", Digest::kSha512}};
  for (const auto& [known, algorithm] : kDigests) {
    if (known == name) return engine.make_text(to_hex(digest(algorithm, string_of(engine, a[0]))));
  }
  throw refuse("$hash knows MD5, SHA-1, SHA-256, SHA-384 and SHA-512, not " + describe(a[1]));
}

Val random(Engine& engine, Arguments a) {
  const auto unit = [](std::uint64_t bits) {
    return Val::of_number(static_cast<double>(bits >> 11) * 0x1p-53);
  };
  if (argument(a, 0).is_number()) {
    // The seed belongs to states, which have no input document: over one, this is JSONata's own $random.
    if (engine.inputs().input) throw Failure{.code = "T0410", .value = describe(a[0]), .index = 1};
    SeededRandom seeded(static_cast<std::uint64_t>(std::llround(std::fmod(a[0].number, 9e15))));
    return unit(seeded.next());
  }
  if (!engine.inputs().random) throw refuse("$random has no source of randomness here");
  return unit(engine.inputs().random->next());
}

Val uuid(Engine& engine, Arguments) {
  if (!engine.inputs().random) throw refuse("$uuid has no source of randomness here");
  return engine.make_text(make_uuid(*engine.inputs().random));
}

Val to_val(Engine& engine, const json::Value& value) {
  if (value.is_array()) {
    Arr* out = engine.make_array(value.size());
    for (const json::Value& item : value.items()) out->push(engine.arena(), to_val(engine, item));
    return Val::of_array(out);
  }
  if (value.is_object()) {
    Obj* out = engine.make_object();
    for (const json::Member& m : value.members())
      out->set(engine.arena(), engine.make_text(m.key.as_string()).str(), to_val(engine, m.value));
    return Val::of_object(out);
  }
  return value.is_string() ? engine.make_text(value.as_string()) : Val::of_json(value);
}

Val parse(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const auto value = json::parse(a[0].str());
  if (!value) throw refuse("$parse was given text that is not JSON: " + value.error().message);
  return to_val(engine, *value);
}

}  // namespace aws_natives

std::span<const Native> aws_functions() {
  using namespace aws_natives;
  static constexpr Native kTable[] = {
      {"partition", "<a-n:a>", 2, partition},
      {"range", "<nnn?:a>", 3, aws_natives::range},
      {"hash", "<x-s:s>", 2, hash},
      {"random", "<n?:n>", 1, aws_natives::random},
      {"uuid", "<:s>", 0, uuid},
      {"parse", "<s-:x>", 1, parse},
  };
  return kTable;
}

}  // namespace sortie::jsonata
