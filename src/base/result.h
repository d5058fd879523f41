#pragma once
// Result<T> is how a function that can fail for reasons its caller must handle answers: a value or an Error.
// Exceptions are for bugs and for libraries, and are caught at the door of the folder that uses the library.
//
// An Error carries a code (the wire name where one exists, e.g. "InvalidDefinition" or "States.Runtime"), a
// message for people, and optionally a place (JSON pointer, file:line:column) and a hint that says what to
// do.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sortie {

struct Error {
  std::string code;
  std::string message;
  std::string place;
  std::string hint;

  bool operator==(const Error&) const = default;
};

// One line for logs and terminals: "code: message (at place). hint".
std::string to_text(const Error& error);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const T& value() const& { return std::get<0>(state_); }
  T& value() & { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {
  bool operator==(const Unit&) const = default;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

// A bug in our own code: prints what and where to stderr and aborts. Never for bad input.
[[noreturn]] void fail_check(const char* expression, const char* file, int line);

}  // namespace sortie

// States what must hold; a violation is a bug of ours and ends the process before it can write nonsense.
#define SORTIE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::sortie::fail_check(#condition, __FILE__, __LINE__))

#define SORTIE_CONCAT_INNER(a, b) a##b
#define SORTIE_CONCAT(a, b) SORTIE_CONCAT_INNER(a, b)

// SORTIE_TRY(auto value, parse(text)): takes the value or returns the error to the caller.
#define SORTIE_TRY(declaration, expression)                            \
  auto SORTIE_CONCAT(sortie_result_, __LINE__) = (expression);         \
  if (!SORTIE_CONCAT(sortie_result_, __LINE__)) {                      \
    return std::move(SORTIE_CONCAT(sortie_result_, __LINE__)).error(); \
  }                                                                    \
  declaration = std::move(SORTIE_CONCAT(sortie_result_, __LINE__)).value()

// SORTIE_TRY_STATUS(check(x)): returns the error of a Status to the caller.
#define SORTIE_TRY_STATUS(expression)                            \
  do {                                                           \
    auto sortie_status = (expression);                           \
    if (!sortie_status) return std::move(sortie_status).error(); \
  } while (false)
