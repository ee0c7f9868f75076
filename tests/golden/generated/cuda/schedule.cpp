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
extern const KernelEntry linear_group_T64_K64_O64_R8_d8c09fb1;
extern const KernelEntry rope_T64_Q64_S32_P32_22bbf8c3;
extern const KernelEntry attention_T64_Q64_K64_H2_f5a49874;
extern const KernelEntry linear_T64_K64_O64_R8_e39457e6;
extern const KernelEntry linear_group_T64_K64_O64_R8_225038ee;
extern const KernelEntry swiglu_T64_F64_b000b24e;
extern const KernelEntry lm_head_loss_T64_D64_V64_b8c6fe11;
extern const KernelEntry mean_loss_T64_64519980;
extern const KernelEntry lm_head_logits_T64_D64_V64_C64_cc0cb9d3;
extern const KernelEntry rms_norm_backward_T64_D64_8b513b3c;
extern const KernelEntry linear_backward_weight_T64_O64_R8_42b051af;
extern const KernelEntry linear_backward_input_T64_O64_K64_R8_4209bf18;
extern const KernelEntry swiglu_backward_T64_F64_86d74962;
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_951052d8;
extern const KernelEntry rms_norm_backward_T64_D64_1d729022;
extern const KernelEntry attention_backward_T64_Q64_K64_H2_5f0bd492;
extern const KernelEntry rope_T64_Q64_S32_P32_fcc1e9da;
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_d76ff569;
extern const KernelEntry global_norm_P7168_12d1fd2c;
extern const KernelEntry adamw_P7168_d0a13406;
}  // namespace use

