// Function values: calling, partial application, chaining, transforms, signatures.
#include <algorithm>

#include "expr/jsonata/engine.h"
#include "expr/jsonata/regex.h"
#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace calls {

std::string_view procedure_name(const Node& procedure) {
  return procedure.type == NodeType::kPath ? procedure.items[0]->text : procedure.text;
}

// The usual case: each argument is of its parameter's type, nothing to wrap; missing are only optional ones
// that the context does not stand in for. The greedy match of the reference comes to the same.
bool fit_one_by_one(const Signature& signature, std::span<const Val> arguments) {
  const auto& parameters = signature.parameters;
  if (arguments.size() > parameters.size()) return false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Parameter& p = parameters[i];
    const Val argument = arguments[i];
    if (p.repeated || (p.letters & type_bit(argument.tag)) == 0) return false;
    if (!p.array || argument.undefined()) continue;
    if (!argument.is_array()) return false;
    if (p.subtype.empty()) continue;
    const std::uint16_t wanted = letter_bit(p.subtype[0]);
    const Items items(argument);
    for (std::size_t k = 0; k < items.size; ++k) {
      if (type_bit(items[k].tag) != wanted) return false;
    }
  }
  for (std::size_t i = arguments.size(); i < parameters.size(); ++i) {
    if (!parameters[i].optional || parameters[i].context) return false;
  }
  return true;
}

}  // namespace calls

const Builtin* Engine::builtin_of(const Node& procedure) const {
  if (procedure.type != NodeType::kVariable || procedure.decorated || pool_->dynamic) return nullptr;
  const Symbol& symbol = (*names_)[procedure.symbol];
  return symbol.builtin && !symbol.bound && !root_->find(procedure.symbol) ? symbol.builtin : nullptr;
}

Val Engine::eval_call(const Node& node, Val input, Frame* env, const Val* first) {
  const Node& procedure = *node.lhs;
  const Builtin* const builtin = builtin_of(procedure);
  const Val function = builtin ? Val() : eval(procedure, input, env);
  if (!builtin && function.undefined() && procedure.type == NodeType::kPath) {
    // Was the dollar sign forgotten?
    const std::string_view name = procedure.items[0]->text;
    const std::int32_t symbol = names_->find(name);
    if (symbol == kNoSymbol ? find_builtin(name, mode_) != nullptr : lookup_variable(symbol, env).defined())
      throw Failure{.code = node.type == NodeType::kPartial ? "T1007" : "T1005",
                    .position = node.position,
                    .token = std::string(name)};
  }
  constexpr std::size_t kFewArguments = 8;
  Val small[kFewArguments];
  std::vector<Val> large;
  const std::size_t count = node.items.size() + (first ? 1 : 0);
  if (count > kFewArguments) large.resize(count);
  Val* arguments = count > kFewArguments ? large.data() : small;
  std::size_t at = 0;
  if (first) arguments[at++] = *first;
  for (const Node* item : node.items) {
    arguments[at] = eval(*item, input, env);
    if (arguments[at].is_function()) arguments[at].boolean = true;
    ++at;
  }
  Frame* const outer = current_frame_;
  current_frame_ = env;
  try {
    const Val result = builtin ? call_builtin(*builtin, {arguments, count}, input)
                               : apply(function, {arguments, count}, input);
    current_frame_ = outer;
    return result;
  } catch (Failure& failure) {
    current_frame_ = outer;
    if (failure.position == kNoPosition) failure.position = node.position;
    if (failure.token.empty()) failure.token = calls::procedure_name(procedure);
    throw;
  }
}

Val Engine::apply(Val function, std::span<const Val> arguments, Val context) {
  const Val result = apply_once(function, arguments, context);
  return result.is_function() && result.function->kind == Fn::Kind::kThunk ? continue_calls(result) : result;
}

