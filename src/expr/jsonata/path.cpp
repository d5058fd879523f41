// Paths: steps, filters, tuple streams, sorting, grouping.
#include <algorithm>
#include <cmath>

#include "expr/jsonata/engine.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {

// Follows steps that are bare names (the first may be a variable) from one value to one value: most paths are
// nothing else. Says how many steps it took; it stops before the first step that needs more than that, and
// behind one that gives an array. The result is undefined where the path ends in nothing.
Val Engine::eval_names(const Node& node, Val input, Frame* env, std::size_t& steps) {
  Val value = input;
  for (steps = 0; steps < node.items.size(); ++steps) {
    const Node& step = *node.items[steps];
    if (step.decorated || step.tuple || step.has_stages) return value;
    if (step.type == NodeType::kName) {
      if (value.is_array()) return value;
      value = settle(named_member(step, value), false);
    } else if (step.type == NodeType::kVariable && steps == 0) {
      value = eval(step, value, env);
    } else {
      return value;
    }
    if (value.undefined()) {
      steps = node.items.size();
      return value;
    }
  }
  return value;
}

Val Engine::eval_path(const Node& node, Val input, Frame* env) {
  std::size_t first = 0;
  Val result;
  Val sequence = input;
  if (!input.is_array() || node.items[0]->type == NodeType::kVariable) {
    Val value = eval_names(node, input, env, first);
    const bool whole = first == node.items.size();
    // Sequences, arrays that are not flattened, and what is kept as an array go the general way from the
    // start.
    if ((value.tag == Tag::kArray && (value.array->sequence || value.array->cons)) ||
        (whole && node.keep_singleton_array && value.defined()) ||
        (!whole && value.is_array() &&
         (Items(value).size == 0 || node.items[first]->type == NodeType::kSort))) {
      first = 0;
      value = input;
    }
    if (first == node.items.size()) {
      result = sequence = value;
    } else if (first > 0 && value.is_array()) {
      sequence = value;
    } else {
      Arr* one = make_sequence();
      one->push(arena_, value);
      sequence = Val::of_array(one);
    }
  }
  Val tuples;
  bool tuple_stream = false;
  for (std::size_t i = first; i < node.items.size(); ++i) {
    const Node& step = *node.items[i];
    tuple_stream = tuple_stream || step.tuple;
    if (i == 0 && step.cons_array) {
      result = eval(step, sequence, env);
    } else if (tuple_stream) {
      tuples = eval_tuple_step(step, sequence, tuples, env);
    } else {
      result = eval_step(step, sequence, env, i + 1 == node.items.size());
    }
    if (!tuple_stream && (result.undefined() || (result.is_array() && Items(result).size == 0))) break;
    if (step.focus == kNoSymbol) sequence = result;
  }
  if (tuple_stream) {
    if (node.tuple) {
      result = tuples;
    } else {
      Arr* out = make_sequence();
      const Items list(tuples);
      for (std::size_t i = 0; i < list.size; ++i) out->push(arena_, list[i].tuple->context);
      result = Val::of_array(out);
    }
  }
  if (node.keep_singleton_array) {
    if (result.tag == Tag::kArray && result.array->cons && !result.array->sequence) {
      Arr* wrapped = make_sequence();
      wrapped->push(arena_, result);
      result = Val::of_array(wrapped);
    }
    if (result.tag == Tag::kArray) result.array->keep_singleton = true;
  }
  if (node.group)
    result = eval_group(node.group->pairs, node.group->position, tuple_stream ? tuples : result, env);
  return result;
}

