// operator new and delete of this addon: malloc and free with a count (see allocations.hpp).
#include "runtime/allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

void* allocate(std::size_t bytes) {
  pacac::Counted::note();
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* allocate(std::size_t bytes, std::align_val_t alignment) {
  pacac::Counted::note();
  const std::size_t grain = static_cast<std::size_t>(alignment);
  void* const memory = std::aligned_alloc(grain, (bytes + grain - 1) / grain * grain);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, std::align_val_t grain) { return allocate(bytes, grain); }
void* operator new[](std::size_t bytes, std::align_val_t grain) { return allocate(bytes, grain); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
