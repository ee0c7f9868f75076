// The file that a standalone program is checked with: weights, batches, and what another engine computed from them.
//
// Text lines, then data. Every line is one of
//
//   pacac-reference 1                  the first line
//   set NAME NUMBER                    steps, micro_batches, learning_rate, weight_decay, max_grad_norm, tolerances
//   entry TYPE COUNT OFFSET NAME       F32, BF16 or I32 values, little-endian, at OFFSET bytes from the file's start
//   end                                the last line
//
// Entries are tensors of the program by their names (weights, columns, tables, trained values at the start), and
//   batch.S.M.input_ids, .labels, .segment_ids   I32, micro-batch M of step S, both from 0
//   expect.losses, expect.norms                  F32, one a step
//   expect.gradient.NAME                         F32, of step 0 before any update
#pragma once
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights.hpp"

namespace pacac {

/// Values in the file.
struct ReferenceEntry {
  DType type;
  std::int64_t count, offset;
};

class Reference {
 public:
  /// @throws std::invalid_argument with the line that is wrong
  explicit Reference(const std::string& file) : file_(file), size_(size_of(file)), range_(file, 0, size_) { parse(); }

  const std::string& file() const { return file_; }
  const std::map<std::string, ReferenceEntry>& entries() const { return entries_; }

  double setting(const std::string& name) const {
    const auto found = settings_.find(name);
    if (found == settings_.end()) throw std::invalid_argument(file_ + ": there is no setting " + name);
    return found->second;
  }
  /// A setting that counts something. @throws std::invalid_argument where it is not in [1, most]
  std::size_t count(const std::string& name, double most) const {
    const double value = setting(name);
    if (!(value >= 1 && value <= most)) throw std::invalid_argument(file_ + ": " + name + " is out of range");
    return static_cast<std::size_t>(value);
  }

  std::vector<std::int32_t> ints(const std::string& name) const {
    const ReferenceEntry& entry = at(name, DType::i32);
    std::vector<std::int32_t> values(static_cast<std::size_t>(entry.count));
    std::memcpy(values.data(), range_.data() + entry.offset, 4 * values.size());
    return values;
  }
  std::vector<float> floats(const std::string& name) const {
    const ReferenceEntry& entry = at(name, DType::f32);
    std::vector<float> values(static_cast<std::size_t>(entry.count));
    std::memcpy(values.data(), range_.data() + entry.offset, 4 * values.size());
    return values;
  }

 private:
  static constexpr std::int64_t kMostLines = 1 << 20;

  static std::int64_t size_of(const std::string& file) {
    struct stat facts {};
    if (stat(file.c_str(), &facts) != 0) throw std::invalid_argument("Cannot read \"" + file + "\": there is no such file");
    return facts.st_size;
  }

  const ReferenceEntry& at(const std::string& name, DType type) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) throw std::invalid_argument(file_ + ": there is no entry " + name);
    if (found->second.type != type) throw std::invalid_argument(file_ + ": " + name + " has another type");
    return found->second;
  }

  [[noreturn]] void wrong(std::int64_t line, const char* why) const {
    throw std::invalid_argument(file_ + ":" + std::to_string(line) + ": " + why);
  }

  void parse() {
    std::string_view rest(reinterpret_cast<const char*>(range_.data()), static_cast<std::size_t>(size_));
    for (std::int64_t line = 1; line <= kMostLines; ++line) {
      const std::size_t end = rest.find('\n');
      if (end == std::string_view::npos) wrong(line, "the file ends before its line \"end\"");
      std::string_view text = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      if (line == 1) {
        if (text != "pacac-reference 1") wrong(line, "this is no reference file of version 1");
        continue;
      }
      const std::string_view kind = word(text);
      if (kind == "end") return;
      if (kind == "set") {
        const std::string name(word(text));
        settings_[name] = number<double>(word(text), line);
      } else if (kind == "entry") {
        add(text, line);
      } else {
        wrong(line, "a line begins with set, entry or end");
      }
    }
    wrong(kMostLines, "there are too many lines");
  }

  void add(std::string_view text, std::int64_t line) {
    const std::string_view type = word(text);
    ReferenceEntry entry{};
    if (type == "F32") entry.type = DType::f32;
    else if (type == "BF16") entry.type = DType::bf16;
    else if (type == "I32") entry.type = DType::i32;
    else wrong(line, "a type is F32, BF16 or I32");
    entry.count = number<std::int64_t>(word(text), line);
    entry.offset = number<std::int64_t>(word(text), line);
    const bool inside = entry.count >= 1 && entry.offset >= 0 && entry.offset <= size_ &&
                        entry.count <= (size_ - entry.offset) / bytes_of(entry.type);
    if (!inside) wrong(line, "the values are not in the file");
    if (text.empty() || !entries_.emplace(text, entry).second) wrong(line, "a name is missing or there twice");
  }

  /// Takes the first word off a text.
  static std::string_view word(std::string_view& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view found = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return found;
  }

  template <typename Number>
  Number number(std::string_view text, std::int64_t line) const {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) wrong(line, "a number is expected");
    return value;
  }

  std::string file_;
  std::int64_t size_;
  FileRange range_;
  std::map<std::string, ReferenceEntry> entries_;
  std::map<std::string, double> settings_;
};

}  // namespace pacac