Val Engine::eval_step(const Node& step, Val input, Frame* env, bool last) {
  if (step.type == NodeType::kSort) {
    const Val sorted = eval_sort(step, input, env);
    return step.stages.empty() ? sorted : eval_stages(step, sorted, env);
  }
  const Items list(input);
  if (step.type == NodeType::kName && !step.decorated && !step.has_stages)
    return eval_name_step(step, list, last);
  work(list.size);
  Arr* out = make_sequence();
  Val only;
  std::size_t count = 0;
  const auto flatten = [&](Val value) {
    if (!value.is_array() || (value.tag == Tag::kArray && value.array->cons)) {
      out->push(arena_, value);
      return;
    }
    const Items items(value);
    if (out->size + items.size > out->capacity)
      out->grow(arena_, std::max<std::size_t>(out->size + items.size, std::size_t{out->capacity} * 2));
    for (std::size_t k = 0; k < items.size; ++k) out->push(arena_, items[k]);
  };
  for (std::size_t i = 0; i < list.size; ++i) {
    list.fetch_ahead(i);
    const Region region = enter();
    Val value = eval(step, list[i], env);
    for (const Stage& stage : step.stages) {
      if (stage.filter) value = eval_filter(*stage.filter, value, env);
    }
    value = leave(region, value);
    if (value.undefined()) continue;
    // The first result is kept back: alone on the last step, a plain array is the result itself.
    if (++count == 1) {
      only = value;
      continue;
    }
    if (count == 2) flatten(only);
    flatten(value);
  }
  if (count == 1) {
    if (last && only.is_array() && !(only.tag == Tag::kArray && only.array->sequence)) return only;
    flatten(only);
  }
  return Val::of_array(out);
}

// A name of many items, without looking at each as an expression. The same rules as above.
Val Engine::eval_name_step(const Node& step, const Items& list, bool last) {
  Arr* out = make_sequence();
  Val only;
  std::size_t count = 0;
  std::size_t hint = 0;
  work(list.size);
  for (std::size_t i = 0; i < list.size; ++i) {
    list.fetch_ahead(i, hint * sizeof(json::Member));
    const Val item = list[i];
    const Val value =
        settle(item.is_array() ? lookup(item, step.text) : member_near(item, step.key, hint), false);
    if (value.undefined()) continue;
    if (++count == 1) only = value;
    if (!value.is_array() || (value.tag == Tag::kArray && value.array->cons)) {
      out->push(arena_, value);
      continue;
    }
    const Items items(value);
    if (out->size + items.size > out->capacity)
      out->grow(arena_, std::max<std::size_t>(out->size + items.size, std::size_t{out->capacity} * 2));
    for (std::size_t k = 0; k < items.size; ++k) out->push(arena_, items[k]);
  }
  if (count == 1 && last && only.is_array() && !(only.tag == Tag::kArray && only.array->sequence))
    return only;
  return Val::of_array(out);
}

Frame* Engine::tuple_frame(Frame* parent, const Tuple& tuple) {
  Frame* frame = arena_.make<Frame>(tuple.bindings);
  frame->parent = parent;
  frame->capacity = frame->size;  // The bindings are shared: whoever binds more makes a copy first.
  if (frame->size > 0) {
    frame->bindings = static_cast<Binding*>(arena_.allocate(frame->size * sizeof(Binding)));
    std::copy_n(tuple.bindings.bindings, frame->size, frame->bindings);
  }
  return frame;
}

Val Engine::eval_tuple_step(const Node& step, Val input, Val tuples, Frame* env) {
  Val result;
  if (step.type == NodeType::kSort) {
    if (tuples.defined()) {
      result = eval_sort(step, tuples, env);
    } else {
      const Items sorted(eval_sort(step, input, env));
      Arr* out = make_sequence();
      out->tuples = true;
      for (std::size_t i = 0; i < sorted.size; ++i) {
        Tuple* tuple = arena_.make<Tuple>();
        tuple->context = sorted[i];
        if (step.index != kNoSymbol)
          tuple->bindings.bind(arena_, step.index, Val::of_number(static_cast<double>(i)));
        out->push(arena_, Val::of_tuple(tuple));
      }
      result = Val::of_array(out);
    }
    return eval_stages(step, result, env);
  }
  Arr* out = make_sequence();
  out->tuples = true;
  if (tuples.undefined()) {
    const Items items(input);
    for (std::size_t i = 0; i < items.size; ++i) {
      const Tuple tuple{.context = items[i]};
      add_tuples(step, tuple, eval(step, items[i], env), out);
    }
  } else {
    const Items items(tuples);
    for (std::size_t i = 0; i < items.size; ++i) {
      const Tuple& tuple = *items[i].tuple;
      add_tuples(step, tuple, eval(step, tuple.context, tuple_frame(env, tuple)), out);
    }
  }
  return eval_stages(step, Val::of_array(out), env);
}

