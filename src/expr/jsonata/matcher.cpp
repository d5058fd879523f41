#include "expr/jsonata/matcher.h"

#include <algorithm>
#include <cstring>

#include "expr/jsonata/utf.h"

namespace sortie::jsonata {
namespace matching {

constexpr std::size_t kSourceBytesMax = 1000;
constexpr std::size_t kStepsMax = 500;
constexpr int kDepthMax = 50;
constexpr std::uint32_t kUnlimited = UINT32_MAX;
constexpr std::uint32_t kLast = 0x10FFFF;

constexpr std::pair<std::uint32_t, std::uint32_t> kBlanks[] = {
    {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
    {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};

bool is_word(int c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }
bool is_line_end(std::uint32_t c) { return c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029; }

// Thrown by the parser, caught in compile(): not a pattern for this machine.
struct NotOurs {};

}  // namespace matching

bool Matcher::Set::has(std::uint32_t c) const {
  if (c < 128) return ((ascii[c >> 6] >> (c & 63)) & 1) != (negated ? 1u : 0u);
  const bool within = std::any_of(ranges.begin(), ranges.end(),
                                  [c](auto range) { return c >= range.first && c <= range.second; });
  return within != negated;
}

class MatcherParser {
 public:
  MatcherParser(Matcher& out, std::string_view source, bool ignore_case)
      : out_(out), source_(source), ignore_case_(ignore_case) {}

  void run() {
    emit({.code = Code::kSave, .number = 0});
    alternatives(0);
    if (at_ < source_.size()) throw matching::NotOurs{};
    emit({.code = Code::kSave, .number = 1});
    emit({.code = Code::kMatch});
    out_.groups_ = groups_;
    for (Step& step : out_.steps_) {
      if (step.code == Code::kChoice) step.number = static_cast<std::uint32_t>(out_.choices_++);
    }
    for (std::size_t i = 1; out_.steps_[i].code == Code::kCharacter && out_.steps_[i].number < 128; ++i)
      out_.prefix_ += static_cast<char>(out_.steps_[i].number);
    out_.at_begin_ = out_.steps_[1].code == Code::kBegin && !out_.multiline_;
  }

 private:
  using Code = Matcher::Code;
  using Step = Matcher::Step;
  using Set = Matcher::Set;

  bool more() const { return at_ < source_.size(); }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  void emit(Step step) {
    if (out_.steps_.size() >= matching::kStepsMax) throw matching::NotOurs{};
    out_.steps_.push_back(step);
  }
  void insert(std::size_t at, Step step) {
    emit({});
    std::move_backward(out_.steps_.begin() + static_cast<std::ptrdiff_t>(at), out_.steps_.end() - 1,
                       out_.steps_.end());
    out_.steps_[at] = step;
  }
  std::size_t end() const { return out_.steps_.size(); }
  static std::int32_t offset(std::size_t distance) { return static_cast<std::int32_t>(distance); }

  // Each of these says whether what it read can match nothing.
  bool alternatives(int depth) {
    if (depth > matching::kDepthMax) throw matching::NotOurs{};
    const std::size_t start = end();
    bool empty = sequence(depth);
    if (!more() || peek() != '|') return empty;
    ++at_;
    insert(start, {.code = Code::kChoice, .x = 1, .y = offset(end() - start + 2)});
    const std::size_t jump = end();
    emit({.code = Code::kJump});
    empty = alternatives(depth + 1) || empty;
    out_.steps_[jump].x = offset(end() - jump);
    return empty;
  }

  bool sequence(int depth) {
    bool empty = true;
    while (more() && peek() != '|' && peek() != ')') empty = quantified(depth) && empty;
    return empty;
  }

  bool quantified(int depth) {
    const std::size_t start = end();
    const std::size_t groups_before = groups_;
    bool edge = false;
    const bool empty = atom(depth, edge);
    std::uint32_t least = 1;
    std::uint32_t most = 1;
    if (!quantifier(least, most)) return empty;
    const bool lazy = more() && peek() == '?';
    if (lazy) ++at_;
    if (edge || (empty && most > 1)) throw matching::NotOurs{};
    if (more() && std::string_view("*+?{").find(peek()) != std::string_view::npos) throw matching::NotOurs{};
    if (groups_ > groups_before)
      insert(start, {.code = Code::kClear, .x = offset(groups_before + 1), .y = offset(groups_)});
    repeat(start, least, most, lazy);
    return empty || least == 0;
  }

  bool quantifier(std::uint32_t& least, std::uint32_t& most) {
    if (!more()) return false;
    const char c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      least = c == '+' ? 1 : 0;
      most = c == '?' ? 1 : matching::kUnlimited;
      return true;
    }
    if (c != '{') return false;
    ++at_;
    least = most = number();
    if (peek() == ',') {
      ++at_;
      most = peek() == '}' ? matching::kUnlimited : number();
    }
    if (peek() != '}' || most < least) throw matching::NotOurs{};
    ++at_;
    return true;
  }

  std::uint32_t number() {
    std::uint32_t value = 0;
    const std::size_t from = at_;
    while (peek() >= '0' && peek() <= '9' && at_ - from < 4)
      value = value * 10 + static_cast<std::uint32_t>(source_[at_++] - '0');
    if (at_ == from) throw matching::NotOurs{};
    return value;
  }

  void choice(std::size_t at, std::int32_t on, std::int32_t off, bool lazy) {
    insert(at, {.code = Code::kChoice, .x = lazy ? off : on, .y = lazy ? on : off});
  }

  // Turns the block from `start` on into so many repetitions of it.
  void repeat(std::size_t start, std::uint32_t least, std::uint32_t most, bool lazy) {
    const std::vector<Step> block(out_.steps_.begin() + static_cast<std::ptrdiff_t>(start),
                                  out_.steps_.end());
    const auto add = [&] {
      for (const Step& step : block) emit(step);
    };
    out_.steps_.resize(start);
    for (std::uint32_t i = 0; i < least; ++i) add();
    const std::int32_t size = offset(block.size());
    if (most == matching::kUnlimited) {
      if (least > 0) {  // Back to the last repetition.
        choice(end(), -size, 1, lazy);
        return;
      }
      choice(end(), 1, size + 2, lazy);
      add();
      emit({.code = Code::kJump, .x = -(size + 1)});
      return;
    }
    std::vector<std::size_t> exits;
    for (std::uint32_t i = least; i < most; ++i) {
      exits.push_back(end());
      emit({.code = Code::kChoice});
      add();
    }
    for (const std::size_t at : exits) {
      const std::int32_t off = offset(end() - at);
      out_.steps_[at].x = lazy ? off : 1;
      out_.steps_[at].y = lazy ? 1 : off;
    }
  }

  bool atom(int depth, bool& edge) {
    const char c = source_[at_];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        ++at_;
        bracket();
        return false;
      case '.': {
        ++at_;
        Set set{.negated = true};
        for (const std::uint32_t end : {0x0Au, 0x0Du, 0x2028u, 0x2029u}) add(set, end, end);
        use(std::move(set));
        return false;
      }
      case '^':
      case '$':
        ++at_;
        edge = true;
        emit({.code = c == '^' ? Code::kBegin : Code::kEnd});
        return true;
      case '\\':
        return escape(edge);
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        throw matching::NotOurs{};
      default:
        character(next_code_point(source_, at_));
        return false;
    }
  }

