#include "asl/diagnostics.h"

namespace sortie::asl {
namespace {

void append_location(const Where& where, std::string& out) {
  if (where.parent == nullptr) return;
  append_location(*where.parent, out);
  if (where.index >= 0) {
    out += '[' + std::to_string(where.index) + ']';
  } else {
    out += '/';
    out += where.key;
  }
}

void append_pointer(const Where& where, std::string& out) {
  if (where.parent == nullptr) return;
  append_pointer(*where.parent, out);
  out += '/';
  if (where.index >= 0) {
    out += std::to_string(where.index);
    return;
  }
  for (const char c : where.key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
}

Diagnostic make_diagnostic(std::string_view code, const Where& where, std::string message) {
  return {.severity = Diagnostic::Severity::kError,
          .code = std::string(code),
          .message = std::move(message),
          .location = where.location(),
          .pointer = where.pointer()};
}

}  // namespace

std::string Where::location() const {
  std::string out;
  append_location(*this, out);
  return out.empty() ? "/" : out;
}

std::string Where::pointer() const {
  std::string out;
  append_pointer(*this, out);
  return out;
}

void Diagnostics::error(std::string_view code, const Where& where, std::string message) {
  if (errors_.size() < kDiagnosticsMax) errors_.push_back(make_diagnostic(code, where, std::move(message)));
}

void Diagnostics::unsupported(const Where& where, std::string message) {
  if (unsupported_.size() < kDiagnosticsMax) {
    unsupported_.push_back(make_diagnostic(kNotSupportedYet, where, std::move(message)));
  }
}

void Diagnostics::add(Diagnostic diagnostic) {
  if (errors_.size() < kDiagnosticsMax) errors_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> Diagnostics::take() {
  return errors_.empty() ? std::move(unsupported_) : std::move(errors_);
}

}  // namespace sortie::asl