void Engine::add_tuples(const Node& step, const Tuple& from, Val result, Arr* out) {
  if (result.undefined()) return;
  Val single[] = {result};
  Arr one;
  one.items = single;
  one.size = 1;
  const Items items(result.is_array() ? result : Val::of_array(&one));
  const bool stream = result.tag == Tag::kArray && result.array->tuples;
  for (std::size_t i = 0; i < items.size; ++i) {
    Tuple* tuple = arena_.make<Tuple>();
    const Frame* seed = &from.bindings;
    for (std::uint32_t k = 0; k < seed->size; ++k)
      tuple->bindings.bind(arena_, seed->bindings[k].symbol, seed->bindings[k].value);
    if (stream) {
      const Tuple& inner = *items[i].tuple;
      tuple->context = inner.context;
      for (std::uint32_t k = 0; k < inner.bindings.size; ++k)
        tuple->bindings.bind(arena_, inner.bindings.bindings[k].symbol, inner.bindings.bindings[k].value);
    } else {
      tuple->context = items[i];
      if (step.focus != kNoSymbol) {
        tuple->bindings.bind(arena_, step.focus, items[i]);
        tuple->context = from.context;
      }
      if (step.index != kNoSymbol)
        tuple->bindings.bind(arena_, step.index, Val::of_number(static_cast<double>(i)));
      if (step.ancestor) tuple->bindings.bind(arena_, step.ancestor->label, from.context);
    }
    out->push(arena_, Val::of_tuple(tuple));
  }
}

Val Engine::eval_stages(const Node& step, Val input, Frame* env) {
  Val result = input;
  for (const Stage& stage : step.stages) {
    if (stage.filter) {
      result = eval_filter(*stage.filter, result, env);
      continue;
    }
    const Items items(result);
    for (std::size_t i = 0; i < items.size; ++i) {
      const Val item = items[i];
      if (item.tag == Tag::kTuple)
        item.tuple->bindings.bind(arena_, stage.index, Val::of_number(static_cast<double>(i)));
    }
  }
  return result;
}

Val Engine::eval_filter(const Node& predicate, Val input, Frame* env) {
  Arr* out = make_sequence();
  const bool stream = input.tag == Tag::kArray && input.array->tuples;
  out->tuples = stream;
  Arr one;
  if (!input.is_array()) {
    one.items = &input;
    one.size = 1;
  }
  const Val source = input.is_array() ? input : Val::of_array(&one);
  const Items items(source);
  const auto count = static_cast<double>(items.size);
  const auto position = [&](double number) {
    const double index = std::floor(number);
    return index < 0 ? count + index : index;
  };
  if (predicate.type == NodeType::kNumber) {
    const double index = position(predicate.number);
    if (!(index >= 0 && index < count)) return Val::of_array(out);
    const Val item = items[static_cast<std::size_t>(index)];
    if (item.is_array()) return item;
    if (item.defined()) out->push(arena_, item);
    return Val::of_array(out);
  }
  work(items.size);
  // How often the item at `at` is selected by the predicate's result.
  const auto times = [&](Val result, double at) -> std::size_t {
    if (is_numeric(result)) return position(result.number) == at;
    if (!result.is_array()) return truthy(result);
    const Items numbers(result);
    std::size_t count = 0;
    for (std::size_t k = 0; k < numbers.size; ++k) {
      if (!is_numeric(numbers[k])) return truthy(result);
      count += position(numbers[k].number) == at;
    }
    work(numbers.size);
    return count;
  };
  for (std::size_t i = 0; i < items.size; ++i) {
    items.fetch_ahead(i);
    const Val item = items[i];
    const Region region = enter();
    const bool tuple = item.tag == Tag::kTuple;
    const Val result =
        eval(predicate, tuple ? item.tuple->context : item, tuple ? tuple_frame(env, *item.tuple) : env);
    const std::size_t selected = times(result, static_cast<double>(i));
    abandon(region);
    for (std::size_t k = 0; k < selected; ++k) out->push(arena_, item);
  }
  return Val::of_array(out);
}

int Engine::compare_terms(Val a, Val b, const Term& term, const Node& step) {
  if (a.undefined()) return b.undefined() ? 0 : 1;
  if (b.undefined()) return -1;
  const auto sortable = [](Val v) { return v.is_string() || v.is_number(); };
  if (!sortable(a) || !sortable(b))
    throw Failure{.code = "T2008", .position = step.position, .value = describe(sortable(a) ? b : a)};
  if (a.tag != b.tag)
    throw Failure{.code = "T2007", .position = step.position, .value = describe(a), .value2 = describe(b)};
  int order = 0;
  if (a.is_string()) {
    order = compare_utf16(a.str(), b.str());
  } else {
    order = a.number == b.number ? 0 : a.number < b.number ? -1 : 1;
  }
  return term.descending ? -order : order;
}

