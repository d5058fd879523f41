#include "expr/jsonata/engine.h"

#include <algorithm>
#include <cmath>

#include "expr/jsonata/parser.h"
#include "expr/jsonata/regex.h"

namespace sortie::jsonata {

struct Engine::DepthGuard {
  explicit DepthGuard(Engine& engine) : engine_(engine) {
    if (++engine.depth_ > engine.inputs_.limits.depth_max)
      throw Failure{.code = "D1011",
                    .message = "The evaluation is nested too deeply: is a recursion endless?"};
    if (++engine.steps_ >= engine.next_check_) engine.check_time();
    engine.check_stack();
  }
  ~DepthGuard() { --engine_.depth_; }
  Engine& engine_;
};

Engine::Engine(const NodePool& pool, Mode mode, const Inputs& inputs)
    : inputs_(inputs), mode_(mode), arena_(inputs.limits.bytes_max), pool_(&pool) {}

Val Engine::run() {
  stack_base_ = static_cast<const char*>(__builtin_frame_address(0));
  if (inputs_.limits.elapsed_ms) started_ms_ = inputs_.limits.elapsed_ms();
  builtins_.resize(pool_->names.size());
  for (std::size_t i = 0; i < builtins_.size(); ++i)
    builtins_[i] = find_builtin(pool_->names.text(static_cast<std::int32_t>(i)), mode_);
  root_ = make_frame(nullptr);
  Val input = inputs_.input ? Val::of_json(*inputs_.input) : Val();
  const std::int32_t dollar = static_cast<std::int32_t>(-2);  // `$$` is looked up by text, see dispatch.
  root_->bind(arena_, dollar, input);
  for (const auto& [name, value] : inputs_.bindings) {
    for (std::size_t i = 0; i < builtins_.size(); ++i) {
      if (pool_->names.text(static_cast<std::int32_t>(i)) == name)
        root_->bind(arena_, static_cast<std::int32_t>(i), value ? Val::of_json(*value) : Val());
    }
  }
  if (input.is_array()) {
    Arr* outer = make_sequence();
    outer->outer = true;
    outer->push(arena_, input);
    input = Val::of_array(outer);
  }
  return eval(*pool_->root, input, root_);
}

void Engine::check_stack() {
  // The frame's own address: a local's may lie elsewhere (sanitizers move locals to a stack of their own).
  const std::ptrdiff_t used = stack_base_ - static_cast<const char*>(__builtin_frame_address(0));
  if (static_cast<std::size_t>(used < 0 ? -used : used) > inputs_.limits.stack_bytes_max)
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

void Engine::work(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ >= next_check_) check_time();
}

Val Engine::settle(Val result, bool keep_array) {
  if (result.tag != Tag::kArray || !result.array->sequence || result.array->tuples) return result;
  if (keep_array) result.array->keep_singleton = true;
  if (result.array->size == 0) return {};
  if (result.array->size == 1 && !result.array->keep_singleton) return result.array->at(0);
  return result;
}

Val Engine::eval(const Node& node, Val input, Frame* env) {
  const DepthGuard guard(*this);
  Val result = dispatch(node, input, env);
  for (const Node* predicate : node.predicates) result = eval_filter(*predicate, result, env);
  if (node.group && node.type != NodeType::kPath)
    result = eval_group(node.group->pairs, node.group->position, result, env);
  return settle(result, node.keep_array);
}

Val Engine::dispatch(const Node& node, Val input, Frame* env) {
  switch (node.type) {
    case NodeType::kPath:
      return eval_path(node, input, env);
    case NodeType::kBinary:
      return eval_binary(node, input, env);
    case NodeType::kUnaryMinus: {
      const Val value = eval(*node.lhs, input, env);
      if (value.undefined()) return {};
      if (is_numeric(value)) return Val::of_number(-value.number);
      throw Failure{.code = "D1002", .position = node.position, .token = "-", .value = describe(value)};
    }
    case NodeType::kArray:
      return eval_array(node, input, env);
    case NodeType::kObject:
      return eval_group(node.pairs, node.position, input, env);
    case NodeType::kName:
      return lookup(input, node.text);
    case NodeType::kString:
      return Val::of_text(node.text);
    case NodeType::kNumber:
      return Val::of_number(node.number);
    case NodeType::kValue:
      return node.number == 2 ? Val::null() : Val::of_bool(node.number == 1);
    case NodeType::kVariable:
      if (node.text.empty())
        return input.tag == Tag::kArray && input.array->outer ? input.array->at(0) : input;
      if (node.text == "$") return *root_->find(-2);
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
      Frame* frame = make_frame(env);
      Val result;
      for (const Node* item : node.items) result = eval(*item, input, frame);
      return result;
    }
    case NodeType::kBind: {
      const Val value = eval(*node.rhs, input, env);
      env->bind(arena_, node.symbol, value);
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
    fn->regex = node.regex.get();
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

Val Engine::lookup_variable(std::int32_t symbol, Frame* env) {
  for (Frame* frame = env; frame; frame = frame->parent) {
    if (const Val* found = frame->find(symbol)) return *found;
  }
  const auto index = static_cast<std::size_t>(symbol);
  if (index >= builtins_.size() || !builtins_[index]) return {};
  Fn* fn = arena_.make<Fn>();
  fn->kind = Fn::Kind::kNative;
  fn->builtin = builtins_[index];
  return Val::of_function(fn);
}

Val Engine::evaluate_text(std::string_view text, Val focus) {
  // The names of the new tree continue those of the program, so that its variables are found by number.
  auto pool = std::make_unique<NodePool>();
  const NodePool& previous = eval_pools_.empty() ? *pool_ : *eval_pools_.back();
  for (std::size_t i = 0; i < previous.names.size(); ++i)
    pool->names.id(previous.names.text(static_cast<std::int32_t>(i)));
  const std::string& kept = pool->texts.emplace_back(text);
  Node* root = nullptr;
  try {
    root = resolve(*pool, parse_expression(*pool, kept, mode_ == Mode::kStandard));
  } catch (const Failure& failure) {
    throw Failure{.code = "D3120", .value = message_of(failure)};
  }
  for (std::size_t i = builtins_.size(); i < pool->names.size(); ++i)
    builtins_.push_back(find_builtin(pool->names.text(static_cast<std::int32_t>(i)), mode_));
  eval_pools_.push_back(std::move(pool));
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
