// Runs candidates of one kernel for the tuner, in a process of its own: a candidate that crashes ends this process alone.
//
// Lines on standard input are orders, each is answered by one line on standard output:
//
//   call OPERANDS COPIES SEED     new operands; a line each follows: DTYPE ELEMENTS ALIAS START FILL A B
//                                 ALIAS: an operand before it that is the same tensor, or -1
//                                 START: in, poison (must be overwritten), sum (is added to)
//                                 FILL:  uniform A B | below A | sorted A | starts A | positions A
//   load COUNT PATH               a shared object; COUNT lines follow: PER_THREAD SHARED bytes of scratch
//   reference ID                  runs it and keeps its outputs
//   check ID                      runs it: "error E" in units of max(|expected|, its rms), "guard" where it wrote beyond an operand
//   time ROUNDS MICROSECONDS ID…  seconds of each in turn, round by round; every figure is the best of that many microseconds
//
// Kernels are run as the engine runs them (runtime/engine.hpp): by all threads of a pool, timed from the begin of the first
// thread (one that wakes up late may find all parts taken) to the end of the slowest. A step's operands come from memory, so
// repetitions take turns over COPIES of them.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/arena.hpp"
#include "runtime/parts.hpp"
#include "runtime/pool.hpp"
#include "runtime/tile_permission.hpp"
#include "tune/operands.hpp"

namespace {

using pacac::fill;
using pacac::Kernel;
using pacac::Operand;
using pacac::Region;
using pacac::widened;
using pacac::Worker;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kGuard = 4096;  // bytes behind each operand that nobody may write
constexpr int kGuardByte = 0xA5;

/// The candidate that is running, for the signal handler.
volatile std::sig_atomic_t running = -1;

void on_crash(int signal) {
  char text[64];
  int length = 0;
  const auto put = [&](const char* part) {
    while (*part != 0) text[length++] = *part++;
  };
  const auto number = [&](int value) {
    char digits[12];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value > 0);
    while (count > 0) text[length++] = digits[--count];
  };
  put("crashed ");
  number(running < 0 ? 0 : running);
  put(" ");
  number(signal);
  put("\n");
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text, static_cast<std::size_t>(length));
  _exit(70);
}

struct Candidate {
  Kernel run;
  std::int64_t per_thread, shared;
};

class Bench {
 public:
  explicit Bench(int threads) : pool_(threads, false), begins_(at(threads)) {}

  void call(std::istringstream& order) {
    std::size_t count = 0;
    std::int64_t copies = 0;
    std::uint64_t seed = 0;
    order >> count >> copies >> seed;
    if (!order || count < 1 || count > 64 || copies < 1 || copies > 1024) throw std::invalid_argument("bad call");
    operands_.assign(count, {});
    candidates_.clear();
    expected_.clear();
    size_ = 0;
    for (Operand& operand : operands_) {
      std::istringstream line(next_line());
      line >> operand.dtype >> operand.elements >> operand.alias >> operand.start >> operand.fill >> operand.a >> operand.b;
      if (!line || operand.elements < 1 || operand.alias >= &operand - operands_.data()) throw std::invalid_argument("bad operand");
      operand.offset = operand.alias >= 0 ? operands_[at(operand.alias)].offset : size_;
      if (operand.alias < 0) size_ += (operand.bytes() + 63) / 64 * 64 + kGuard;
    }
    copies_ = copies;
    turn_ = 0;
    seconds_ = 0;
    seed_ = seed;
    memory_ = Region();
    memory_ = Region(size_ * copies);
    start(memory_.data());
    for (std::int64_t copy = 1; copy < copies; ++copy) {
      std::memcpy(memory_.data() + copy * size_, memory_.data(), at(size_));
    }
  }

