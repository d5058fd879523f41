#pragma once
// The evaluator: walks the resolved tree. One Engine serves one evaluation; everything it makes lives in its
// arena. Rules and names follow the reference implementation, so that its quirks can be checked one by one:
// path.cpp has steps, filters, tuples, sorting and grouping, call.cpp functions, operators.cpp the rest.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "expr/jsonata/failure.h"
#include "expr/jsonata/jsonata.h"
#include "expr/jsonata/node.h"
#include "expr/jsonata/val.h"

namespace sortie::jsonata {

class Engine;

using NativeBody = Val (*)(Engine& engine, std::span<const Val> arguments);

struct Native {
  const char* name;
  const char* signature;
  int arity;  // As many arguments as higher-order functions pass it.
  NativeBody body;
};

// The built-in function of that name in that mode, or nullptr; with its compiled signature.
struct Builtin {
  const Native* native = nullptr;
  Signature signature{};
};
const Builtin* find_builtin(std::string_view name, Mode mode);

struct Fn {
  enum class Kind : std::uint8_t {
    kLambda,
    kNative,
    kRegex,
    kMatchNext,  // The `next` of a regular expression's match.
    kPartial,
    kTransform,
    kChain,  // f ~> g
    kThunk,  // A tail call that waits for its caller.
  };
  Kind kind{};
  const Node* node = nullptr;  // Lambda, transform, regex; the call of a thunk.
  Val input{};
  Frame* frame = nullptr;
  const Builtin* builtin = nullptr;
  const Regex* regex = nullptr;
  std::size_t offset = 0;    // kMatchNext: bytes into `input`.
  Fn* first = nullptr;       // kPartial: the function; kChain: f.
  Fn* second = nullptr;      // kChain: g.
  Val* arguments = nullptr;  // kPartial
  bool* holes = nullptr;
  std::uint32_t count = 0;
};

class Engine {
 public:
  static constexpr std::size_t kReclaimBytesMin = 4 << 20;
  static constexpr std::size_t kObjectPairsMax = 15;  // Below that keys are compared one by one.

  // Both have to outlive the engine.
  Engine(const NodePool& pool, const Inputs& inputs);

  Val run();

  // --- for the built-in functions -------------------------------------------------------------
  Arena& arena() { return arena_; }
  Mode mode() const { return mode_; }
  const Inputs& inputs() const { return inputs_; }
  Val context() const { return current_context_; }  // Of the native call in progress.
  // Calls any function value; lambdas, natives, matchers. `context` may stand in for arguments.
  Val apply(Val function, std::span<const Val> arguments, Val context = Val::null());
  // Calls with the first, the first two or all three arguments, as many as the function declares.
  Val apply_hof(Val function, Val value, Val index, Val all);
  int arity(Val function) const;
  Val evaluate_text(std::string_view text, Val focus);  // $eval
  Val make_text(std::string_view text) { return arena_.text(text); }
  Arr* make_sequence() {
    Arr* array = arena_.make<Arr>();
    array->sequence = true;
    return array;
  }
  Arr* make_array(std::size_t capacity = 0) {
    Arr* array = arena_.make<Arr>();
    if (capacity > 0) array->grow(arena_, capacity);
    return array;
  }
  Obj* make_object() { return arena_.make<Obj>(); }
  Val append(Val a, Val b);
  Val lookup(Val input, std::string_view key);
  // Counts work that does not pass through eval(); throws when a limit is reached.
  void work(std::uint64_t steps) {
    steps_ += steps;
    if (steps_ >= next_check_) check_time();
  }
  // A stretch of evaluation of which only its result lives on: a call of a lambda, a predicate, a step.
  struct Region {
    Arena::Mark mark;
    std::uint64_t pins;
    std::uint64_t outer;
  };
  Region enter() {
    const Region region{arena_.mark(), pool_->dynamic ? UINT64_MAX : pins_, region_};
    region_ = ++regions_;
    return region;
  }
  // Ends the region and gives its memory back if the result does not lie in it.
  Val leave(const Region& region, Val result);
  // The same where the result is of no use any more.
  void abandon(const Region& region) {
    region_ = region.outer;
    if (region.pins == pins_) arena_.release(region.mark);
  }
  // Within a region of which only `live` is still of use: gives the rest back, at once if nothing of `live`
  // lies in it, by copying (which changes `live`) when much has gathered, or not yet.
  void reclaim(const Region& region, std::span<Val> live);
  // Throws when the stack is used up: for every recursion over values.
  void check_stack() {
    // The frame's own address: a local's may lie elsewhere (sanitizers move locals to a stack of their own).
    const std::ptrdiff_t used = stack_base_ - static_cast<const char*>(__builtin_frame_address(0));
    if (static_cast<std::size_t>(used < 0 ? -used : used) > inputs_.limits.stack_bytes_max)
      nested_too_deeply();
  }
  // JSONata's truth; `undefined` is false here.
  bool truthy(Val value) {
    if (value.is_bool()) return value.boolean;
    return value.defined() && boolean_of(value);
  }
  // $boolean without the undefined case.
  bool boolean_of(Val value);
  bool equal(Val a, Val b);
  // The match object that a regular expression gives to a program.
  Val match_value(const Regex& regex, Val text, std::size_t from);
  Val sort(Val array, Val comparator);

