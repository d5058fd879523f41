// $string, $clone and how values look in messages.
#include <cmath>

#include "expr/jsonata/engine.h"
#include "expr/jsonata/numbers.h"
#include "expr/jsonata/utf.h"
#include "json/text.h"

namespace sortie::jsonata {
namespace texts {

constexpr int kDepthMax = 1000;

void append_text(std::string& out, std::string_view text) {
  if (!has_surrogate(text)) return json::append_quoted(out, text);
  out += '"';
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t start = at;
    const std::uint32_t c = next_code_point(text, at);
    if (c >= 0xD800 && c < 0xE000) {
      append_half_escape(out, c);
    } else {
      std::string quoted;
      json::append_quoted(quoted, text.substr(start, at - start));
      out += quoted.substr(1, quoted.size() - 2);
    }
  }
  out += '"';
}

struct Writer {
  Engine* engine;  // nullptr: for a message, nothing is refused.
  std::string out{};
  bool pretty = false;

  void line(int depth) {
    if (!pretty) return;
    out += '\n';
    out.append(static_cast<std::size_t>(depth) * 2, ' ');
  }

  void number(double value) {
    if (!std::isfinite(value)) {
      if (!engine && !std::isnan(value)) {
        out += number_to_text(value);
        return;
      }
      if (!std::isnan(value)) throw Failure{.code = "D1001", .value = number_to_text(value)};
      out += "null";
      return;
    }
    const bool exact = engine && engine->mode() == Mode::kStandard && value == std::floor(value);
    out += number_to_text(exact ? value : to_precision_15(value));
  }

  void write(Val value, int depth) {
    if (depth > kDepthMax) throw Failure{.code = "D1011", .message = "The value is nested too deeply"};
    if (engine) {
      engine->work(1);
      if ((out.size() & ~std::size_t{0xFFFF}) > checked) {
        checked = out.size();
        engine->arena().check(static_cast<double>(out.size()));
      }
    }
    if (value.is_string()) {
      append_text(out, value.str());
    } else if (value.is_number()) {
      number(value.number);
    } else if (value.is_bool()) {
      out += value.boolean ? "true" : "false";
    } else if (value.is_function()) {
      out += "\"\"";
    } else if (value.is_array()) {
      array(value, depth);
    } else if (value.is_object()) {
      object(value, depth);
    } else {
      out += "null";
    }
  }

  void array(Val value, int depth) {
    const Items items(value);
    out += '[';
    for (std::size_t i = 0; i < items.size; ++i) {
      if (i > 0) out += ',';
      line(depth + 1);
      write(items[i], depth + 1);
    }
    if (items.size > 0) line(depth);
    out += ']';
  }

  void object(Val value, int depth) {
    out += '{';
    bool any = false;
    for (const Entry& entry : ordered_entries(value)) {
      if (entry.value.undefined()) continue;
      if (any) out += ',';
      any = true;
      line(depth + 1);
      append_text(out, entry.key);
      out += pretty ? ": " : ":";
      write(entry.value, depth + 1);
    }
    if (any) line(depth);
    out += '}';
  }

  std::size_t checked = 0;
};

}  // namespace texts

std::string string_of(Engine& engine, Val value, bool pretty) {
  if (value.is_string()) return std::string(value.str());
  if (value.is_function()) return {};
  if (value.is_number() && !std::isfinite(value.number))
    throw Failure{.code = "D3001", .value = describe(value)};
  if (value.tag == Tag::kArray && value.array->outer) value = value.array->at(0);
  texts::Writer writer{.engine = &engine, .pretty = pretty};
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string describe(Val value) {
  constexpr std::size_t kBytesMax = 200;
  if (value.undefined()) return "undefined";
  if (value.is_array() && Items(value).size > 50) return "an array";
  if (value.is_object() && member_count(value) > 50) return "an object";
  if (value.is_function()) return "a function";
  if (value.is_string() && value.size > kBytesMax) return "a long string";
  try {
    texts::Writer writer{.engine = nullptr};
    writer.write(value, 0);
    return writer.out.size() > kBytesMax ? (value.is_array() ? "an array" : "an object") : writer.out;
  } catch (const Failure&) {
    return "a deeply nested value";
  }
}

namespace texts {

// The reference clones by way of $string, which rounds.
Val clone_number(Engine& engine, double number) {
  if (std::isnan(number)) return Val::null();
  if (std::isinf(number)) throw Failure{.code = "D1001", .value = number_to_text(number)};
  const bool exact = engine.mode() == Mode::kStandard && number == std::floor(number);
  return Val::of_number(exact ? number : to_precision_15(number));
}

Val clone_at(Engine& engine, Val value, int depth) {
  if (depth > kDepthMax) throw Failure{.code = "D1011", .message = "The value is nested too deeply"};
  engine.work(1);
  if (value.is_array()) {
    const Items items(value);
    Arr* out = engine.make_array(items.size);
    for (std::size_t i = 0; i < items.size; ++i) {
      const Val item = clone_at(engine, items[i], depth + 1);
      out->push(engine.arena(), item.undefined() || item.is_function() ? Val::of_text("") : item);
    }
    return Val::of_array(out);
  }
  if (value.is_object()) {
    Obj* out = engine.make_object();
    for (const Entry& entry : ordered_entries(value))
      if (entry.value.defined())
        out->set(engine.arena(), entry.key, clone_at(engine, entry.value, depth + 1));
    return Val::of_object(out);
  }
  if (value.is_number()) return clone_number(engine, value.number);
  return value.is_function() ? Val::of_text("") : value;
}

}  // namespace texts

Val clone(Engine& engine, Val value) {
  if (value.tag == Tag::kArray && value.array->outer) value = value.array->at(0);
  return texts::clone_at(engine, value, 0);
}

}  // namespace sortie::jsonata
