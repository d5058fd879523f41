// $map, $filter, $reduce, $sort and the other functions on arrays.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "expr/jsonata/functions.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace array_natives {

using Arguments = std::span<const Val>;

Val index_of(std::size_t i) { return Val::of_number(static_cast<double>(i)); }

Val map(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  Arr* out = engine.make_sequence();
  for (std::size_t i = 0; i < items.size; ++i) {
    const Val value = engine.apply_hof(a[1], items[i], index_of(i), a[0]);
    if (value.defined()) out->push(engine.arena(), value);
  }
  return Val::of_array(out);
}

Val filter(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  Arr* out = engine.make_sequence();
  for (std::size_t i = 0; i < items.size; ++i) {
    if (engine.truthy(engine.apply_hof(a[1], items[i], index_of(i), a[0])))
      out->push(engine.arena(), items[i]);
  }
  return Val::of_array(out);
}

Val single(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  Val result;
  bool found = false;
  for (std::size_t i = 0; i < items.size; ++i) {
    if (argument(a, 1).defined() && !engine.truthy(engine.apply_hof(a[1], items[i], index_of(i), a[0])))
      continue;
    if (found) throw Failure{.code = "D3138", .index = static_cast<int>(i)};
    result = items[i];
    found = true;
  }
  if (!found) throw Failure{.code = "D3139"};
  return result;
}

Val reduce(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const int arity = engine.arity(a[1]);
  if (arity < 2) throw Failure{.code = "D3050", .index = 1};
  const Items items(a[0]);
  Val result = argument(a, 2);
  std::size_t i = 0;
  if (result.undefined() && items.size > 0) {
    result = items[0];
    i = 1;
  }
  const auto region = engine.enter();
  for (; i < items.size; ++i) {
    const Val arguments[] = {result, items[i], index_of(i), a[0]};
    result = engine.apply(a[1], {arguments, arity >= 4 ? std::size_t{4} : static_cast<std::size_t>(arity)});
    engine.reclaim(region, {&result, 1});
  }
  return engine.leave(region, result);
}

Val zip(Engine& engine, Arguments a) {
  Arr* out = engine.make_array();
  std::size_t length = a.empty() ? 0 : SIZE_MAX;
  for (const Val list : a) length = std::min(length, list.is_array() ? Items(list).size : 0);
  for (std::size_t i = 0; i < length; ++i) {
    Arr* row = engine.make_array(a.size());
    for (const Val list : a) row->push(engine.arena(), Items(list)[i]);
    out->push(engine.arena(), Val::of_array(row));
  }
  return Val::of_array(out);
}

Val append_values(Engine& engine, Arguments a) { return engine.append(argument(a, 0), argument(a, 1)); }

Val reverse(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  if (items.size <= 1) return a[0];
  Arr* out = engine.make_array(items.size);
  for (std::size_t i = items.size; i > 0; --i) out->push(engine.arena(), items[i - 1]);
  return Val::of_array(out);
}

Val shuffle(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  const Items items(a[0]);
  if (items.size <= 1) return a[0];
  if (!engine.inputs().random)
    throw Failure{.code = "D3061", .message = "$shuffle has no source of randomness here"};
  Arr* out = engine.make_array(items.size);
  for (std::size_t i = 0; i < items.size; ++i) {
    const std::size_t at = engine.inputs().random->next() % (i + 1);
    out->push(engine.arena(), items[i]);
    std::swap(out->items[i], out->items[at]);
  }
  return Val::of_array(out);
}

// Equal for equal values, in whatever order members stand.
std::size_t hash_of(Engine& engine, Val value) {
  engine.work(1);
  if (value.is_string()) return std::hash<std::string_view>{}(value.str());
  if (value.is_number()) return std::hash<double>{}(value.number);
  if (value.is_bool()) return value.boolean ? 3 : 5;
  std::size_t hash = static_cast<std::size_t>(letter_of(value));
  if (!value.is_array() && !value.is_object()) return hash;
  engine.check_stack();
  if (value.is_array()) {
    const Items items(value);
    for (std::size_t i = 0; i < items.size; ++i) hash = hash * 31 + hash_of(engine, items[i]);
  } else {
    for (const Entry& entry : ordered_entries(value))
      hash += (std::hash<std::string_view>{}(entry.key) | 1) * (hash_of(engine, entry.value) + 7);
  }
  return hash;
}