Val Engine::eval_sort(const Node& step, Val input, Frame* env) {
  const Items items(input);
  if (items.size <= 1) return input;
  const std::size_t terms = step.terms.size();
  std::vector<Val> keys(items.size * terms);
  std::vector<bool> known(items.size * terms);
  const auto key = [&](std::size_t item, std::size_t term) {
    const std::size_t at = item * terms + term;
    if (!known[at]) {
      const Val value = items[item];
      const bool tuple = value.tag == Tag::kTuple;
      keys[at] = eval(*step.terms[term].expression, tuple ? value.tuple->context : value,
                      tuple ? tuple_frame(env, *value.tuple) : env);
      known[at] = true;
    }
    return keys[at];
  };
  std::vector<std::size_t> order(items.size);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    work(1);
    for (std::size_t term = 0; term < terms; ++term) {
      const int result = compare_terms(key(a, term), key(b, term), step.terms[term], step);
      if (result != 0) return result < 0;
    }
    return false;
  });
  Arr* out = make_array(items.size);
  out->tuples = input.tag == Tag::kArray && input.array->tuples;
  out->sequence = out->tuples;
  for (const std::size_t at : order) out->push(arena_, items[at]);
  return Val::of_array(out);
}

namespace grouping {

struct Collected {
  Val data{};
  Arr* list = nullptr;  // Where a second item was appended.
  std::size_t pair = 0;
};

// Several tuples of one group become one: values of the same name are appended.
Tuple merged(Engine& engine, const Arr& tuples) {
  Tuple result = {.context = tuples.at(0).tuple->context};
  const auto copy = [&](const Frame& from, bool first) {
    for (std::uint32_t k = 0; k < from.size; ++k) {
      const Binding& binding = from.bindings[k];
      const Val* before = first ? nullptr : result.bindings.find(binding.symbol);
      result.bindings.bind(engine.arena(), binding.symbol,
                           before ? engine.append(*before, binding.value) : binding.value);
    }
  };
  copy(tuples.at(0).tuple->bindings, true);
  for (std::uint32_t i = 1; i < tuples.size; ++i) {
    const Tuple& next = *tuples.at(i).tuple;
    result.context = engine.append(result.context, next.context);
    copy(next.bindings, false);
  }
  return result;
}

}  // namespace grouping

void Engine::check_key(Val key, std::uint32_t position) const {
  if (!key.is_string()) throw Failure{.code = "T1003", .position = position, .value = describe(key)};
  // Names that the reference keeps for itself, since 2.2.1.
  if (mode_ == Mode::kStandard && (key.str() == "_jsonata_lambda" || key.str() == "_jsonata_function"))
    throw Failure{.code = "D1013", .position = position, .value = describe(key)};
}

// An object of one item, which is what a constructor nearly always makes: no key can come twice.
Val Engine::make_one_object(const List<Pair>& pairs, std::uint32_t position, Val item, Frame* env) {
  std::string_view keys[kObjectPairsMax];
  const Pair* chosen[kObjectPairsMax];
  std::size_t count = 0;
  for (const Pair& pair : pairs) {
    const Val key = eval(*pair.key, item, env);
    if (key.undefined()) continue;
    check_key(key, position);
    if (std::find(keys, keys + count, key.str()) != keys + count)
      throw Failure{.code = "D1009", .position = position, .value = describe(key)};
    keys[count] = key.str();
    chosen[count++] = &pair;
  }
  Obj* result = make_object();
  result->entries = static_cast<Entry*>(arena_.allocate(count * sizeof(Entry)));
  result->capacity = static_cast<std::uint32_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Val value = eval(*chosen[i]->value, item, env);
    if (value.defined()) result->entries[result->size++] = {keys[i], value};
  }
  return Val::of_object(result);
}