  bool group(int depth) {
    ++at_;
    std::size_t number = 0;
    if (peek() != '?') {
      number = ++groups_;
      emit({.code = Code::kSave, .number = static_cast<std::uint32_t>(number * 2)});
    } else if (peek(1) == ':') {
      at_ += 2;
    } else {
      throw matching::NotOurs{};
    }
    const bool empty = alternatives(depth + 1);
    if (!more()) throw matching::NotOurs{};
    ++at_;
    if (number > 0) emit({.code = Code::kSave, .number = static_cast<std::uint32_t>(number * 2 + 1)});
    return empty;
  }

  void character(std::uint32_t c) {
    const bool letter = c < 128 && matching::is_word(static_cast<int>(c)) && c != '_' && (c | 32) >= 'a';
    if (ignore_case_ && c >= 128) throw matching::NotOurs{};
    if (ignore_case_ && letter) {
      Set set;
      add(set, c, c);
      use(std::move(set));
      return;
    }
    emit({.code = Code::kCharacter, .number = c});
  }

  void use(Set set) {
    emit({.code = Code::kSet, .number = static_cast<std::uint32_t>(out_.sets_.size())});
    out_.sets_.push_back(std::move(set));
  }

  void add(Set& set, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t c = from; c <= to && c < 128; ++c) {
      set.ascii[c >> 6] |= std::uint64_t{1} << (c & 63);
      const std::uint32_t other = c ^ 32;
      if (ignore_case_ && (c | 32) >= 'a' && (c | 32) <= 'z')
        set.ascii[other >> 6] |= std::uint64_t{1} << (other & 63);
    }
    if (to >= 128) set.ranges.emplace_back(std::max(from, 128u), to);
  }

