// Functions on objects, and those on any value: $type, $exists, $boolean, $error, $assert, $eval.
#include "expr/jsonata/functions.h"

namespace sortie::jsonata {
namespace object_natives {

using Arguments = std::span<const Val>;

void collect_keys(Engine& engine, Val value, Obj* out) {
  engine.work(1);
  engine.check_stack();
  if (value.is_array()) {
    const Items items(value);
    for (std::size_t i = 0; i < items.size; ++i) collect_keys(engine, items[i], out);
  } else if (value.is_object()) {
    for (const Entry& entry : ordered_entries(value)) out->set(engine.arena(), entry.key, Val::null());
  }
}

Val keys(Engine& engine, Arguments a) {
  Obj* seen = engine.make_object();
  collect_keys(engine, argument(a, 0), seen);
  Arr* out = engine.make_sequence();
  const bool merged = argument(a, 0).is_array();
  if (merged) {
    for (const Entry& entry : ordered_entries(Val::of_object(seen)))
      out->push(engine.arena(), Val::of_text(entry.key));
  } else {
    for (std::uint32_t i = 0; i < seen->size; ++i)
      out->push(engine.arena(), Val::of_text(seen->entries[i].key));
  }
  return Val::of_array(out);
}

Val lookup(Engine& engine, Arguments a) { return engine.lookup(argument(a, 0), argument(a, 1).str()); }

Val spread(Engine& engine, Arguments a) {
  const Val value = argument(a, 0);
  if (value.is_array()) {
    const Items items(value);
    engine.check_stack();
    engine.work(items.size);
    Arr* out = engine.make_sequence();
    for (std::size_t i = 0; i < items.size; ++i) {
      const Val one = items[i];
      const Val parts = spread(engine, {&one, 1});
      if (!parts.is_array()) {
        if (parts.defined()) out->push(engine.arena(), parts);
        continue;
      }
      const Items list(parts);
      for (std::size_t k = 0; k < list.size; ++k) out->push(engine.arena(), list[k]);
    }
    return Val::of_array(out);
  }
  if (!value.is_object()) return value;
  Arr* out = engine.make_sequence();
  for (const Entry& entry : ordered_entries(value)) {
    Obj* one = engine.make_object();
    one->set(engine.arena(), entry.key, entry.value);
    out->push(engine.arena(), Val::of_object(one));
  }
  return Val::of_array(out);
}

Val merge(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  Obj* out = engine.make_object();
  for (std::size_t i = 0; i < items.size; ++i) {
    for (const Entry& entry : ordered_entries(items[i])) out->set(engine.arena(), entry.key, entry.value);
  }
  return Val::of_object(out);
}

Val each(Engine& engine, Arguments a) {
  Arr* out = engine.make_sequence();
  for (const Entry& entry : ordered_entries(argument(a, 0))) {
    const Val value = engine.apply_hof(argument(a, 1), entry.value, Val::of_text(entry.key), a[0]);
    if (value.defined()) out->push(engine.arena(), value);
  }
  return Val::of_array(out);
}

Val sift(Engine& engine, Arguments a) {
  Obj* out = engine.make_object();
  for (const Entry& entry : ordered_entries(argument(a, 0))) {
    if (engine.truthy(engine.apply_hof(argument(a, 1), entry.value, Val::of_text(entry.key), a[0])))
      out->set(engine.arena(), entry.key, entry.value);
  }
  return out->size == 0 ? Val() : Val::of_object(out);
}

Val exists(Engine&, Arguments a) { return Val::of_bool(argument(a, 0).defined()); }

Val boolean(Engine& engine, Arguments a) {
  return argument(a, 0).undefined() ? Val() : Val::of_bool(engine.boolean_of(a[0]));
}

Val negation(Engine& engine, Arguments a) {
  return argument(a, 0).undefined() ? Val() : Val::of_bool(!engine.boolean_of(a[0]));
}

Val type(Engine&, Arguments a) {
  switch (letter_of(argument(a, 0))) {
    case 'l':
      return Val::of_text("null");
    case 'n':
      return Val::of_text("number");
    case 's':
      return Val::of_text("string");
    case 'b':
      return Val::of_text("boolean");
    case 'a':
      return Val::of_text("array");
    case 'f':
      return Val::of_text("function");
    case 'o':
      return Val::of_text("object");
    default:
      return {};
  }
}

Val error(Engine&, Arguments a) {
  const Val message = argument(a, 0);
  throw Failure{.code = "D3137",
                .value = message.is_string() ? std::string(message.str()) : "$error() function evaluated"};
}

Val assertion(Engine& engine, Arguments a) {
  if (engine.truthy(argument(a, 0))) return {};
  const Val message = argument(a, 1);
  throw Failure{.code = "D3141",
                .value = message.is_string() ? std::string(message.str()) : "$assert() statement failed"};
}

Val clone_value(Engine& engine, Arguments a) {
  return argument(a, 0).undefined() ? Val() : clone(engine, a[0]);
}

Val eval(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  return engine.evaluate_text(a[0].str(), argument(a, 1).defined() ? a[1] : engine.context());
}

}  // namespace object_natives

std::span<const Native> object_functions() {
  using namespace object_natives;
  static constexpr Native kTable[] = {
      {"keys", "<x-:a<s>>", 1, keys},         {"lookup", "<x-s:x>", 2, lookup},
      {"spread", "<x-:a<o>>", 1, spread},     {"merge", "<a<o>:o>", 1, merge},
      {"each", "<o-f:a>", 2, each},           {"sift", "<o-f?:o>", 2, sift},
      {"exists", "<x:b>", 1, exists},         {"boolean", "<x-:b>", 1, boolean},
      {"not", "<x-:b>", 1, negation},         {"type", "<x:s>", 1, type},
      {"error", "<s?:x>", 1, error},          {"assert", "<bs?:x>", 2, assertion},
      {"clone", "<(oa)-:o>", 1, clone_value}, {"eval", "<sx?:x>", 2, eval},
  };
  return kTable;
}

}  // namespace sortie::jsonata
