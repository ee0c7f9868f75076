// tiny for cpu (avx2), 1 x 3 tokens, 2 threads
//
// The schedule of a step. Every thread walks it; all meet after each kernel. Numbers are rows of
// program.cpp's table of tensors; comments say what the tensors are to the kernel: inputs ->
// outputs.
#include "runtime/program.hpp"

namespace pacac {

// The kernels, each in its own file under kernels/ (program.cpp lists them).
namespace use {
extern const KernelEntry documents_T3_4980ee22;
extern const KernelEntry embed_T3_V11_D8_e86037da;
extern const KernelEntry rms_norm_T3_D8_c52060e8;
extern const KernelEntry linear_group_T3_K8_O8_4_4_R2_0_0_c922eda4;
extern const KernelEntry attention_T3_Q8_K4_H2_4f549e73;
extern const KernelEntry linear_T3_K8_O8_b139572d;
extern const KernelEntry linear_group_T3_K8_O12_efed8401;
extern const KernelEntry linear_T3_K12_O8_R2_d3f2e1da;
extern const KernelEntry lm_head_loss_T3_D8_V11_b97fa226;
extern const KernelEntry mean_loss_T3_0b92b72b;
extern const KernelEntry lm_head_logits_T3_D8_V11_C3_a861a8b1;
extern const KernelEntry rms_norm_backward_T3_D8_7bff37a8;
extern const KernelEntry linear_backward_weight_T3_O8_R2_dd70c04d;
extern const KernelEntry linear_backward_input_T3_O8_K12_R2_43e2a4f8;
extern const KernelEntry linear_backward_input_group_T3_O12_K8_f16aa3af;
extern const KernelEntry rms_norm_backward_T3_D8_d2bc1d0a;
extern const KernelEntry linear_backward_input_T3_O8_K8_5ef40254;
extern const KernelEntry attention_backward_T3_Q8_K4_H2_7b71e30b;
extern const KernelEntry rope_T3_Q8_S3_P4_e17ea501;
extern const KernelEntry global_norm_P32_e821364e;
extern const KernelEntry adamw_P32_19ae20e5;
}  // namespace use

// From token ids to the loss of one micro-batch, keeping what backward reads.
void forward(Run& run) {
  run(use::documents_T3_4980ee22,
      {1, 2, 5, 6, 7});                           // segment_ids, labels -> start, position, target
  run(use::embed_T3_V11_D8_e86037da, {0, 8, 9});  // ids, weight -> y
  // Layer 0.
  run(use::rms_norm_T3_D8_c52060e8, {9, 10, 11, 12});  // x, weight -> y, inverse_rms
  run(use::linear_group_T3_K8_O8_4_4_R2_0_0_c922eda4,
      {11, 13, 45, 49, 16, 18, 15, 50, 17, 19, 6, 14, 6,
       14});  // x, weight.0, delta.0, index.0, weight.1, weight.2, position.0, table.0, position.1,
              // table.1 -> y.0, x_p.0, y.1, y.2
  run(use::attention_T3_Q8_K4_H2_4f549e73, {15, 17, 19, 5, 20, 21});  // q, k, v, start -> y, lse
  run(use::linear_T3_K8_O8_b139572d, {20, 22, 23, 9});                // x, weight, residual -> y
  run(use::rms_norm_T3_D8_c52060e8, {23, 24, 25, 26});                // x, weight -> y, inverse_rms
  run(use::linear_group_T3_K8_O12_efed8401,
      {25, 27, 29, 28, 30, 31});  // x, weight.0, weight.1 -> y.0, y.1, gated
  run(use::linear_T3_K12_O8_R2_d3f2e1da,
      {31, 32, 47, 51, 33, 52, 23});  // x, weight, delta, index, residual -> y, x_p
  // Outside the layers.
  run(use::rms_norm_T3_D8_c52060e8, {33, 34, 35, 36});  // x, weight -> y, inverse_rms
  run(use::lm_head_loss_T3_D8_V11_b97fa226,
      {35, 8, 7, 3, 37, 38});                    // x, weight, target, loss_scale -> losses, dx
  run(use::mean_loss_T3_0b92b72b, {37, 3, 39});  // losses, loss_scale -> loss
}

// Logits of chosen rows of the last forward.
void logits(Run& run) {
  run(use::lm_head_logits_T3_D8_V11_C3_a861a8b1, {35, 8, 4, 40});  // x, weight, rows -> logits
}

// Adds one micro-batch's gradients.
void backward(Run& run) {
  run(use::rms_norm_backward_T3_D8_7bff37a8,
      {38, 33, 34, 36, 53});  // dy, x, weight, inverse_rms -> dx
  // Layer 0.
  run(use::linear_backward_weight_T3_O8_R2_dd70c04d, {53, 52, 48});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T3_O8_K12_R2_43e2a4f8,
      {53, 32, 47, 51, 28, 30, 54, 55});  // dy, weight, delta, index, gate, up -> dgate, dup
  run(use::linear_backward_input_group_T3_O12_K8_f16aa3af,
      {54, 27, 55, 29, 56});  // dy.0, weight.0, dy.1, weight.1 -> dx
  run(use::rms_norm_backward_T3_D8_d2bc1d0a,
      {56, 23, 24, 26, 57, 53});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_input_T3_O8_K8_5ef40254, {57, 22, 58});  // dy, weight -> dx
  run(use::attention_backward_T3_Q8_K4_H2_7b71e30b,
      {58, 15, 17, 19, 20, 21, 5, 59, 60, 61});          // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::rope_T3_Q8_S3_P4_e17ea501, {59, 6, 14, 62});  // x, position, table -> y
  run(use::linear_backward_weight_T3_O8_R2_dd70c04d, {62, 50, 46});  // dy, x_p -> ddelta
}

// The optimiser, once a step.
void update(Run& run) {
  run(use::global_norm_P32_e821364e, {42, 63});  // gradients -> norm
  run(use::adamw_P32_19ae20e5,
      {41, 42, 43, 44, 63, 64, 41, 43, 44});  // parameters, gradients, moment1, moment2, norm,
                                              // hyper -> new_parameters, new_moment1, new_moment2
}

}  // namespace pacac