// Tail calls: each thunk is called in turn. Between two of them only the next function, its context and its
// arguments live, so endless recursion in tail position runs in bounded memory.
Val Engine::continue_calls(Val result) {
  const Region region = enter();
  std::vector<Val> live;
  while (result.is_function() && result.function->kind == Fn::Kind::kThunk) {
    const Fn thunk = *result.function;
    const Node& call = *thunk.node->lhs;
    live.clear();
    live.push_back(eval(*call.lhs, thunk.input, thunk.frame));
    live.push_back(thunk.input);
    for (const Node* item : call.items) live.push_back(eval(*item, thunk.input, thunk.frame));
    reclaim(region, live);
    Frame* const outer = current_frame_;
    current_frame_ = thunk.frame;
    try {
      result = apply_once(live[0], std::span<const Val>(live).subspan(2), live[1]);
    } catch (Failure& failure) {
      if (failure.position == kNoPosition) failure.position = call.position;
      if (failure.token.empty()) failure.token = calls::procedure_name(*call.lhs);
      throw;
    }
    current_frame_ = outer;
  }
  return leave(region, result);
}

Val Engine::apply_once(Val function, std::span<const Val> arguments, Val context) {
  if (!function.is_function()) throw Failure{.code = "T1006", .value = describe(function)};
  work(1);
  check_stack();
  const Fn& fn = *function.function;
  const auto argument = [&](std::size_t index) {
    return index < arguments.size() ? arguments[index] : Val();
  };
  switch (fn.kind) {
    case Fn::Kind::kLambda:
      return apply_lambda(fn, arguments, context);
    case Fn::Kind::kNative:
      return call_builtin(*fn.builtin, arguments, context);
    case Fn::Kind::kPartial:
      return apply_partial(fn, arguments);
    case Fn::Kind::kChain: {
      const Val inner =
          apply(Val::of_function(fn.first), arguments.first(std::min<std::size_t>(arguments.size(), 1)));
      return apply(Val::of_function(fn.second), {&inner, 1});
    }
    case Fn::Kind::kTransform: {
      static const Signature kSignature = Signature::parse("<(oa):o>");
      const auto valid = validate(kSignature, arguments, context);
      return apply_transform(fn, valid.empty() ? Val() : valid[0]);
    }
    case Fn::Kind::kRegex: {
      const Val text = argument(0);
      if (!text.is_string()) return {};
      const Val from = argument(1);
      const double offset = from.is_number() && from.number > 0 ? from.number : 0;
      const Val units = regex_text(*this, *fn.regex, text);
      return match_value(*fn.regex, units,
                         byte_offset(units.str(), static_cast<std::size_t>(std::min(offset, 4e9))));
    }
    case Fn::Kind::kMatchNext: {
      if (fn.offset >= fn.input.size) return {};
      const Val next = match_value(*fn.regex, fn.input, fn.offset);
      if (next.defined() && member(next, "match").size == 0)
        throw Failure{.code = "D1004", .position = fn.regex->position(), .value = fn.regex->source()};
      return next;
    }
    case Fn::Kind::kThunk:
      break;
  }
  return {};
}

Val Engine::apply_lambda(const Fn& fn, std::span<const Val> arguments, Val context) {
  const Node& node = *fn.node;
  if (node.signature) arguments = validate(*node.signature, arguments, context);
  const Region region = enter();
  Frame* frame = make_frame(fn.frame);
  const std::size_t count = node.parameters.size();
  frame->bindings = static_cast<Binding*>(arena_.allocate(count * sizeof(Binding)));
  frame->capacity = static_cast<std::uint32_t>(count);
  for (std::size_t i = 0; i < count; ++i)
    frame->bind(arena_, node.parameters[i], i < arguments.size() ? arguments[i] : Val());
  return leave(region, eval(*node.lhs, fn.input, frame));
}

Val Engine::apply_partial(const Fn& fn, std::span<const Val> arguments) {
  const Val target = Val::of_function(fn.first);
  std::size_t next = 0;
  std::vector<Val> filled;
  for (std::uint32_t i = 0; i < fn.count; ++i) {
    if (!fn.holes[i]) {
      filled.push_back(fn.arguments[i]);
    } else {
      filled.push_back(next < arguments.size() ? arguments[next] : Val());
      ++next;
    }
  }
  // The reference binds without looking at the signature again.
  if (fn.first->kind == Fn::Kind::kNative) return fn.first->builtin->native->body(*this, filled);
  if (fn.first->kind != Fn::Kind::kLambda) return apply(target, filled);
  const Node& node = *fn.first->node;
  Frame* frame = make_frame(fn.first->frame);
  for (std::size_t i = 0; i < node.parameters.size(); ++i)
    frame->bind(arena_, node.parameters[i], i < filled.size() ? filled[i] : Val());
  return eval(*node.lhs, fn.first->input, frame);
}