 private:
  struct DepthGuard;

  Val eval(const Node& node, Val input, Frame* env);
  const Node* compile_text(std::string_view text);
  Val eval_full(const Node& node, Val input, Frame* env);
  Val negate(const Node& node, Val input, Frame* env);
  Val dispatch(const Node& node, Val input, Frame* env);
  Val make_function(const Node& node, Val input, Frame* env);
  static Val settle(Val result, bool keep_array) {
    if (result.tag != Tag::kArray || !result.array->sequence || result.array->tuples) return result;
    if (keep_array) result.array->keep_singleton = true;
    if (result.array->size == 0) return {};
    if (result.array->size == 1 && !result.array->keep_singleton) return result.array->at(0);
    return result;
  }
  [[noreturn]] static void nested_too_deeply();
  void check_time();

  Val lookup_variable(std::int32_t symbol, Frame* env);
  const Val* find_variable(std::int32_t symbol, Frame* env);
  // The member that a name step means. Where it was in the object before is remembered for each step: the
  // objects of a list are alike.
  Val named_member(const Node& name, Val object) {
    return member_near(object, name.key, name.place < places_max_ ? places_[name.place] : places_[0]);
  }
  void bind_variable(Frame* frame, std::int32_t symbol, Val value);
  Frame* make_frame(Frame* parent) {
    Frame* frame = arena_.make<Frame>();
    frame->parent = parent;
    frame->region = region_;
    return frame;
  }
  Frame* tuple_frame(Frame* parent, const Tuple& tuple);

  Val eval_path(const Node& node, Val input, Frame* env);
  Val eval_step(const Node& step, Val input, Frame* env, bool last);
  Val eval_tuple_step(const Node& step, Val input, Val tuples, Frame* env);
  void add_tuples(const Node& step, const Tuple& from, Val result, Arr* out);
  Val eval_stages(const Node& step, Val input, Frame* env);
  Val eval_filter(const Node& predicate, Val input, Frame* env);
  Val eval_sort(const Node& step, Val input, Frame* env);
  int compare_terms(Val a, Val b, const Term& term, const Node& step);
  Val eval_names(const Node& node, Val input, Frame* env, std::size_t& steps);
  Val eval_name_step(const Node& step, const Items& list, bool last);
  void check_key(Val key, std::uint32_t position) const;
  Val make_one_object(const List<Pair>& pairs, std::uint32_t position, Val item, Frame* env);
  Val eval_group(const List<Pair>& pairs, std::uint32_t position, Val input, Frame* env);
  Val eval_wildcard(Val input);
  Val eval_descendants(Val input);
  void descend(Val input, Arr* out);