  // \d \w \s and their opposites.
  void add_class(Set& set, char letter) {
    const bool opposite = letter < 'a';
    const char kind = static_cast<char>(letter | 32);
    for (std::uint32_t c = 0; c < 128; ++c) {
      const bool within = kind == 'd'   ? c >= '0' && c <= '9'
                          : kind == 'w' ? matching::is_word(static_cast<int>(c))
                                        : c == ' ' || (c >= 9 && c <= 13);
      if (within != opposite) set.ascii[c >> 6] |= std::uint64_t{1} << (c & 63);
    }
    if (kind == 's' && !opposite) {
      for (const auto& [from, to] : matching::kBlanks) set.ranges.emplace_back(from, to);
    } else if (kind == 's') {
      std::uint32_t from = 128;
      for (const auto& [first, last] : matching::kBlanks) {
        set.ranges.emplace_back(from, first - 1);
        from = last + 1;
      }
      set.ranges.emplace_back(from, matching::kLast);
    } else if (opposite) {
      set.ranges.emplace_back(128, matching::kLast);
    }
  }

  static bool is_class(char c) {
    return c != '\0' && std::string_view("dDwWsS").find(c) != std::string_view::npos;
  }

  bool hexadecimal(std::size_t digits, std::uint32_t& value) {
    value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = peek(i);
      const bool decimal = c >= '0' && c <= '9';
      if (!decimal && !((c | 32) >= 'a' && (c | 32) <= 'f')) return false;
      value = value * 16 + static_cast<std::uint32_t>(decimal ? c - '0' : (c | 32) - 'a' + 10);
    }
    at_ += digits;
    return true;
  }

  // The character behind a backslash; `at_` is at the letter.
  std::uint32_t escaped(bool in_class) {
    constexpr std::string_view kFrom = "nrtvf";
    constexpr std::string_view kTo = "\n\r\t\v\f";
    if (!more()) throw matching::NotOurs{};
    const char c = source_[at_];
    if (const std::size_t known = kFrom.find(c); known != std::string_view::npos) {
      ++at_;
      return static_cast<unsigned char>(kTo[known]);
    }
    if (c == 'b' && in_class) {
      ++at_;
      return 8;
    }
    if (c == 'x' || c == 'u') {
      ++at_;
      std::uint32_t value = 0;
      if (!hexadecimal(c == 'x' ? 2 : 4, value)) throw matching::NotOurs{};
      return value;
    }
    if (static_cast<unsigned char>(c) >= 128 || matching::is_word(c)) throw matching::NotOurs{};
    ++at_;
    return static_cast<unsigned char>(c);
  }

  bool escape(bool& edge) {
    ++at_;
    const char c = peek();
    if (is_class(c)) {
      ++at_;
      Set set;
      add_class(set, c);
      use(std::move(set));
      return false;
    }
    if (c == 'b' || c == 'B') {
      ++at_;
      edge = true;
      emit({.code = c == 'b' ? Code::kWordEdge : Code::kNoWordEdge});
      return true;
    }
    character(escaped(false));
    return false;
  }

  void bracket() {
    Set set;
    if (peek() == '^') {
      set.negated = true;
      ++at_;
    }
    while (true) {
      if (!more()) throw matching::NotOurs{};
      if (peek() == ']') break;
      if (peek() == '\\' && is_class(peek(1))) {
        add_class(set, peek(1));
        at_ += 2;
        if (peek() == '-' && peek(1) != ']') throw matching::NotOurs{};
        continue;
      }
      const std::uint32_t from = member();
      std::uint32_t to = from;
      if (peek() == '-' && peek(1) != ']' && at_ + 1 < source_.size()) {
        ++at_;
        if (peek() == '\\' && is_class(peek(1))) throw matching::NotOurs{};
        to = member();
        if (to < from) throw matching::NotOurs{};
      }
      if (ignore_case_ && to >= 128) throw matching::NotOurs{};
      add(set, from, to);
    }
    ++at_;
    use(std::move(set));
  }

  std::uint32_t member() {
    if (peek() != '\\') return next_code_point(source_, at_);
    ++at_;
    return escaped(true);
  }

  Matcher& out_;
  std::string_view source_;
  bool ignore_case_;
  std::size_t at_ = 0;
  std::size_t groups_ = 0;
};

std::unique_ptr<const Matcher> Matcher::compile(std::string_view source, bool ignore_case, bool multiline) {
  if (source.size() > matching::kSourceBytesMax) return nullptr;
  auto matcher = std::make_unique<Matcher>();
  matcher->multiline_ = multiline;
  matcher->steps_.reserve(source.size() + 8);
  try {
    MatcherParser(*matcher, source, ignore_case).run();
  } catch (const matching::NotOurs&) {
    return nullptr;
  }
  return matcher;
}