namespace {

// Tensors of forward_layer, a row for each of layers 0 to 1.
constexpr std::int32_t forward_tensors1[2][66] = {
    // layer 0
    {9,   10, 11,  12,  11,  13,  72, 100, 17, 74, 102, 20,  76, 104, 14,  101, 18,
     103, 21, 105, 14,  6,   15,  16, 18,  6,  15, 19,  16,  19, 21,  5,   22,  23,
     22,  24, 78,  106, 25,  107, 9,  25,  26, 27, 28,  27,  29, 80,  108, 31,  82,
     110, 30, 109, 32,  111, 30,  32, 33,  33, 34, 84,  112, 35, 113, 25},
    // layer 1
    {35,  36, 37,  38,  37,  39,  86, 114, 42, 88, 116, 45,  90, 118, 40,  115, 43,
     117, 46, 119, 40,  6,   15,  41, 43,  6,  15, 44,  41,  44, 46,  5,   47,  48,
     47,  49, 92,  120, 50,  121, 35, 50,  51, 52, 53,  52,  54, 94,  122, 56,  96,
     124, 55, 123, 57,  125, 55,  57, 58,  58, 59, 98,  126, 60, 127, 50},
};

// One layer; `at` is its row of tensors.
void forward_layer(Run& run, const std::int32_t* at) {
  run(use::rms_norm_T64_D64_e3f22057, at + 0);  // x, weight -> y, inverse_rms
  run(use::linear_group_T64_K64_O64_R8_d8c09fb1,
      at + 4);  // x, weight.0, delta.0, index.0, weight.1, delta.1, index.1, weight.2, delta.2,
                // index.2 -> y.0, x_p.0, y.1, x_p.1, y.2, x_p.2
  run(use::rope_T64_Q64_S32_P32_22bbf8c3, at + 20);      // x, position, table -> y
  run(use::rope_T64_Q64_S32_P32_22bbf8c3, at + 24);      // x, position, table -> y
  run(use::attention_T64_Q64_K64_H2_f5a49874, at + 28);  // q, k, v, start -> y, lse
  run(use::linear_T64_K64_O64_R8_e39457e6, at + 34);  // x, weight, delta, index, residual -> y, x_p
  run(use::rms_norm_T64_D64_e3f22057, at + 41);       // x, weight -> y, inverse_rms
  run(use::linear_group_T64_K64_O64_R8_225038ee,
      at + 45);  // x, weight.0, delta.0, index.0, weight.1, delta.1, index.1 -> y.0, x_p.0, y.1,
                 // x_p.1
  run(use::swiglu_T64_F64_b000b24e, at + 56);         // gate, up -> y
  run(use::linear_T64_K64_O64_R8_e39457e6, at + 59);  // x, weight, delta, index, residual -> y, x_p
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
  run(use::rms_norm_T64_D64_e3f22057, {60, 61, 62, 63});  // x, weight -> y, inverse_rms
  run(use::lm_head_loss_T64_D64_V64_b8c6fe11,
      {62, 8, 7, 3, 64, 65});                     // x, weight, target, loss_scale -> losses, dx
  run(use::mean_loss_T64_64519980, {64, 3, 66});  // losses, loss_scale -> loss
}

// Logits of chosen rows of the last forward.
void logits(Run& run) {
  run(use::lm_head_logits_T64_D64_V64_C64_cc0cb9d3, {62, 8, 4, 67});  // x, weight, rows -> logits
}

// Adds one micro-batch's gradients.
void backward(Run& run) {
  run(use::rms_norm_backward_T64_D64_8b513b3c,
      {65, 60, 61, 63, 128});  // dy, x, weight, inverse_rms -> dx
  // Layer 1.
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {128, 127, 99});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {128, 59, 98, 126, 129});  // dy, weight, delta, index -> dx
  run(use::swiglu_backward_T64_F64_86d74962,
      {129, 55, 57, 130, 131});  // dy, gate, up -> dgate, dup
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {131, 125, 97});  // dy, x_p -> ddelta
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {130, 123, 95});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_951052d8,
      {130, 54, 94, 122, 131, 56, 96, 124,
       132});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {132, 50, 51, 53, 133, 128});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {133, 121, 93});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {133, 49, 92, 120, 134});  // dy, weight, delta, index -> dx
  run(use::attention_backward_T64_Q64_K64_H2_5f0bd492,
      {134, 41, 44, 46, 47, 48, 5, 135, 136, 137});  // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {137, 119, 91});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fcc1e9da, {136, 6, 15, 138});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {138, 117, 89});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fcc1e9da, {135, 6, 15, 139});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {139, 115, 87});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_d76ff569,
      {139, 39, 86, 114, 138, 42, 88, 116, 137, 45, 90, 118,
       140});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1, dy.2,
               // weight.2, delta.2, index.2 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {140, 35, 36, 38, 141, 133});  // dy, x, weight, inverse_rms, residual -> dx
  // Layer 0.
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {141, 113, 85});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {141, 34, 84, 112, 142});  // dy, weight, delta, index -> dx
  run(use::swiglu_backward_T64_F64_86d74962,
      {142, 30, 32, 143, 144});  // dy, gate, up -> dgate, dup
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {144, 111, 83});  // dy, x_p -> ddelta
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {143, 109, 81});  // dy, x_p -> ddelta
  run(use::linear_backward_input_group_T64_O64_K64_R8_951052d8,
      {143, 29, 80, 108, 144, 31, 82, 110,
       145});  // dy.0, weight.0, delta.0, index.0, dy.1, weight.1, delta.1, index.1 -> dx
  run(use::rms_norm_backward_T64_D64_1d729022,
      {145, 25, 26, 28, 146, 141});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {146, 107, 79});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T64_O64_K64_R8_4209bf18,
      {146, 24, 78, 106, 147});  // dy, weight, delta, index -> dx
  run(use::attention_backward_T64_Q64_K64_H2_5f0bd492,
      {147, 16, 19, 21, 22, 23, 5, 148, 149, 150});  // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {150, 105, 77});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fcc1e9da, {149, 6, 15, 151});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {151, 103, 75});  // dy, x_p -> ddelta
  run(use::rope_T64_Q64_S32_P32_fcc1e9da, {148, 6, 15, 152});            // x, position, table -> y
  run(use::linear_backward_weight_T64_O64_R8_42b051af, {152, 101, 73});  // dy, x_p -> ddelta
}

// The optimiser, once a step.
void update(Run& run) {
  run(use::global_norm_P7168_12d1fd2c, {69, 153});  // gradients -> norm
  run(use::adamw_P7168_d0a13406,
      {68, 69, 70, 71, 153, 154, 68, 70, 71});  // parameters, gradients, moment1, moment2, norm,
                                                // hyper -> new_parameters, new_moment1, new_moment2
}

}  // namespace pacac
