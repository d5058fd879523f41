#pragma once
// Shared<T> is a T that many hold and nobody changes: a copy of it is a pointer, and reads like the T. For
// what goes along with many small things, such as the facts of an execution with each of its tasks.
#include <memory>
#include <utility>

namespace sortie {

template <typename T>
class Shared {
 public:
  Shared() : value_(nothing()) {}
  Shared(T value) : value_(std::make_shared<const T>(std::move(value))) {}
  // A part of something that is shared already; never null.
  explicit Shared(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }

  // A copy of its own, to be changed; for who puts one together piece by piece.
  T& edit() {
    auto own = std::make_shared<T>(*value_);
    T& value = *own;
    value_ = std::move(own);
    return value;
  }

 private:
  static const std::shared_ptr<const T>& nothing() {
    static const std::shared_ptr<const T> value = std::make_shared<const T>();
    return value;
  }
  std::shared_ptr<const T> value_;
};
template <typename T>
Shared(std::shared_ptr<const T>) -> Shared<T>;

}  // namespace sortie
