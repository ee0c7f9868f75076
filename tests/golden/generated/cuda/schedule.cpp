// tiny for cuda (sm_80), 2 x 32 tokens
//
// The schedule of a step. One thread walks it once, while the stream is captured as a graph; the
// graph is replayed. Numbers are rows of program.cpp's table of tensors; comments say what the
// tensors are to the kernel: inputs -> outputs.
#include "runtime/program.hpp"

namespace pacac {

// The kernels, each in its own file under kernels/ (program.cpp lists them).
namespace use {
extern const KernelEntry documents_T64_fe190a66;
extern const KernelEntry embed_T64_V64_D64_6863d624;
extern const KernelEntry rms_norm_T64_D64_e3f22057;
extern const KernelEntry linear_group_T64_K64_O64_R8_7efd06d6;
extern const KernelEntry attention_T64_Q64_K64_H2_f5a49874;
extern const KernelEntry linear_T64_K64_O64_R8_d539c7e3;
extern const KernelEntry linear_group_T64_K64_O64_R8_d4eb088d;
extern const KernelEntry lm_head_loss_T64_D64_V64_b8c6fe11;
extern const KernelEntry mean_loss_T64_64519980;
extern const KernelEntry lm_head_logits_T64_D64_V64_C64_cc0cb9d3;
extern const KernelEntry rms_norm_backward_T64_D64_8b513b3c;
extern const KernelEntry linear_backward_weight_T64_O64_R8_42b051af;
extern const KernelEntry linear_backward_input_T64_O64_K64_R8_12d88ba6;
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_951052d8;
extern const KernelEntry rms_norm_backward_T64_D64_1d729022;
extern const KernelEntry linear_backward_input_T64_O64_K64_R8_4209bf18;
extern const KernelEntry attention_backward_T64_Q64_K64_H2_5f0bd492;
extern const KernelEntry rope_T64_Q64_S32_P32_fa808bd7;
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_d76ff569;
extern const KernelEntry global_norm_P7168_12d1fd2c;
extern const KernelEntry adamw_P7168_d0a13406;
}  // namespace use

namespace {

// Tensors of forward_layer, a row for each of layers 0 to 1.
constexpr std::int32_t forward_tensors1[2][60] = {
    // layer 0
    {9,  10, 11, 12, 11,  13, 68, 96,  16, 70,  98, 18,  72, 100, 15, 97,  17,  99, 19,  101,
     6,  14, 6,  14, 15,  17, 19, 5,   20, 21,  20, 22,  74, 102, 23, 103, 9,   23, 24,  25,
     26, 25, 27, 76, 104, 29, 78, 106, 28, 105, 30, 107, 31, 31,  32, 80,  108, 33, 109, 23},
    // layer 1
    {33, 34, 35, 36, 35,  37, 82, 110, 39, 84,  112, 41,  86, 114, 38, 111, 40,  113, 42,  115,
     6,  14, 6,  14, 38,  40, 42, 5,   43, 44,  43,  45,  88, 116, 46, 117, 33,  46,  47,  48,
     49, 48, 50, 90, 118, 52, 92, 120, 51, 119, 53,  121, 54, 54,  55, 94,  122, 56,  123, 46},
};

// One layer; `at` is its row of tensors.
void forward_layer(Run& run, const std::int32_t* at) {
  run(use::rms_norm_T64_D64_e3f22057, at + 0);  // x, weight -> y, inverse_rms
  run(use::linear_group_T64_K64_O64_R8_7efd06d6,
      at + 4);  // x, weight.0, delta.0, index.0, weight.1, delta.1, index.1, weight.2, delta.2,
                // index.2, position.0, table.0, position.1, table.1 -> y.0, x_p.0, y.1, x_p.1, y.2,
                // x_p.2
  run(use::attention_T64_Q64_K64_H2_f5a49874, at + 24);  // q, k, v, start -> y, lse
  run(use::linear_T64_K64_O64_R8_d539c7e3, at + 30);  // x, weight, delta, index, residual -> y, x_p
  run(use::rms_norm_T64_D64_e3f22057, at + 37);       // x, weight -> y, inverse_rms
  run(use::linear_group_T64_K64_O64_R8_d4eb088d,
      at + 41);  // x, weight.0, delta.0, index.0, weight.1, delta.1, index.1 -> y.0, x_p.0, y.1,
                 // x_p.1, gated
  run(use::linear_T64_K64_O64_R8_d539c7e3, at + 53);  // x, weight, delta, index, residual -> y, x_p
}

}  // namespace

// From token ids to the loss of one micro-batch, keeping what backward reads.
void forward(Run& run) {
  run(use::documents_T64_fe190a66,
      {1, 2, 5, 6, 7});  // segment_ids, labels -> start, position, target
  run(use::embed_T64_V64_D64_6863d624, {0, 8, 9});  // ids, weight -> y
  // Layers 0 to 1.
  for (const auto& row : forward_tensors1) forward_layer(run, row);
  // Outside the layers.
  run(use::rms_norm_T64_D64_e3f22057, {56, 57, 58, 59});  // x, weight -> y, inverse_rms
  run(use::lm_head_loss_T64_D64_V64_b8c6fe11,
      {58, 8, 7, 3, 60, 61});                     // x, weight, target, loss_scale -> losses, dx
  run(use::mean_loss_T64_64519980, {60, 3, 62});  // losses, loss_scale -> loss
}

// Logits of chosen rows of the last forward.
void logits(Run& run) {
  run(use::lm_head_logits_T64_D64_V64_C64_cc0cb9d3, {58, 8, 4, 63});  // x, weight, rows -> logits
}

// Adds one micro-batch's gradients.
void backward(Run& run) {
  run(use::rms_norm_backward_T64_D64_8b513b3c,
      {61, 56, 57, 59, 124});  // dy, x, weight, inverse_rms -> dx
  // Layer 1.
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {124, 123, 95});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_12d88ba6,
      {124, 55, 94, 122, 51, 53, 125, 126});  // dy, weight, delta, index, gate, up -> dgate, dup
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {126, 121, 93});  // dy, x_p -> ddelta
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {125, 119, 91});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_951052d8,
      {125, 50, 90, 118, 126, 52, 92, 120,
       127});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {127, 46, 47, 49, 128, 124});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {128, 117, 89});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {128, 45, 88, 116, 129});  // dy, weight, delta, index -> dx
  run(use::attention_backward_T64_Q64_K64_H2_5f0bd492,
      {129, 38, 40, 42, 43, 44, 5, 130, 131, 132});  // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {132, 115, 87});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fa808bd7, {131, 6, 14, 133});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {133, 113, 85});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fa808bd7, {130, 6, 14, 134});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {134, 111, 83});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_d76ff569,
      {134, 37, 82, 110, 133, 39, 84, 112, 132, 41, 86, 114,
       135});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1, dy.2,
               // weight.2, delta.2, index.2 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {135, 33, 34, 36, 136, 128});  // dy, x, weight, inverse_rms, residual -> dx
  // Layer 0.
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {136, 109, 81});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_12d88ba6,
      {136, 32, 80, 108, 28, 30, 137, 138});  // dy, weight, delta, index, gate, up -> dgate, dup
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {138, 107, 79});  // dy, x_p -> ddelta
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {137, 105, 77});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_951052d8,
      {137, 27, 76, 104, 138, 29, 78, 106,
       139});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {139, 23, 24, 26, 140, 136});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {140, 103, 75});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {140, 22, 74, 102, 141});  // dy, weight, delta, index -> dx
  run(use::attention_backward_T64_Q64_K64_H2_5f0bd492,
      {141, 15, 17, 19, 20, 21, 5, 142, 143, 144});  // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {144, 101, 73});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fa808bd7, {143, 6, 14, 145});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {145, 99, 71});   // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fa808bd7, {142, 6, 14, 146});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {146, 97, 69});   // dy, x_p -> ddelta
}

// The optimiser, once a step.
void update(Run& run) {
  run(use::global_norm_P7168_12d1fd2c, {65, 147});  // gradients -> norm
  run(use::adamw_P7168_d0a13406,
      {64, 65, 66, 67, 147, 148, 64, 66, 67});  // parameters, gradients, moment1, moment2, norm,
                                                // hyper -> new_parameters, new_moment1, new_moment2
}

}  // namespace pacac
