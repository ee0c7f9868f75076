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
extern const KernelEntry linear_T3_K8_O8_R2_a16b7450;
extern const KernelEntry rope_T3_Q8_S3_P4_1ed57866;
extern const KernelEntry linear_T3_K8_O4_f638bf9a;
extern const KernelEntry rope_T3_Q4_S3_P4_46fbeb97;
extern const KernelEntry attention_T3_Q8_K4_H2_4f549e73;
extern const KernelEntry linear_T3_K8_O8_99b450ea;
extern const KernelEntry linear_T3_K8_O12_0808fe4d;
extern const KernelEntry swiglu_T3_F12_c523819b;
extern const KernelEntry linear_T3_K12_O8_R2_7232ce6a;
extern const KernelEntry lm_head_loss_T3_D8_V11_da11314e;
extern const KernelEntry mean_loss_T3_0b92b72b;
extern const KernelEntry lm_head_logits_T3_D8_V11_C3_a861a8b1;
extern const KernelEntry rms_norm_backward_T3_D8_7bff37a8;
extern const KernelEntry linear_backward_weight_T3_O8_R2_dd70c04d;
extern const KernelEntry linear_backward_input_T3_O8_K12_R2_af73075a;
extern const KernelEntry swiglu_backward_T3_F12_c7cbff1b;
extern const KernelEntry linear_backward_input_group_T3_O12_K8_d6801701;
extern const KernelEntry rms_norm_backward_T3_D8_d2bc1d0a;
extern const KernelEntry linear_backward_input_T3_O8_K8_966139e8;
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
  run(use::linear_T3_K8_O8_R2_a16b7450,
      {11, 13, 47, 51, 14, 52});                         // x, weight, delta, index -> y, x_p
  run(use::rope_T3_Q8_S3_P4_1ed57866, {14, 6, 15, 16});  // x, position, table -> y
  run(use::linear_T3_K8_O4_f638bf9a, {11, 17, 18});      // x, weight -> y
  run(use::rope_T3_Q4_S3_P4_46fbeb97, {18, 6, 15, 19});  // x, position, table -> y
  run(use::linear_T3_K8_O4_f638bf9a, {11, 20, 21});      // x, weight -> y
  run(use::attention_T3_Q8_K4_H2_4f549e73, {16, 19, 21, 5, 22, 23});  // q, k, v, start -> y, lse
  run(use::linear_T3_K8_O8_99b450ea, {22, 24, 25, 9});                // x, weight, residual -> y
  run(use::rms_norm_T3_D8_c52060e8, {25, 26, 27, 28});                // x, weight -> y, inverse_rms
  run(use::linear_T3_K8_O12_0808fe4d, {27, 29, 30});                  // x, weight -> y
  run(use::linear_T3_K8_O12_0808fe4d, {27, 31, 32});                  // x, weight -> y
  run(use::swiglu_T3_F12_c523819b, {30, 32, 33});                     // gate, up -> y
  run(use::linear_T3_K12_O8_R2_7232ce6a,
      {33, 34, 49, 53, 35, 54, 25});  // x, weight, delta, index, residual -> y, x_p
  // Outside the layers.
  run(use::rms_norm_T3_D8_c52060e8, {35, 36, 37, 38});  // x, weight -> y, inverse_rms
  run(use::lm_head_loss_T3_D8_V11_da11314e,
      {37, 8, 7, 3, 39, 40});                    // x, weight, target, loss_scale -> losses, dx
  run(use::mean_loss_T3_0b92b72b, {39, 3, 41});  // losses, loss_scale -> loss
}

// Logits of chosen rows of the last forward.
void logits(Run& run) {
  run(use::lm_head_logits_T3_D8_V11_C3_a861a8b1, {37, 8, 4, 42});  // x, weight, rows -> logits
}

// Adds one micro-batch's gradients.
void backward(Run& run) {
  run(use::rms_norm_backward_T3_D8_7bff37a8,
      {40, 35, 36, 38, 55});  // dy, x, weight, inverse_rms -> dx
  // Layer 0.
  run(use::linear_backward_weight_T3_O8_R2_dd70c04d, {55, 54, 50});  // dy, x_p -> ddelta
  run(use::linear_backward_input_T3_O8_K12_R2_af73075a,
      {55, 34, 49, 53, 56});  // dy, weight, delta, index -> dx
  run(use::swiglu_backward_T3_F12_c7cbff1b, {56, 30, 32, 57, 58});  // dy, gate, up -> dgate, dup
  run(use::linear_backward_input_group_T3_O12_K8_d6801701,
      {57, 29, 58, 31, 59});  // dy.0, weight.0, dy.1, weight.1 -> dx
  run(use::rms_norm_backward_T3_D8_d2bc1d0a,
      {59, 25, 26, 28, 60, 55});  // dy, x, weight, inverse_rms, residual -> dx
  run(use::linear_backward_input_T3_O8_K8_966139e8, {60, 24, 61});  // dy, weight -> dx
  run(use::attention_backward_T3_Q8_K4_H2_7b71e30b,
      {61, 16, 19, 21, 22, 23, 5, 62, 63, 64});          // dy, q, k, v, y, lse, start -> dq, dk, dv
  run(use::rope_T3_Q8_S3_P4_e17ea501, {62, 6, 15, 65});  // x, position, table -> y
  run(use::linear_backward_weight_T3_O8_R2_dd70c04d, {65, 52, 48});  // dy, x_p -> ddelta
}

// The optimiser, once a step.
void update(Run& run) {
  run(use::global_norm_P32_e821364e, {44, 66});  // gradients -> norm
  run(use::adamw_P32_19ae20e5,
      {43, 44, 45, 46, 66, 67, 43, 45, 46});  // parameters, gradients, moment1, moment2, norm,
                                              // hyper -> new_parameters, new_moment1, new_moment2
}

}  // namespace pacac