  void load(std::istringstream& order) {
    std::size_t count = 0;
    std::string path;
    order >> count >> std::ws;
    std::getline(order, path);
    void* const object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object == nullptr) throw std::runtime_error(dlerror());
    const auto* const table = static_cast<const Kernel*>(dlsym(object, "pacac_candidates"));
    if (table == nullptr) throw std::runtime_error("the object has no table of candidates");
    for (std::size_t i = 0; i < count; ++i) {
      std::istringstream line(next_line());
      Candidate candidate{table[i], 0, 0};
      line >> candidate.per_thread >> candidate.shared;
      if (!line || candidate.per_thread < 0 || candidate.shared < 0) throw std::invalid_argument("bad workspace");
      candidates_.push_back(candidate);
      const std::int64_t need = (candidate.per_thread + 64) * pool_.threads() + candidate.shared + 64;
      if (need > static_cast<std::int64_t>(scratch_.size())) {
        scratch_ = Region();
        scratch_ = Region(need);
      }
    }
  }

  void reference(std::istringstream& order) {
    run_once(order);
    expected_.clear();
    for (const Operand& operand : operands_) {
      std::vector<double> values;
      if (operand.start != "in") {
        for (std::int64_t i = 0; i < operand.elements; ++i) values.push_back(value_of(operand, i));
      }
      expected_.push_back(std::move(values));
    }
  }

  /// The largest error of an element, in units of the expected value or of the operand's rms, whichever is larger.
  std::string check(std::istringstream& order) {
    run_once(order);
    for (const Operand& operand : operands_) {
      if (operand.alias >= 0) continue;
      const std::byte* const guard = memory_.data() + operand.offset + (operand.bytes() + 63) / 64 * 64;
      for (std::int64_t i = 0; i < kGuard; ++i) {
        if (guard[i] != static_cast<std::byte>(kGuardByte)) return "guard";
      }
    }
    double worst = 0;
    for (std::size_t o = 0; o < operands_.size(); ++o) {
      const std::vector<double>& expected = expected_.at(o);
      if (expected.empty()) continue;
      double squares = 0;
      for (const double value : expected) squares += value * value;
      const double rms = std::sqrt(squares / static_cast<double>(expected.size()));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double found = value_of(operands_[o], static_cast<std::int64_t>(i));
        const double error = std::fabs(found - expected[i]) / (std::fabs(expected[i]) + rms + 1e-30);
        if (!(error <= worst)) worst = error;  // NaN comes through and stays
        if (std::isnan(worst)) return "error nan";
      }
    }
    char text[64];
    std::snprintf(text, sizeof text, "error %.6g", worst);
    return text;
  }

  std::string time(std::istringstream& order) {
    int rounds = 0;
    double least = 0;
    order >> rounds >> least;
    std::vector<int> ids;
    for (int id; order >> id;) ids.push_back(id);
    if (rounds < 1 || rounds > 10000 || ids.empty()) throw std::invalid_argument("bad time");
    warm_up(ids[0]);
    // One measurement takes `least` microseconds; as many repetitions for all, so that all see the copies alike.
    if (!(seconds_ > 0)) seconds_ = measure(ids[0], 1);
    const double wanted = least * 1e-6 / (seconds_ > 1e-9 ? seconds_ : 1e-9);
    const int repetitions = wanted > 4096 ? 4096 : wanted < 1 ? 1 : static_cast<int>(std::ceil(wanted));
    std::string text;
    for (int round = 0; round < rounds; ++round) {
      for (const int id : ids) {
        char figure[32];
        std::snprintf(figure, sizeof figure, " %.9g", measure(id, repetitions));
        text += figure;
      }
    }
    return "times" + text;
  }

  static std::string next_line() {
    std::string line;
    if (!std::getline(std::cin, line)) throw std::runtime_error("input ended");
    return line;
  }

 private:
  /// A core that comes from other work takes tens of milliseconds to its full rate with wide registers.
  void warm_up(int id) {
    constexpr std::chrono::milliseconds kEnough{60};
    const Clock::time_point begin = Clock::now();
    do measure(id, 1);
    while (Clock::now() - begin < kEnough);
  }

  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

  /// Inputs get their values; what is written is poison (all bits set is NaN), or where it is added to, a fixed start.
  void start(std::byte* copy) {
    for (std::size_t o = 0; o < operands_.size(); ++o) {
      const Operand& operand = operands_[o];
      if (operand.alias >= 0) continue;
      std::byte* const to = copy + operand.offset;
      const std::int64_t padded = (operand.bytes() + 63) / 64 * 64;
      std::memset(to + padded, kGuardByte, at(kGuard));
      if (operand.start == "poison") {
        std::memset(to, 0xff, at(operand.bytes()));
      } else {
        fill(operand, to, seed_ * 0x100000001b3ULL + (o << 40));
      }
    }
  }

  void run_once(std::istringstream& order) {
    int id = -1;
    order >> id;
    start(memory_.data());
    if (scratch_.data() != nullptr) std::memset(scratch_.data(), 0xff, scratch_.size());
    turn_ = 0;
    measure(id, 1);
  }

  double value_of(const Operand& operand, std::int64_t i) const {
    const std::byte* const from = memory_.data() + operand.offset;
    if (operand.dtype == "bf16") {
      std::uint16_t half;
      std::memcpy(&half, from + 2 * i, 2);
      return widened(half);
    }
    if (operand.dtype == "i32") {
      std::int32_t number;
      std::memcpy(&number, from + 4 * i, 4);
      return number;
    }
    float value;
    std::memcpy(&value, from + 4 * i, 4);
    return value;
  }

  struct Job {
    Bench* bench;
    const Candidate* candidate;
    int repetitions;
    double seconds;
  };

  /// Seconds of the best of some runs: other processes can only make one slower.
  double measure(int id, int repetitions) {
    if (id < 0 || at(id) >= candidates_.size()) throw std::out_of_range("no such candidate");
    Job job{this, &candidates_[at(id)], repetitions, 0};
    running = id;
    parts_.reset();
    pool_.run(
        [](void* context, int thread) {
          Job& job = *static_cast<Job*>(context);
          job.bench->work(job, thread);
        },
        &job);
    running = -1;
    turn_ = (turn_ + repetitions) % copies_;
    return job.seconds;
  }

  void work(Job& job, int thread) {
    const std::int64_t per_thread = (job.candidate->per_thread + 63) / 64 * 64;
    std::byte* const scratch = scratch_.data();
    Worker worker{thread, pool_.threads(), scratch + thread * per_thread, scratch + pool_.threads() * per_thread,
                  pool_.barrier()};
    double best = std::numeric_limits<double>::infinity();
    void* operand[64];
    for (int i = 0; i < job.repetitions; ++i) {
      std::byte* const copy = memory_.data() + (turn_ + i) % copies_ * size_;
      for (std::size_t o = 0; o < operands_.size(); ++o) operand[o] = copy + operands_[o].offset;
      worker.next = parts_.of(i, thread);
      worker.barrier->wait();
      begins_[at(thread)] = Clock::now();
      job.candidate->run(operand, worker);
      worker.barrier->wait();
      if (thread > 0) continue;
      const Clock::time_point end = Clock::now(), begin = *std::min_element(begins_.begin(), begins_.end());
      best = std::min(best, std::chrono::duration<double>(end - begin).count());
    }
    if (thread == 0) job.seconds = best;
  }

  pacac::Pool pool_;
  pacac::PartCounters parts_;
  std::vector<Clock::time_point> begins_;  // one a thread
  std::vector<Operand> operands_;
  std::vector<Candidate> candidates_;
  std::vector<std::vector<double>> expected_;
  Region memory_, scratch_;
  std::int64_t size_ = 0, copies_ = 1, turn_ = 0;
  std::uint64_t seed_ = 0;
  double seconds_ = 0;
};

std::string obey(Bench& bench, const std::string& line) {
  std::istringstream order(line);
  std::string word;
  order >> word;
  if (word == "check") return bench.check(order);
  if (word == "time") return bench.time(order);
  if (word == "call") {
    bench.call(order);
  } else if (word == "load") {
    bench.load(order);
  } else if (word == "reference") {
    bench.reference(order);
  } else {
    throw std::invalid_argument("no such order: " + word);
  }
  return "ok";
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
  if (threads < 1 || threads > 1024) return 2;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, on_crash);
  pacac::allow_tiles();  // a candidate that uses them all the same crashes, and is told
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches the tuner too, which ends this process
  try {
    Bench bench(threads);
    for (std::string line; std::getline(std::cin, line);) {
      std::string answer;
      try {
        answer = obey(bench, line);
      } catch (const std::exception& error) {
        answer = std::string("failed ") + error.what();
      }
      std::cout << answer << std::endl;
    }
  } catch (const std::exception& error) {
    std::cout << "failed " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