Val Engine::eval_partial(const Node& node, Val input, Frame* env) {
  Fn* fn = arena_.make<Fn>();
  fn->kind = Fn::Kind::kPartial;
  fn->count = static_cast<std::uint32_t>(node.items.size());
  fn->arguments = arena_.make_many<Val>(fn->count);
  fn->holes = arena_.make_many<bool>(fn->count);
  for (std::uint32_t i = 0; i < fn->count; ++i) {
    fn->holes[i] = node.items[i]->type == NodeType::kPlaceholder;
    if (!fn->holes[i]) fn->arguments[i] = eval(*node.items[i], input, env);
  }
  const Val function = eval(*node.lhs, input, env);
  const std::string token(calls::procedure_name(*node.lhs));
  if (function.undefined() && node.lhs->type == NodeType::kPath && find_builtin(token, mode_))
    throw Failure{.code = "T1007", .position = node.position, .token = token};
  if (!function.is_function()) throw Failure{.code = "T1008", .position = node.position, .token = token};
  fn->first = function.function;
  return Val::of_function(fn);
}

Val Engine::eval_apply(const Node& node, Val input, Frame* env) {
  const Val left = eval(*node.lhs, input, env);
  // A call with predicates or a group behind it is still that call: they apply to its result.
  if (node.rhs->type == NodeType::kCall) return eval_call(*node.rhs, input, env, &left);
  const Val function = eval(*node.rhs, input, env);
  if (!function.is_function())
    throw Failure{.code = "T2006", .position = node.position, .value = describe(function)};
  if (!left.is_function()) {
    try {
      return apply(function, {&left, 1});
    } catch (Failure& failure) {
      if (failure.position == kNoPosition) failure.position = node.position;
      throw;
    }
  }
  Fn* chain = arena_.make<Fn>();
  chain->kind = Fn::Kind::kChain;
  chain->first = left.function;
  chain->second = function.function;
  return Val::of_function(chain);
}

int Engine::arity(Val function) const {
  if (!function.is_function()) return 0;
  const Fn& fn = *function.function;
  switch (fn.kind) {
    case Fn::Kind::kLambda:
      return static_cast<int>(fn.node->parameters.size());
    case Fn::Kind::kNative:
      return fn.builtin->native->arity;
    case Fn::Kind::kPartial:
      return static_cast<int>(std::count(fn.holes, fn.holes + fn.count, true));
    case Fn::Kind::kRegex:
      return 2;
    default:
      return 1;
  }
}

Val Engine::apply_hof(Val function, Val value, Val index, Val all) {
  const Val arguments[] = {value, index, all};
  const int wanted = arity(function);
  const std::size_t count = wanted >= 3 ? 3 : wanted == 2 ? 2 : 1;
  return apply(function, {arguments, count});
}

Val regex_text(Engine& engine, const Regex& regex, Val text) {
  if (!has_pairs(text.str()) || !regex.by_units(text.size + text.size / 2)) return text;
  return engine.make_text(split_pairs(text.str()));
}

Val joined_text(Engine& engine, std::string_view piece) {
  return has_surrogate(piece) ? engine.make_text(join_pairs(piece)) : Val::of_text(piece);
}

Val Engine::match_value(const Regex& regex, Val text, std::size_t from) {
  Regex::Match match;
  work(text.size / 16 + 1);
  if (!regex.find(text.str(), from, match)) return {};
  Obj* result = make_object();
  const std::string_view all = text.str();
  const auto number = [](std::size_t n) { return Val::of_number(static_cast<double>(n)); };
  const std::size_t start = utf16_length(all.substr(0, match.begin));
  const std::string_view matched = all.substr(match.begin, match.end - match.begin);
  result->set(arena_, "match", joined_text(*this, matched));
  result->set(arena_, "start", number(start));
  result->set(arena_, "end", number(start + utf16_length(matched)));
  Arr* groups = make_array(match.groups.size());
  for (const auto& group : match.groups) groups->push(arena_, group ? joined_text(*this, *group) : Val());
  result->set(arena_, "groups", Val::of_array(groups));
  Fn* next = arena_.make<Fn>();
  next->kind = Fn::Kind::kMatchNext;
  next->regex = &regex;
  next->input = text;
  next->offset = match.end;
  result->set(arena_, "next", Val::of_function(next));
  return Val::of_object(result);
}

