// The one function of the engine that generated schedules call.
#include "runtime/engine.hpp"

namespace pacac {

void Run::operator()(const KernelEntry& kernel, const std::int32_t* at) {
  engine_->call(kernel, at, *this);
}

}  // namespace pacac
