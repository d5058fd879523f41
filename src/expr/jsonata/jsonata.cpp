#include "expr/jsonata/jsonata.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "expr/jsonata/engine.h"
#include "expr/jsonata/parser.h"
#include "expr/jsonata/utf.h"
#include "json/text.h"

namespace sortie::jsonata {
namespace results {

Error error_of(const Failure& failure, std::string_view text) {
  Error error{failure.code, message_of(failure)};
  if (failure.position != kNoPosition)
    error.place = "offset " + std::to_string(utf16_length(text.substr(0, failure.position)));
  return error;
}

// U+FFFD for halves of surrogate pairs: nothing outside may see text that is not UTF-8.
json::Value text_value(std::string_view text) {
  if (!has_surrogate(text)) return json::Value(text);
  std::string valid;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const std::uint32_t c = next_code_point(text, at);
    valid += c >= 0xD800 && c < 0xE000 ? "\uFFFD" : text.substr(start, at - start);
  }
  return json::Value(to_valid_utf8(valid));
}

json::Value number_value(double number) {
  if (std::abs(number) <= 9007199254740992.0) {
    const auto integer = static_cast<std::int64_t>(number);
    if (static_cast<double>(integer) == number) return json::Value(integer);
  }
  return json::Value(number);
}

// Copies a result out of the arena; input documents are shared, not copied.
struct Copier {
  Engine& engine;  // Values may share items in the arena: a copy can be larger than what was made.
  Outcome::Kind kind = Outcome::Kind::kValue;

  double bytes = 0;

  json::Value text(std::string_view bytes_of_text) const {
    return engine.inputs().keep_halves ? json::Value(bytes_of_text) : text_value(bytes_of_text);
  }

  json::Value copy(Val value, std::uint32_t depth = 0) {
    engine.work(1);
    bytes += 16 + (value.is_string() ? value.size : 0);
    engine.arena().check(bytes);
    if (depth > kNestingMax) throw Failure{.code = "D1011", .message = "The result is nested too deeply"};
    switch (value.tag) {
      case Tag::kBool:
        return json::Value(value.boolean);
      case Tag::kNumber:
        if (std::isfinite(value.number)) return number_value(value.number);
        kind = Outcome::Kind::kNonFinite;
        return {};
      case Tag::kString:
        return value.whole ? json::Value::share_text(value.str()) : text(value.str());
      case Tag::kJsonArray:
      case Tag::kJsonObject:
        return *value.json;
      case Tag::kArray: {
        const Arr& array = *value.array;
        return json::Value::array_of(array.size, [&](std::size_t i) { return copy(array.at(i), depth + 1); });
      }
      case Tag::kObject: {
        const Obj& object = *value.object;
        const Entry* next = object.entries;
        const auto defined =
            std::count_if(next, next + object.size, [](const Entry& entry) { return entry.value.defined(); });
        return json::Value::object_of(static_cast<std::size_t>(defined), [&](std::size_t) {
          while (next->value.undefined()) ++next;
          const Entry& entry = *next++;
          return json::Member{text(entry.key), copy(entry.value, depth + 1)};
        });
      }
      case Tag::kFunction:
        if (kind == Outcome::Kind::kValue) kind = Outcome::Kind::kFunction;
        return {};
      case Tag::kTuple:
        return copy(value.tuple->context, depth + 1);
      default:
        return {};
    }
  }
};

}  // namespace results

Result<Program> Program::compile(std::string_view text, Mode mode) {
  if (text.size() > kTextBytesMax)
    return Error{"D2015", "An expression has at most " + std::to_string(kTextBytesMax) + " bytes"};
  if (!is_valid_utf8(text)) return Error{"S0204", "The expression is not valid UTF-8"};
  auto pool = std::make_shared<NodePool>();
  pool->text = text;
  pool->mode = mode;
  try {
    pool->root = resolve(*pool, parse_expression(*pool, pool->text, mode == Mode::kStandard));
  } catch (const Failure& failure) {
    return results::error_of(failure, text);
  }
  Program program;
  program.pool_ = std::move(pool);
  return program;
}

const std::string& Program::text() const { return pool_->text; }

Result<Outcome> Program::evaluate(const Inputs& inputs) const {
  try {
    Engine engine(*pool_, inputs);
    Val value = engine.run();
    if (value.tag == Tag::kArray && value.array->outer) value = value.array->at(0);
    if (value.undefined()) return Outcome{};
    results::Copier copier{engine};
    Outcome outcome{Outcome::Kind::kValue, copier.copy(value)};
    outcome.kind = copier.kind;
    if (outcome.kind != Outcome::Kind::kValue) outcome.value = {};
    return outcome;
  } catch (const Failure& failure) {
    return results::error_of(failure, pool_->text);
  } catch (const std::bad_alloc&) {
    return Error{"D2015", "The evaluation needs more memory than there is"};
  }
}

std::string to_text_with_halves(const json::Value& value) {
  const std::string raw = json::to_text(value);
  if (!has_surrogate(raw)) return raw;
  std::string out;
  for (std::size_t at = 0; at < raw.size();) {
    const std::size_t start = at;
    const std::uint32_t c = next_code_point(raw, at);
    if (c >= 0xD800 && c < 0xE000) {
      append_half_escape(out, c);
    } else {
      out.append(raw, start, at - start);
    }
  }
  return out;
}

std::vector<std::string_view> Program::variables() const {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < pool_->names.size(); ++i) {
    const std::string_view name = pool_->names[static_cast<std::int32_t>(i)].text;
    if (!name.empty() && name != "$" && name[0] != '!') names.push_back(name);
  }
  return names;
}

}  // namespace sortie::jsonata