// --- transforms ---------------------------------------------------------------------------------

Val Engine::apply_transform(const Fn& fn, Val object) {
  if (object.undefined()) return {};
  const Node& node = *fn.node;
  Val copy = clone(*this, object);
  Val matches = eval(*node.lhs, copy, fn.frame);
  if (matches.undefined()) return copy;
  if (!matches.is_array()) {
    update_match(node, matches, fn.frame);
    return copy;
  }
  const Items items(matches);
  for (std::size_t i = 0; i < items.size; ++i) update_match(node, items[i], fn.frame);
  return copy;
}

void Engine::update_match(const Node& node, Val match, Frame* env) {
  // What is not part of the clone (a variable's value) is shared and stays as it is.
  Obj* target = match.tag == Tag::kObject ? match.object : nullptr;
  const Val update = eval(*node.rhs, match, env);
  if (update.defined()) {
    if (!update.is_object())
      throw Failure{.code = "T2011", .position = node.rhs->position, .value = describe(update)};
    for (const Entry& entry : ordered_entries(update)) {
      if (target) target->set(arena_, entry.key, entry.value);
    }
  }
  if (!node.third) return;
  const Val deletions = eval(*node.third, match, env);
  if (deletions.undefined()) return;
  const Val one = deletions;
  Arr single;
  single.items = const_cast<Val*>(&one);
  single.size = 1;
  const Items names(deletions.is_array() ? deletions : Val::of_array(&single));
  for (std::size_t i = 0; i < names.size; ++i) {
    if (!names[i].is_string())
      throw Failure{.code = "T2012", .position = node.third->position, .value = describe(deletions)};
  }
  for (std::size_t i = 0; i < names.size; ++i) {
    if (target) target->erase(names[i].str());
  }
}

// --- signatures ---------------------------------------------------------------------------------

std::span<const Val> Engine::validate(const Signature& signature, std::span<const Val> arguments,
                                      Val context) {
  const auto& parameters = signature.parameters;
  if (calls::fit_one_by_one(signature, arguments)) return arguments;
  std::string letters;
  for (const Val argument : arguments) letters += letter_of(argument);
  std::vector<std::uint32_t> taken;
  if (!signature.match(letters, taken)) {
    const std::size_t at = signature.mismatch(letters);
    throw Failure{.code = "T0410",
                  .value = at < arguments.size() ? describe(arguments[at]) : std::string("undefined"),
                  .index = static_cast<int>(at) + 1};
  }
  Val* out = arena_.make_many<Val>(arguments.size() + parameters.size());
  std::size_t count = 0;
  std::size_t at = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const Parameter& parameter = parameters[p];
    if (taken[p] == 0) {
      if (parameter.context) {
        if ((parameter.letters & letter_bit(letter_of(context))) == 0)
          throw Failure{.code = "T0411", .value = describe(context), .index = static_cast<int>(at) + 1};
        out[count++] = context;
      } else {
        out[count++] = at < arguments.size() ? arguments[at] : Val();
        ++at;
      }
      continue;
    }
    const std::size_t first = at;
    for (std::uint32_t k = 0; k < taken[p]; ++k, ++at) {
      // 2.0.6 repeats the first of repeated scalars.
      const std::size_t source = mode_ == Mode::kAws && !parameter.array ? first : at;
      out[count++] = validated_argument(parameter, letters[at], taken[p], arguments[source], at);
    }
  }
  return {out, count};
}

Val Engine::validated_argument(const Parameter& parameter, char letter, std::size_t letters, Val argument,
                               std::size_t index) {
  if (!parameter.array) return argument;
  if (letter == 'm') return {};
  bool good = true;
  if (!parameter.subtype.empty()) {
    if (letter != 'a') {
      good = letters == 1 && parameter.subtype == std::string_view(&letter, 1);
    } else if (const Items items(argument); items.size > 0) {
      for (std::size_t i = 0; i < items.size && good; ++i) good = letter_of(items[i]) == parameter.subtype[0];
    }
  }
  if (!good)
    throw Failure{.code = "T0412",
                  .value = describe(argument),
                  .value2 = parameter.subtype,
                  .index = static_cast<int>(index) + 1};
  if (letter == 'a') return argument;
  Arr* wrapped = make_array(1);
  wrapped->push(arena_, argument);
  return Val::of_array(wrapped);
}

}  // namespace sortie::jsonata