Val Engine::eval_group(const List<Pair>& pairs, std::uint32_t position, Val input, Frame* env) {
  const bool reduce = input.tag == Tag::kArray && input.array->tuples;
  Arr one;
  Val undefined;
  if (reduce && Items(input).size == 0) return Val::of_object(make_object());
  if (!input.is_array() || Items(input).size == 0) {
    one.items = input.is_array() ? &undefined : &input;
    one.size = 1;
  }
  const Items items(one.size == 1 ? Val::of_array(&one) : input);
  if (items.size == 1 && !reduce && pairs.size() <= kObjectPairsMax)
    return make_one_object(pairs, position, items[0], env);
  std::vector<std::pair<std::string_view, grouping::Collected>> groups;
  Obj* by_key = make_object();  // The number of the group.
  for (std::size_t i = 0; i < items.size; ++i) {
    items.fetch_ahead(i);
    const Val item = items[i];
    const bool tuple = item.tag == Tag::kTuple;
    Frame* frame = tuple ? tuple_frame(env, *item.tuple) : env;
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      const Val key = eval(*pairs[p].key, tuple ? item.tuple->context : item, frame);
      if (key.undefined()) continue;
      check_key(key, position);
      const Entry* const found = by_key->find(key.str());
      if (!found) {
        by_key->set(arena_, key.str(), Val::of_number(static_cast<double>(groups.size())));
        groups.push_back({key.str(), {.data = item, .pair = p}});
        continue;
      }
      grouping::Collected& entry = groups[static_cast<std::size_t>(found->value.number)].second;
      if (entry.pair != p) throw Failure{.code = "D1009", .position = position, .value = describe(key)};
      if (item.undefined()) continue;
      if (!entry.list) {
        entry.list = make_array(4);
        const Val first = append(entry.data, Val());
        if (first.is_array()) {
          const Items firsts(first);
          for (std::size_t k = 0; k < firsts.size; ++k) entry.list->push(arena_, firsts[k]);
        } else if (first.defined()) {
          entry.list->push(arena_, first);
        }
        entry.data = Val::of_array(entry.list);
      }
      if (item.is_array()) {
        const Items more(item);
        for (std::size_t k = 0; k < more.size; ++k) entry.list->push(arena_, more[k]);
      } else {
        entry.list->push(arena_, item);
      }
    }
  }
  Obj* result = make_object();
  for (const auto& [key, entry] : groups) {
    Val context = entry.data;
    Frame* frame = env;
    if (reduce && context.defined()) {
      Arr single;
      single.items = &context;
      single.size = 1;
      const Tuple tuple = grouping::merged(*this, entry.list ? *entry.list : single);
      frame = tuple_frame(env, tuple);
      context = tuple.context;
    }
    const Val value = eval(*pairs[entry.pair].value, context, frame);
    if (value.defined()) result->set(arena_, key, value);
  }
  return Val::of_object(result);
}

namespace wildcards {

void flatten(Engine& engine, Val value, Arr* out) {
  engine.work(1);
  engine.check_stack();
  if (!value.is_array()) {
    out->push(engine.arena(), value);
    return;
  }
  const Items items(value);
  for (std::size_t i = 0; i < items.size; ++i) flatten(engine, items[i], out);
}

}  // namespace wildcards

Val Engine::eval_wildcard(Val input) {
  Arr* out = make_sequence();
  if (input.tag == Tag::kArray && input.array->outer && input.array->size > 0) input = input.array->at(0);
  const auto add = [&](Val value) {
    if (value.is_array()) out->sequence = false;  // The reference's append makes a plain array of it.
    wildcards::flatten(*this, value, out);
  };
  if (mode_ == Mode::kAws && input.is_function()) out->push(arena_, input);
  if (input.is_array()) {
    const Items items(input);
    for (std::size_t i = 0; i < items.size; ++i) add(items[i]);
  } else {
    for (const Entry& entry : ordered_entries(input)) add(entry.value);
  }
  return Val::of_array(out);
}

void Engine::descend(Val input, Arr* out) {
  work(1);
  check_stack();
  if (!input.is_array()) out->push(arena_, input);
  if (input.is_array()) {
    const Items items(input);
    for (std::size_t i = 0; i < items.size; ++i) descend(items[i], out);
  } else if (input.is_object()) {
    for (const Entry& entry : ordered_entries(input)) descend(entry.value, out);
  }
}

Val Engine::eval_descendants(Val input) {
  if (input.undefined()) return {};
  Arr* out = make_sequence();
  descend(input, out);
  return out->size == 1 ? out->at(0) : Val::of_array(out);
}

}  // namespace sortie::jsonata
