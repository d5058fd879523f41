#include "expr/jsonata/engine.h"

#include <algorithm>
#include <cmath>

#include "expr/jsonata/parser.h"
#include "expr/jsonata/regex.h"

namespace sortie::jsonata {

struct Engine::DepthGuard {
  explicit DepthGuard(Engine& engine) : engine_(engine) {
    if (++engine.depth_ > engine.inputs_.limits.depth_max) nested_too_deeply();
    if (++engine.steps_ >= engine.next_check_) engine.check_time();
    engine.check_stack();
  }
  ~DepthGuard() { --engine_.depth_; }
  Engine& engine_;
};

Engine::Engine(const NodePool& pool, const Inputs& inputs)
    : inputs_(inputs), mode_(pool.mode), arena_(inputs.limits.bytes_max), pool_(&pool), names_(&pool.names) {}

namespace engine_parts {

constexpr std::int32_t kRootSymbol = -2;  // `$$`: nothing else can bind or mean it.

}  // namespace engine_parts

Val Engine::run() {
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
  if (inputs_.limits.elapsed_ms) started_ms_ = inputs_.limits.elapsed_ms();
  places_max_ = std::min<std::uint32_t>(pool_->places, 1024);  // Later ones share the first's.
  places_ = arena_.make_many<std::size_t>(std::max<std::uint32_t>(places_max_, 1));
  root_ = make_frame(nullptr);
  Val input = inputs_.input ? Val::of_json(*inputs_.input) : Val();
  root_->bind(arena_, engine_parts::kRootSymbol, input);
  for (const auto& [name, value] : inputs_.bindings) {
    // With $eval any name may be asked for later.
    const std::int32_t symbol = names_->find(name);
    if (symbol != kNoSymbol) root_->bind(arena_, symbol, value ? Val::of_json(*value) : Val());
  }
  if (input.is_array()) {
    Arr* outer = make_sequence();
    outer->outer = true;
    outer->push(arena_, input);
    input = Val::of_array(outer);
  }
  return eval(*pool_->root, input, root_);
}

void Engine::nested_too_deeply() {
  throw Failure{.code = "D1011", .message = "The evaluation is nested too deeply: is a recursion endless?"};
}

void Engine::check_time() {
  next_check_ = steps_ + 256;
  const Limits& limits = inputs_.limits;
  if (steps_ > limits.steps_max)
    throw Failure{.code = "D1012", .message = "The evaluation takes more steps than it is allowed"};
  if (limits.time_ms_max > 0 && limits.elapsed_ms && limits.elapsed_ms() - started_ms_ > limits.time_ms_max)
    throw Failure{.code = "D1012", .message = "The evaluation takes longer than it is allowed"};
}

// What needs no evaluation is answered here, without the checks that bound recursion.
Val Engine::eval(const Node& node, Val input, Frame* env) {
  if (!node.decorated) {
    switch (node.type) {
      case NodeType::kString:
        return Val::of_text(node.text);
      case NodeType::kNumber:
        return Val::of_number(node.number);
      case NodeType::kVariable:
        if (node.text.empty() || node.text == "$") break;
        return settle(lookup_variable(node.symbol, env), false);
      case NodeType::kName:
        if (input.is_array()) break;
        return settle(named_member(node, input), false);
      default:
        break;
    }
  }
  return eval_full(node, input, env);
}

Val Engine::eval_full(const Node& node, Val input, Frame* env) {
  const DepthGuard guard(*this);
  Val result = dispatch(node, input, env);
  if (!node.decorated) return settle(result, false);
  for (const Node* predicate : node.predicates) result = eval_filter(*predicate, result, env);
  if (node.group && node.type != NodeType::kPath)
    result = eval_group(node.group->pairs, node.group->position, result, env);
  return settle(result, node.keep_array);
}

Val Engine::negate(const Node& node, Val input, Frame* env) {
  const Val value = eval(*node.lhs, input, env);
  if (value.undefined()) return {};
  if (is_numeric(value)) return Val::of_number(-value.number);
  throw Failure{.code = "D1002", .position = node.position, .token = "-", .value = describe(value)};
}

Val Engine::dispatch(const Node& node, Val input, Frame* env) {
  switch (node.type) {
    case NodeType::kPath:
      return eval_path(node, input, env);
    case NodeType::kBinary:
      return eval_binary(node, input, env);
    case NodeType::kUnaryMinus:
      return negate(node, input, env);
    case NodeType::kArray:
      return eval_array(node, input, env);
    case NodeType::kObject:
      return eval_group(node.pairs, node.position, input, env);
    case NodeType::kName:
      return input.is_array() ? lookup(input, node.text) : named_member(node, input);
    case NodeType::kString:
      return Val::of_text(node.text);
    case NodeType::kNumber:
      return Val::of_number(node.number);
    case NodeType::kValue:
      return node.number == 2 ? Val::null() : Val::of_bool(node.number == 1);
    case NodeType::kVariable:
      if (node.text.empty())
        return input.tag == Tag::kArray && input.array->outer ? input.array->at(0) : input;
      if (node.text == "$") return *root_->find(engine_parts::kRootSymbol);
      return lookup_variable(node.symbol, env);
    case NodeType::kRegex:
    case NodeType::kLambda:
    case NodeType::kTransform:
    case NodeType::kTailCall:
      return make_function(node, input, env);
    case NodeType::kWildcard:
      return eval_wildcard(input);
    case NodeType::kDescendant:
      return eval_descendants(input);
    case NodeType::kParent:
      return lookup_variable(node.slot->label, env);
    case NodeType::kCall:
      return eval_call(node, input, env, nullptr);
    case NodeType::kPartial:
      return eval_partial(node, input, env);
    case NodeType::kCondition:
      if (truthy(eval(*node.lhs, input, env))) return eval(*node.rhs, input, env);
      return node.third ? eval(*node.third, input, env) : Val();
    case NodeType::kDefault: {
      const Val value = eval(*node.lhs, input, env);
      return truthy(value) ? value : eval(*node.rhs, input, env);
    }
    case NodeType::kCoalesce: {
      const Val value = eval(*node.lhs, input, env);
      return value.defined() ? value : eval(*node.rhs, input, env);
    }
    case NodeType::kBlock: {
      Frame* frame = node.needs_frame ? make_frame(env) : env;
      Val result;
      for (const Node* item : node.items) result = eval(*item, input, frame);
      return result;
    }
    case NodeType::kBind: {
      const Val value = eval(*node.rhs, input, env);
      bind_variable(env, node.symbol, value);
      return value;
    }
    case NodeType::kApply:
      return eval_apply(node, input, env);
    default:
      return {};
  }
}

Val Engine::make_function(const Node& node, Val input, Frame* env) {
  Fn* fn = arena_.make<Fn>();
  if (node.type == NodeType::kRegex) {
    fn->kind = Fn::Kind::kRegex;
    fn->regex = node.regex;
    return Val::of_function(fn);
  }
  fn->kind = node.type == NodeType::kLambda      ? Fn::Kind::kLambda
             : node.type == NodeType::kTransform ? Fn::Kind::kTransform
                                                 : Fn::Kind::kThunk;
  fn->node = &node;
  fn->input = input;
  fn->frame = env;
  return Val::of_function(fn);
}

const Val* Engine::find_variable(std::int32_t symbol, Frame* env) {
  if (symbol >= 0 && !(*names_)[symbol].bound && !pool_->dynamic) return root_->find(symbol);
  for (Frame* frame = env; frame; frame = frame->parent) {
    if (const Val* found = frame->find(symbol)) return found;
  }
  return nullptr;
}

Val Engine::lookup_variable(std::int32_t symbol, Frame* env) {
  if (const Val* found = find_variable(symbol, env)) return *found;
  const Builtin* builtin = (*names_)[symbol].builtin;
  if (!builtin) return {};
  Fn* fn = arena_.make<Fn>();
  fn->kind = Fn::Kind::kNative;
  fn->builtin = builtin;
  return Val::of_function(fn);
}

void Engine::bind_variable(Frame* frame, std::int32_t symbol, Val value) {
  if (frame->region != region_) ++pins_;
  frame->bind(arena_, symbol, value);
}

// The names of the new tree continue those of the program, so that its variables are found by number.
const Node* Engine::compile_text(std::string_view text) {
  constexpr std::size_t kBytesEach = 64;  // Of tree, for each of text.
  texts_->bytes += sizeof(NodePool) + text.size() * kBytesEach + names_->size() * sizeof(Symbol);
  arena_.check(static_cast<double>(texts_->bytes));
  auto pool = std::make_unique<NodePool>();
  pool->mode = mode_;
  pool->text = text;
  pool->dynamic = true;
  for (std::size_t i = 0; i < names_->size(); ++i)
    pool->symbol(pool->keep((*names_)[static_cast<std::int32_t>(i)].text));
  try {
    pool->root = resolve(*pool, parse_expression(*pool, pool->text, mode_ == Mode::kStandard));
  } catch (const Failure& failure) {
    throw Failure{.code = "D3120", .value = message_of(failure)};
  }
  for (const auto& [name, value] : inputs_.bindings) {
    const std::int32_t symbol = pool->names.find(name);
    if (symbol != kNoSymbol && static_cast<std::size_t>(symbol) >= names_->size())
      root_->bind(arena_, symbol, value ? Val::of_json(*value) : Val());
  }
  names_ = &pool->names;
  texts_->pools.push_back(std::move(pool));
  return texts_->pools.back()->root;
}

Val Engine::evaluate_text(std::string_view text, Val focus) {
  if (!texts_) texts_ = std::make_unique<Texts>();
  const Node*& root = texts_->roots[std::string(text)];
  if (!root) root = compile_text(text);
  if (focus.is_array()) {
    Arr* outer = make_sequence();
    outer->outer = true;
    outer->push(arena_, focus);
    focus = Val::of_array(outer);
  }
  Frame* frame = current_frame_;
  try {
    return eval(*root, focus, frame ? frame : root_);
  } catch (Failure& failure) {
    if (failure.code == "D1011" || failure.code == "D1012" || failure.code == "D2015") throw;
    throw Failure{.code = "D3121", .value = message_of(failure)};
  }
}

}  // namespace sortie::jsonata