  Val eval_binary(const Node& node, Val input, Frame* env);
  Val eval_array(const Node& node, Val input, Frame* env);
  Val arithmetic(const Node& node, Val a, Val b);
  Val comparison(const Node& node, Val a, Val b);
  Val range(const Node& node, Val a, Val b);

  Val eval_call(const Node& node, Val input, Frame* env, const Val* first);
  Val eval_partial(const Node& node, Val input, Frame* env);
  Val eval_apply(const Node& node, Val input, Frame* env);
  Val apply_once(Val function, std::span<const Val> arguments, Val context);
  Val call_builtin(const Builtin& builtin, std::span<const Val> arguments, Val context) {
    const auto valid = validate(builtin.signature, arguments, context);
    current_context_ = context;
    return builtin.native->body(*this, valid);
  }
  // The built-in function that a procedure names, where that can be said without evaluating it.
  const Builtin* builtin_of(const Node& procedure) const;
  Val continue_calls(Val thunk);
  Val apply_lambda(const Fn& fn, std::span<const Val> arguments, Val context);
  Val apply_partial(const Fn& fn, std::span<const Val> arguments);
  Val apply_transform(const Fn& fn, Val object);
  void update_match(const Node& node, Val match, Frame* env);
  std::span<const Val> validate(const Signature& signature, std::span<const Val> arguments, Val context);
  Val validated_argument(const Parameter& parameter, char letter, std::size_t letters, Val argument,
                         std::size_t index);

  const Inputs& inputs_;
  Mode mode_;
  Arena arena_;
  const NodePool* pool_;
  const Names* names_;  // The program's, or with $eval those of the latest text, which continue them.
  // What $eval has compiled.
  struct Texts {
    std::vector<std::unique_ptr<NodePool>> pools{};
    std::unordered_map<std::string, const Node*> roots{};  // By text.
    std::size_t bytes = 0;
  };
  std::unique_ptr<Texts> texts_;
  Frame* root_ = nullptr;
  Frame* current_frame_ = nullptr;  // Of the native call in progress, for $eval.
  Val current_context_{};
  std::size_t* places_ = nullptr;
  std::uint32_t places_max_ = 0;
  std::uint32_t depth_ = 0;
  std::uint64_t region_ = 0;   // The innermost.
  std::uint64_t regions_ = 0;  // So many were entered.
  std::uint64_t pins_ = 0;     // How often something older was made to refer to something newer.
  std::size_t reclaim_at_ = kReclaimBytesMin;
  std::uint64_t steps_ = 0;
  std::uint64_t next_check_ = 0;
  std::int64_t started_ms_ = 0;
  const char* stack_base_ = nullptr;
};

// The letter of a value's type in signatures: b n s l o a f m.
char letter_of(Val value);
// Its bit in signatures.
inline std::uint16_t type_bit(Tag tag) {
  constexpr std::uint16_t kBits[] = {letter_bit('m'), letter_bit('l'), letter_bit('b'), letter_bit('n'),
                                     letter_bit('s'), letter_bit('a'), letter_bit('a'), letter_bit('o'),
                                     letter_bit('o'), letter_bit('f'), letter_bit('m')};
  return kBits[static_cast<std::size_t>(tag)];
}
// Throws D1001 for Infinity and NaN... only for Infinity; NaN is no number.
bool is_numeric(Val value);
// $string of a defined value.
std::string string_of(Engine& engine, Val value, bool pretty = false);
Val clone(Engine& engine, Val value);
// The text in the form in which the regular expression wants it, see Regex::by_units; and a piece of it back.
Val regex_text(Engine& engine, const Regex& regex, Val text);
Val joined_text(Engine& engine, std::string_view piece);
std::string describe(Val value);  // For messages: JSON text, cut.

}  // namespace sortie::jsonata