// One search through one text.
struct Matcher::Run {
  // Go on with `step` at `place`; or, with `slot`, put the old `place` back into it.
  struct Job {
    std::int32_t step;
    std::uint32_t slot;
    std::size_t place;
  };
  static constexpr std::uint32_t kGo = UINT32_MAX;

  Run(const Matcher& machine, std::string_view all, std::size_t from, std::span<std::size_t> slots)
      : m(machine), text(all), first(from), places(slots) {
    const std::size_t words = m.choices_ * (text.size() + 1 - first) / 64 + 1;
    if (words > std::size(few)) {
      many.resize(words);
      failed = many.data();
    }
  }

  bool is_word_at(std::size_t at) const {
    return at < text.size() && matching::is_word(static_cast<unsigned char>(text[at]));
  }
  bool line_ends_before(std::size_t at) const {
    if (at == 0) return true;
    if (!m.multiline_) return false;
    while (at > 1 && (text[at - 1] & 0xC0) == 0x80) --at;
    return matching::is_line_end(next_code_point(text, --at));
  }
  bool line_ends_at(std::size_t at) const {
    return at == text.size() || (m.multiline_ && matching::is_line_end(next_code_point(text, at)));
  }

  bool seen(const Step& step, std::size_t at) {
    const std::size_t bit = (at - first) * m.choices_ + step.number;
    const std::uint64_t mask = std::uint64_t{1} << (bit & 63);
    if ((failed[bit >> 6] & mask) != 0) return true;
    failed[bit >> 6] |= mask;
    return false;
  }

  void save(std::uint32_t slot, std::size_t value) {
    jobs.push_back({0, slot, places[slot]});
    places[slot] = value;
  }

  // Whether the step itself lets the search go on; moves `pc` and `at`.
  bool take(const Step& step, std::int32_t& pc, std::size_t& at) {
    switch (step.code) {
      case Code::kCharacter:
        if (step.number < 128) {
          if (at >= text.size() || static_cast<unsigned char>(text[at]) != step.number) return false;
          ++at;
        } else if (at >= text.size() || next_code_point(text, at) != step.number) {
          return false;
        }
        break;
      case Code::kSet:
        if (at >= text.size() || !m.sets_[step.number].has(next_code_point(text, at))) return false;
        break;
      case Code::kChoice:
        if (seen(step, at)) return false;
        jobs.push_back({pc + step.y, kGo, at});
        pc += step.x;
        return true;
      case Code::kJump:
        pc += step.x;
        return true;
      case Code::kSave:
        save(step.number, at);
        break;
      case Code::kClear:
        for (std::int32_t group = step.x; group <= step.y; ++group) {
          save(static_cast<std::uint32_t>(group * 2), kNone);
          save(static_cast<std::uint32_t>(group * 2 + 1), kNone);
        }
        break;
      case Code::kBegin:
        if (!line_ends_before(at)) return false;
        break;
      case Code::kEnd:
        if (!line_ends_at(at)) return false;
        break;
      case Code::kWordEdge:
      case Code::kNoWordEdge: {
        const bool edge = is_word_at(at) != (at > 0 && is_word_at(at - 1));
        if (edge != (step.code == Code::kWordEdge)) return false;
        break;
      }
      case Code::kMatch:
        break;
    }
    ++pc;
    return true;
  }

  bool match_at(std::size_t start) {
    jobs.clear();
    jobs.push_back({0, kGo, start});
    while (!jobs.empty()) {
      const Job job = jobs.back();
      jobs.pop_back();
      if (job.slot != kGo) {
        places[job.slot] = job.place;
        continue;
      }
      std::int32_t pc = job.step;
      std::size_t at = job.place;
      while (true) {
        const Step& step = m.steps_[static_cast<std::size_t>(pc)];
        if (step.code == Code::kMatch) return true;
        if (!take(step, pc, at)) break;
      }
    }
    return false;
  }

  const Matcher& m;
  std::string_view text;
  std::size_t first;
  std::span<std::size_t> places;
  std::uint64_t few[16] = {};
  std::vector<std::uint64_t> many;
  std::uint64_t* failed = few;
  std::vector<Job> jobs;
};

bool Matcher::find(std::string_view text, std::size_t from, std::span<std::size_t> places) const {
  std::fill(places.begin(), places.end(), kNone);  // A failed start puts back what it saved.
  Run run(*this, text, from, places);
  run.jobs.reserve(32);
  for (std::size_t start = from; start <= text.size();) {
    if (!prefix_.empty()) {
      start = text.find(prefix_, start);
      if (start == std::string_view::npos) return false;
    }
    if (run.match_at(start)) return true;
    if (at_begin_ || start >= text.size()) return false;
    next_code_point(text, start);
  }
  return false;
}

}  // namespace sortie::jsonata
