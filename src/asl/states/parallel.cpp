#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kParallelFields[] = {
    {.name = "Branches", .kind = FieldKind::kArray, .required = true},
};

void compile_parallel(StateBuild& in) {
  Parallel parallel;
  if (const json::Value* branches = in.fields.find("Branches"); branches != nullptr && branches->is_array()) {
    const Where where = in.fields.at("Branches");
    if (branches->empty()) in.diagnostics().schema(where, "List must contain at least 1 item");
    for (std::size_t i = 0; i < branches->size(); ++i) {
      parallel.branches.push_back(
          compile_flow(in.build, (*branches)[i], where.item(i), {}, in.flow, in.index));
    }
  }
  in.state.body = std::move(parallel);
}

}  // namespace

const StateKind& parallel_kind() {
  static const StateKind kKind{
      StateType::kParallel, "Parallel", kParallelFields, true, true, true, true, true, compile_parallel};
  return kKind;
}

}  // namespace sortie::asl