Val distinct(Engine& engine, Arguments a) {
  if (argument(a, 0).undefined()) return {};
  if (!a[0].is_array()) return a[0];
  const Items items(a[0]);
  if (items.size <= 1) return a[0];
  Arr* out = a[0].tag == Tag::kArray && a[0].array->sequence ? engine.make_sequence() : engine.make_array();
  std::unordered_set<std::string_view> texts;
  std::unordered_set<double> numbers;
  std::unordered_multimap<std::size_t, Val> others;  // By hash.
  for (std::size_t i = 0; i < items.size; ++i) {
    const Val item = items[i];
    bool known = false;
    if (item.is_string()) {
      known = !texts.insert(item.str()).second;
    } else if (item.is_number()) {
      known = !numbers.insert(item.number).second;
    } else {
      const std::size_t hash = hash_of(engine, item);
      const auto [first, last] = others.equal_range(hash);
      known = std::any_of(first, last, [&](const auto& other) {
        engine.work(1);
        return engine.equal(item, other.second);
      });
      if (!known) others.emplace(hash, item);
    }
    if (!known) out->push(engine.arena(), item);
  }
  return Val::of_array(out);
}

Val sort_values(Engine& engine, Arguments a) { return engine.sort(argument(a, 0), argument(a, 1)); }

// The reference's merge sort, so that comparators which are no order give the same answer.
void merge_sort(Engine& engine, std::vector<Val>& items, std::size_t from, std::size_t to, Val comparator) {
  if (to - from <= 1) return;
  const std::size_t middle = from + (to - from) / 2;
  merge_sort(engine, items, from, middle, comparator);
  merge_sort(engine, items, middle, to, comparator);
  std::vector<Val> merged;
  merged.reserve(to - from);
  std::size_t left = from;
  std::size_t right = middle;
  while (left < middle && right < to) {
    const Val pair[] = {items[left], items[right]};
    merged.push_back(engine.truthy(engine.apply(comparator, pair)) ? items[right++] : items[left++]);
  }
  while (left < middle) merged.push_back(items[left++]);
  while (right < to) merged.push_back(items[right++]);
  std::copy(merged.begin(), merged.end(), items.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace array_natives

Val Engine::sort(Val array, Val comparator) {
  if (array.undefined()) return {};
  const Items items(array);
  if (items.size <= 1) return array;
  std::vector<Val> sorted;
  sorted.reserve(items.size);
  for (std::size_t i = 0; i < items.size; ++i) sorted.push_back(items[i]);
  work(items.size * 8);
  if (comparator.defined()) {
    array_natives::merge_sort(*this, sorted, 0, sorted.size(), comparator);
  } else if (std::all_of(sorted.begin(), sorted.end(), [](Val v) { return is_numeric(v); })) {
    std::stable_sort(sorted.begin(), sorted.end(), [](Val x, Val y) { return x.number < y.number; });
  } else if (std::all_of(sorted.begin(), sorted.end(), [](Val v) { return v.is_string(); })) {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](Val x, Val y) { return compare_utf16(x.str(), y.str()) < 0; });
  } else {
    throw Failure{.code = "D3070", .index = 1};
  }
  Arr* out = make_array(sorted.size());
  for (const Val value : sorted) out->push(arena_, value);
  return Val::of_array(out);
}

std::span<const Native> array_functions() {
  using namespace array_natives;
  static constexpr Native kTable[] = {
      {"map", "<af>", 2, map},
      {"filter", "<af>", 2, filter},
      {"single", "<af?>", 2, single},
      {"reduce", "<afj?:j>", 3, array_natives::reduce},
      {"zip", "<a+>", 0, zip},
      {"append", "<xx:a>", 2, append_values},
      {"reverse", "<a:a>", 1, array_natives::reverse},
      {"shuffle", "<a:a>", 1, array_natives::shuffle},
      {"distinct", "<x:x>", 1, distinct},
      {"sort", "<af?:a>", 2, sort_values},
  };
  return kTable;
}

}  // namespace sortie::jsonata
