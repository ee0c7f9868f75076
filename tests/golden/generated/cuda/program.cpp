// tiny for cuda (sm_80), 2 x 32 tokens
//
// The tables of the program: its kernels, its tensors and where each lies.
#include "runtime/program.hpp"

namespace pacac {

// Host sides of the kernels' __global__ functions, by whose addresses they are launched;
// kernels/*.cu have their parameters.
extern "C" {
void documents_T64_fe190a66();
void embed_T64_V64_D64_6863d624();
void rms_norm_T64_D64_e3f22057();
void linear_group_T64_K64_O64_R8_7efd06d6();
void attention_T64_Q64_K64_H2_f5a49874();
void linear_T64_K64_O64_R8_d539c7e3();
void linear_group_T64_K64_O64_R8_d4eb088d();
void lm_head_loss_T64_D64_V64_b8c6fe11_list();
void lm_head_loss_T64_D64_V64_b8c6fe11_rest();
void lm_head_loss_T64_D64_V64_b8c6fe11_logits();
void lm_head_loss_T64_D64_V64_b8c6fe11_softmax();
void lm_head_loss_T64_D64_V64_b8c6fe11_dx();
void mean_loss_T64_64519980();
void lm_head_logits_T64_D64_V64_C64_cc0cb9d3();
void rms_norm_backward_T64_D64_8b513b3c();
void linear_backward_weight_T64_O64_R8_42b051af();
void linear_backward_weight_T64_O64_R8_42b051af_total();
void linear_backward_input_T64_O64_K64_R8_12d88ba6_columns();
void linear_backward_input_T64_O64_K64_R8_12d88ba6();
void linear_backward_input_group_T64_O64_K64_R8_951052d8_columns_0();
void linear_backward_input_group_T64_O64_K64_R8_951052d8_columns_1();
void linear_backward_input_group_T64_O64_K64_R8_951052d8();
void rms_norm_backward_T64_D64_1d729022();
void linear_backward_input_T64_O64_K64_R8_4209bf18_columns();
void linear_backward_input_T64_O64_K64_R8_4209bf18();
void attention_backward_T64_Q64_K64_H2_5f0bd492_delta();
void attention_backward_T64_Q64_K64_H2_5f0bd492_keys();
void attention_backward_T64_Q64_K64_H2_5f0bd492();
void rope_T64_Q64_S32_P32_fa808bd7();
void linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_0();
void linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_1();
void linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_2();
void linear_backward_input_group_T64_O64_K64_R8_d76ff569();
void global_norm_P7168_12d1fd2c_sums();
void global_norm_P7168_12d1fd2c();
void adamw_P7168_d0a13406();
}

// What one call launches: function, grid, threads of a block, bytes of dynamic shared memory, and
// where a kernel goes through its work in parts, which one.
namespace launches {
constexpr Launch documents_T64_fe190a66[] = {
    {&pacac::documents_T64_fe190a66, {1, 1, 1}, 32, 0},
};
constexpr Launch embed_T64_V64_D64_6863d624[] = {
    {&pacac::embed_T64_V64_D64_6863d624, {16, 1, 1}, 128, 0},
};
constexpr Launch rms_norm_T64_D64_e3f22057[] = {
    {&pacac::rms_norm_T64_D64_e3f22057, {16, 1, 1}, 128, 0},
};
constexpr Launch linear_group_T64_K64_O64_R8_7efd06d6[] = {
    {&pacac::linear_group_T64_K64_O64_R8_7efd06d6, {3, 2, 1}, 128, 43008},
};
constexpr Launch attention_T64_Q64_K64_H2_f5a49874[] = {
    {&pacac::attention_T64_Q64_K64_H2_f5a49874, {1, 2, 2}, 128, 20480},
};
constexpr Launch linear_T64_K64_O64_R8_d539c7e3[] = {
    {&pacac::linear_T64_K64_O64_R8_d539c7e3, {1, 2, 1}, 128, 43008},
};
constexpr Launch linear_group_T64_K64_O64_R8_d4eb088d[] = {
    {&pacac::linear_group_T64_K64_O64_R8_d4eb088d, {2, 2, 1}, 128, 43008},
};
constexpr Launch lm_head_loss_T64_D64_V64_b8c6fe11[] = {
    {&pacac::lm_head_loss_T64_D64_V64_b8c6fe11_list, {1, 1, 1}, 32, 0, 0},
    {&pacac::lm_head_loss_T64_D64_V64_b8c6fe11_rest, {64, 1, 1}, 32, 0, 0},
    {&pacac::lm_head_loss_T64_D64_V64_b8c6fe11_logits, {1, 2, 1}, 128, 36864, 0},
    {&pacac::lm_head_loss_T64_D64_V64_b8c6fe11_softmax, {64, 1, 1}, 256, 0, 0},
    {&pacac::lm_head_loss_T64_D64_V64_b8c6fe11_dx, {1, 2, 1}, 128, 36864, 0},
};
constexpr Launch mean_loss_T64_64519980[] = {
    {&pacac::mean_loss_T64_64519980, {1, 1, 1}, 32, 0},
};
constexpr Launch lm_head_logits_T64_D64_V64_C64_cc0cb9d3[] = {
    {&pacac::lm_head_logits_T64_D64_V64_C64_cc0cb9d3, {1, 2, 1}, 128, 36864},
};
constexpr Launch rms_norm_backward_T64_D64_8b513b3c[] = {
    {&pacac::rms_norm_backward_T64_D64_8b513b3c, {16, 1, 1}, 128, 0},
};
constexpr Launch linear_backward_weight_T64_O64_R8_42b051af[] = {
    {&pacac::linear_backward_weight_T64_O64_R8_42b051af, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_weight_T64_O64_R8_42b051af_total, {1, 1, 1}, 256, 0},
};
constexpr Launch linear_backward_input_T64_O64_K64_R8_12d88ba6[] = {
    {&pacac::linear_backward_input_T64_O64_K64_R8_12d88ba6_columns, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_T64_O64_K64_R8_12d88ba6, {1, 2, 1}, 128, 36864},
};
constexpr Launch linear_backward_input_group_T64_O64_K64_R8_951052d8[] = {
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_951052d8_columns_0, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_951052d8_columns_1, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_951052d8, {1, 2, 1}, 128, 36864},
};
constexpr Launch rms_norm_backward_T64_D64_1d729022[] = {
    {&pacac::rms_norm_backward_T64_D64_1d729022, {16, 1, 1}, 128, 0},
};
constexpr Launch linear_backward_input_T64_O64_K64_R8_4209bf18[] = {
    {&pacac::linear_backward_input_T64_O64_K64_R8_4209bf18_columns, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_T64_O64_K64_R8_4209bf18, {1, 2, 1}, 128, 36864},
};
constexpr Launch attention_backward_T64_Q64_K64_H2_5f0bd492[] = {
    {&pacac::attention_backward_T64_Q64_K64_H2_5f0bd492_delta, {4, 1, 1}, 128, 0},
    {&pacac::attention_backward_T64_Q64_K64_H2_5f0bd492_keys, {1, 2, 2}, 128, 12288},
    {&pacac::attention_backward_T64_Q64_K64_H2_5f0bd492, {1, 2, 2}, 128, 12288},
};
constexpr Launch rope_T64_Q64_S32_P32_fa808bd7[] = {
    {&pacac::rope_T64_Q64_S32_P32_fa808bd7, {2, 1, 1}, 256, 0},
};
constexpr Launch linear_backward_input_group_T64_O64_K64_R8_d76ff569[] = {
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_0, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_1, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_d76ff569_columns_2, {1, 1, 1}, 128, 36864},
    {&pacac::linear_backward_input_group_T64_O64_K64_R8_d76ff569, {1, 2, 1}, 128, 36864},
};
constexpr Launch global_norm_P7168_12d1fd2c[] = {
    {&pacac::global_norm_P7168_12d1fd2c_sums, {2, 1, 1}, 256, 0},
    {&pacac::global_norm_P7168_12d1fd2c, {1, 1, 1}, 32, 0},
};
constexpr Launch adamw_P7168_d0a13406[] = {
    {&pacac::adamw_P7168_d0a13406, {7, 1, 1}, 256, 0},
};
}  // namespace launches

// Row in the profile, name, operands, flops and bytes of a call; whether it has a workspace;
// launches.
namespace use {
extern const KernelEntry documents_T64_fe190a66 = {
    0,     "documents_T64_fe190a66",         nullptr, 5, 0.0, 1280.0,
    false, launches::documents_T64_fe190a66, 1};
extern const KernelEntry embed_T64_V64_D64_6863d624 = {
    1,     "embed_T64_V64_D64_6863d624",         nullptr, 3, 0.0, 16640.0,
    false, launches::embed_T64_V64_D64_6863d624, 1};
extern const KernelEntry rms_norm_T64_D64_e3f22057 = {
    2,     "rms_norm_T64_D64_e3f22057",         nullptr, 4, 16384.0, 16896.0,
    false, launches::rms_norm_T64_D64_e3f22057, 1};
extern const KernelEntry linear_group_T64_K64_O64_R8_7efd06d6 = {
    3,     "linear_group_T64_K64_O64_R8_7efd06d6",         nullptr, 20, 1572864.0, 75360.0,
    false, launches::linear_group_T64_K64_O64_R8_7efd06d6, 1};
extern const KernelEntry attention_T64_Q64_K64_H2_f5a49874 = {
    4,     "attention_T64_Q64_K64_H2_f5a49874",         nullptr, 6, 270336.0, 33536.0,
    false, launches::attention_T64_Q64_K64_H2_f5a49874, 1};
extern const KernelEntry linear_T64_K64_O64_R8_d539c7e3 = {
    5,     "linear_T64_K64_O64_R8_d539c7e3",         nullptr, 7, 524288.0, 35872.0,
    false, launches::linear_T64_K64_O64_R8_d539c7e3, 1};
extern const KernelEntry linear_group_T64_K64_O64_R8_d4eb088d = {
    6,     "linear_group_T64_K64_O64_R8_d4eb088d",         nullptr, 12, 1048576.0, 55360.0,
    false, launches::linear_group_T64_K64_O64_R8_d4eb088d, 1};
extern const KernelEntry lm_head_loss_T64_D64_V64_b8c6fe11 = {
    7,    "lm_head_loss_T64_D64_V64_b8c6fe11",         nullptr, 6, 1048576.0, 33284.0,
    true, launches::lm_head_loss_T64_D64_V64_b8c6fe11, 5};
extern const KernelEntry mean_loss_T64_64519980 = {
    8,     "mean_loss_T64_64519980",         nullptr, 3, 64.0, 264.0,
    false, launches::mean_loss_T64_64519980, 1};
extern const KernelEntry lm_head_logits_T64_D64_V64_C64_cc0cb9d3 = {
    9,     "lm_head_logits_T64_D64_V64_C64_cc0cb9d3",         nullptr, 4, 524288.0, 33024.0,
    false, launches::lm_head_logits_T64_D64_V64_C64_cc0cb9d3, 1};
extern const KernelEntry rms_norm_backward_T64_D64_8b513b3c = {
    10,    "rms_norm_backward_T64_D64_8b513b3c",         nullptr, 5, 32768.0, 33280.0,
    false, launches::rms_norm_backward_T64_D64_8b513b3c, 1};
extern const KernelEntry linear_backward_weight_T64_O64_R8_42b051af = {
    11,   "linear_backward_weight_T64_O64_R8_42b051af",         nullptr, 3, 65536.0, 13312.0,
    true, launches::linear_backward_weight_T64_O64_R8_42b051af, 2};
extern const KernelEntry linear_backward_input_T64_O64_K64_R8_12d88ba6 = {
    12,   "linear_backward_input_T64_O64_K64_R8_12d88ba6",         nullptr, 8, 524288.0, 51232.0,
    true, launches::linear_backward_input_T64_O64_K64_R8_12d88ba6, 2};
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_951052d8 = {
    13,        "linear_backward_input_group_T64_O64_K64_R8_951052d8",
    nullptr,   9,
    1048576.0, 45120.0,
    true,      launches::linear_backward_input_group_T64_O64_K64_R8_951052d8,
    3};
extern const KernelEntry rms_norm_backward_T64_D64_1d729022 = {
    14,    "rms_norm_backward_T64_D64_1d729022",         nullptr, 6, 32768.0, 33280.0,
    false, launches::rms_norm_backward_T64_D64_1d729022, 1};
extern const KernelEntry linear_backward_input_T64_O64_K64_R8_4209bf18 = {
    15,   "linear_backward_input_T64_O64_K64_R8_4209bf18",         nullptr, 5, 524288.0, 26656.0,
    true, launches::linear_backward_input_T64_O64_K64_R8_4209bf18, 2};
extern const KernelEntry attention_backward_T64_Q64_K64_H2_5f0bd492 = {
    16,   "attention_backward_T64_Q64_K64_H2_5f0bd492",         nullptr, 10, 675840.0, 66304.0,
    true, launches::attention_backward_T64_Q64_K64_H2_5f0bd492, 3};
extern const KernelEntry rope_T64_Q64_S32_P32_fa808bd7 = {
    17,    "rope_T64_Q64_S32_P32_fa808bd7",         nullptr, 4, 12288.0, 20736.0,
    false, launches::rope_T64_Q64_S32_P32_fa808bd7, 1};
extern const KernelEntry linear_backward_input_group_T64_O64_K64_R8_d76ff569 = {
    18,        "linear_backward_input_group_T64_O64_K64_R8_d76ff569",
    nullptr,   13,
    1572864.0, 63584.0,
    true,      launches::linear_backward_input_group_T64_O64_K64_R8_d76ff569,
    4};
extern const KernelEntry global_norm_P7168_12d1fd2c = {
    19,   "global_norm_P7168_12d1fd2c",         nullptr, 2, 14336.0, 28676.0,
    true, launches::global_norm_P7168_12d1fd2c, 2};
extern const KernelEntry adamw_P7168_d0a13406 = {
    20,    "adamw_P7168_d0a13406",         nullptr, 9, 107520.0, 200728.0,
    false, launches::adamw_P7168_d0a13406, 1};
}  // namespace use

void forward(Run& run);
void logits(Run& run);
void backward(Run& run);
void update(Run& run);

namespace {

// clang-format off
// name, type, role, whether it is a view, elements, offset in the arena (weights: slot), bound of integers
constexpr TensorEntry tensors[] = {
    /* 0 */ {"input_ids", DType::i32, Role::input, false, 64, 0, 64},
    /* 1 */ {"segment_ids", DType::i32, Role::input, false, 64, 256, 0},
    /* 2 */ {"labels", DType::i32, Role::input, false, 64, 512, 64},
    /* 3 */ {"loss_scale", DType::f32, Role::input, false, 1, 768, 0},
    /* 4 */ {"rows", DType::i32, Role::input, false, 64, 832, 64},
    /* 5 */ {"documents", DType::i32, Role::activation, false, 64, 333248, 0},
    /* 6 */ {"documents.position", DType::i32, Role::activation, false, 64, 333504, 0},
    /* 7 */ {"documents.target", DType::i32, Role::activation, false, 64, 162240, 0},
    /* 8 */ {"model.embed_tokens.weight", DType::bf16, Role::weight, false, 4096, 0, 0},
    /* 9 */ {"embedded", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 10 */ {"model.layers.0.input_layernorm.weight", DType::f32, Role::weight, false, 64, 1, 0},
    /* 11 */ {"model.layers.0.input_layernorm.out", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 12 */ {"model.layers.0.input_layernorm.out.inverse_rms", DType::f32, Role::activation, false, 64, 162496, 0},
    /* 13 */ {"model.layers.0.self_attn.q_proj.weight", DType::bf16, Role::weight, false, 4096, 2, 0},
    /* 14 */ {"rope_table.0", DType::f32, Role::constant, false, 1024, 1088, 0},
    /* 15 */ {"model.layers.0.rotated", DType::bf16, Role::activation, false, 4096, 178624, 0},
    /* 16 */ {"model.layers.0.self_attn.k_proj.weight", DType::bf16, Role::weight, false, 4096, 3, 0},
    /* 17 */ {"model.layers.0.rotated.1", DType::bf16, Role::activation, false, 4096, 186816, 0},
    /* 18 */ {"model.layers.0.self_attn.v_proj.weight", DType::bf16, Role::weight, false, 4096, 4, 0},
    /* 19 */ {"model.layers.0.self_attn.v_proj.out", DType::bf16, Role::activation, false, 4096, 195008, 0},
    /* 20 */ {"model.layers.0.attended", DType::bf16, Role::activation, false, 4096, 203200, 0},
    /* 21 */ {"model.layers.0.attended.lse", DType::f32, Role::activation, false, 128, 332224, 0},
    /* 22 */ {"model.layers.0.self_attn.o_proj.weight", DType::bf16, Role::weight, false, 4096, 5, 0},
    /* 23 */ {"model.layers.0.sum", DType::bf16, Role::activation, false, 4096, 211392, 0},
    /* 24 */ {"model.layers.0.post_attention_layernorm.weight", DType::f32, Role::weight, false, 64, 6, 0},
    /* 25 */ {"model.layers.0.post_attention_layernorm.out", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 26 */ {"model.layers.0.post_attention_layernorm.out.inverse_rms", DType::f32, Role::activation, false, 64, 333760, 0},
    /* 27 */ {"model.layers.0.mlp.gate_proj.weight", DType::bf16, Role::weight, false, 4096, 7, 0},
    /* 28 */ {"model.layers.0.mlp.gate_proj.out", DType::bf16, Role::activation, false, 4096, 219584, 0},
    /* 29 */ {"model.layers.0.mlp.up_proj.weight", DType::bf16, Role::weight, false, 4096, 8, 0},
    /* 30 */ {"model.layers.0.mlp.up_proj.out", DType::bf16, Role::activation, false, 4096, 227776, 0},
    /* 31 */ {"model.layers.0.gated", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 32 */ {"model.layers.0.mlp.down_proj.weight", DType::bf16, Role::weight, false, 4096, 9, 0},
    /* 33 */ {"model.layers.0.sum.1", DType::bf16, Role::activation, false, 4096, 235968, 0},
    /* 34 */ {"model.layers.1.input_layernorm.weight", DType::f32, Role::weight, false, 64, 10, 0},
    /* 35 */ {"model.layers.1.input_layernorm.out", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 36 */ {"model.layers.1.input_layernorm.out.inverse_rms", DType::f32, Role::activation, false, 64, 334016, 0},
    /* 37 */ {"model.layers.1.self_attn.q_proj.weight", DType::bf16, Role::weight, false, 4096, 11, 0},
    /* 38 */ {"model.layers.1.rotated", DType::bf16, Role::activation, false, 4096, 244160, 0},
    /* 39 */ {"model.layers.1.self_attn.k_proj.weight", DType::bf16, Role::weight, false, 4096, 12, 0},
    /* 40 */ {"model.layers.1.rotated.1", DType::bf16, Role::activation, false, 4096, 252352, 0},
    /* 41 */ {"model.layers.1.self_attn.v_proj.weight", DType::bf16, Role::weight, false, 4096, 13, 0},
    /* 42 */ {"model.layers.1.self_attn.v_proj.out", DType::bf16, Role::activation, false, 4096, 260544, 0},
    /* 43 */ {"model.layers.1.attended", DType::bf16, Role::activation, false, 4096, 268736, 0},
    /* 44 */ {"model.layers.1.attended.lse", DType::f32, Role::activation, false, 128, 332736, 0},
    /* 45 */ {"model.layers.1.self_attn.o_proj.weight", DType::bf16, Role::weight, false, 4096, 14, 0},
    /* 46 */ {"model.layers.1.sum", DType::bf16, Role::activation, false, 4096, 276928, 0},
    /* 47 */ {"model.layers.1.post_attention_layernorm.weight", DType::f32, Role::weight, false, 64, 15, 0},
    /* 48 */ {"model.layers.1.post_attention_layernorm.out", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 49 */ {"model.layers.1.post_attention_layernorm.out.inverse_rms", DType::f32, Role::activation, false, 64, 334272, 0},
    /* 50 */ {"model.layers.1.mlp.gate_proj.weight", DType::bf16, Role::weight, false, 4096, 16, 0},
    /* 51 */ {"model.layers.1.mlp.gate_proj.out", DType::bf16, Role::activation, false, 4096, 285120, 0},
    /* 52 */ {"model.layers.1.mlp.up_proj.weight", DType::bf16, Role::weight, false, 4096, 17, 0},
    /* 53 */ {"model.layers.1.mlp.up_proj.out", DType::bf16, Role::activation, false, 4096, 293312, 0},
    /* 54 */ {"model.layers.1.gated", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 55 */ {"model.layers.1.mlp.down_proj.weight", DType::bf16, Role::weight, false, 4096, 18, 0},
    /* 56 */ {"model.layers.1.sum.1", DType::bf16, Role::activation, false, 4096, 301504, 0},
    /* 57 */ {"model.norm.weight", DType::f32, Role::weight, false, 64, 19, 0},
    /* 58 */ {"model.norm.out", DType::bf16, Role::activation, false, 4096, 309696, 0},
    /* 59 */ {"model.norm.out.inverse_rms", DType::f32, Role::activation, false, 64, 334528, 0},
    /* 60 */ {"losses", DType::f32, Role::activation, false, 64, 162496, 0},
    /* 61 */ {"losses.dx", DType::f32, Role::activation, false, 4096, 145856, 0},
    /* 62 */ {"loss", DType::f32, Role::output, false, 1, 5184, 0},
    /* 63 */ {"logits", DType::f32, Role::output, false, 4096, 162240, 0},
    /* 64 */ {"parameters", DType::f32, Role::parameter, false, 7168, 5248, 0},
    /* 65 */ {"gradients", DType::f32, Role::gradient, false, 7168, 33920, 0},
    /* 66 */ {"moment1", DType::f32, Role::moment, false, 7168, 62592, 0},
    /* 67 */ {"moment2", DType::f32, Role::moment, false, 7168, 91264, 0},
    /* 68 */ {"model.layers.0.self_attn.q_proj.paca_delta", DType::f32, Role::parameter, true, 512, 5248, 0},
    /* 69 */ {"model.layers.0.self_attn.q_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 33920, 0},
    /* 70 */ {"model.layers.0.self_attn.k_proj.paca_delta", DType::f32, Role::parameter, true, 512, 7296, 0},
    /* 71 */ {"model.layers.0.self_attn.k_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 35968, 0},
    /* 72 */ {"model.layers.0.self_attn.v_proj.paca_delta", DType::f32, Role::parameter, true, 512, 9344, 0},
    /* 73 */ {"model.layers.0.self_attn.v_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 38016, 0},
    /* 74 */ {"model.layers.0.self_attn.o_proj.paca_delta", DType::f32, Role::parameter, true, 512, 11392, 0},
    /* 75 */ {"model.layers.0.self_attn.o_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 40064, 0},
    /* 76 */ {"model.layers.0.mlp.gate_proj.paca_delta", DType::f32, Role::parameter, true, 512, 13440, 0},
    /* 77 */ {"model.layers.0.mlp.gate_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 42112, 0},
    /* 78 */ {"model.layers.0.mlp.up_proj.paca_delta", DType::f32, Role::parameter, true, 512, 15488, 0},
    /* 79 */ {"model.layers.0.mlp.up_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 44160, 0},
    /* 80 */ {"model.layers.0.mlp.down_proj.paca_delta", DType::f32, Role::parameter, true, 512, 17536, 0},
    /* 81 */ {"model.layers.0.mlp.down_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 46208, 0},
    /* 82 */ {"model.layers.1.self_attn.q_proj.paca_delta", DType::f32, Role::parameter, true, 512, 19584, 0},
    /* 83 */ {"model.layers.1.self_attn.q_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 48256, 0},
    /* 84 */ {"model.layers.1.self_attn.k_proj.paca_delta", DType::f32, Role::parameter, true, 512, 21632, 0},
    /* 85 */ {"model.layers.1.self_attn.k_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 50304, 0},
    /* 86 */ {"model.layers.1.self_attn.v_proj.paca_delta", DType::f32, Role::parameter, true, 512, 23680, 0},
    /* 87 */ {"model.layers.1.self_attn.v_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 52352, 0},
    /* 88 */ {"model.layers.1.self_attn.o_proj.paca_delta", DType::f32, Role::parameter, true, 512, 25728, 0},
    /* 89 */ {"model.layers.1.self_attn.o_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 54400, 0},
    /* 90 */ {"model.layers.1.mlp.gate_proj.paca_delta", DType::f32, Role::parameter, true, 512, 27776, 0},
    /* 91 */ {"model.layers.1.mlp.gate_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 56448, 0},
    /* 92 */ {"model.layers.1.mlp.up_proj.paca_delta", DType::f32, Role::parameter, true, 512, 29824, 0},
    /* 93 */ {"model.layers.1.mlp.up_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 58496, 0},
    /* 94 */ {"model.layers.1.mlp.down_proj.paca_delta", DType::f32, Role::parameter, true, 512, 31872, 0},
    /* 95 */ {"model.layers.1.mlp.down_proj.paca_delta.grad", DType::f32, Role::gradient, true, 512, 60544, 0},
    /* 96 */ {"model.layers.0.self_attn.q_proj.paca_indices", DType::i32, Role::index, false, 8, 119936, 64},
    /* 97 */ {"model.layers.0.self_attn.q_proj.out.x_p", DType::bf16, Role::activation, false, 512, 317888, 0},
    /* 98 */ {"model.layers.0.self_attn.k_proj.paca_indices", DType::i32, Role::index, false, 8, 120000, 64},
    /* 99 */ {"model.layers.0.self_attn.k_proj.out.x_p", DType::bf16, Role::activation, false, 512, 318912, 0},
    /* 100 */ {"model.layers.0.self_attn.v_proj.paca_indices", DType::i32, Role::index, false, 8, 120064, 64},
    /* 101 */ {"model.layers.0.self_attn.v_proj.out.x_p", DType::bf16, Role::activation, false, 512, 319936, 0},
    /* 102 */ {"model.layers.0.self_attn.o_proj.paca_indices", DType::i32, Role::index, false, 8, 120128, 64},
    /* 103 */ {"model.layers.0.self_attn.o_proj.out.x_p", DType::bf16, Role::activation, false, 512, 320960, 0},
    /* 104 */ {"model.layers.0.mlp.gate_proj.paca_indices", DType::i32, Role::index, false, 8, 120192, 64},
    /* 105 */ {"model.layers.0.mlp.gate_proj.out.x_p", DType::bf16, Role::activation, false, 512, 321984, 0},
    /* 106 */ {"model.layers.0.mlp.up_proj.paca_indices", DType::i32, Role::index, false, 8, 120256, 64},
    /* 107 */ {"model.layers.0.mlp.up_proj.out.x_p", DType::bf16, Role::activation, false, 512, 323008, 0},
    /* 108 */ {"model.layers.0.mlp.down_proj.paca_indices", DType::i32, Role::index, false, 8, 120320, 64},
    /* 109 */ {"model.layers.0.mlp.down_proj.out.x_p", DType::bf16, Role::activation, false, 512, 324032, 0},
    /* 110 */ {"model.layers.1.self_attn.q_proj.paca_indices", DType::i32, Role::index, false, 8, 120384, 64},
    /* 111 */ {"model.layers.1.self_attn.q_proj.out.x_p", DType::bf16, Role::activation, false, 512, 325056, 0},
    /* 112 */ {"model.layers.1.self_attn.k_proj.paca_indices", DType::i32, Role::index, false, 8, 120448, 64},
    /* 113 */ {"model.layers.1.self_attn.k_proj.out.x_p", DType::bf16, Role::activation, false, 512, 326080, 0},
    /* 114 */ {"model.layers.1.self_attn.v_proj.paca_indices", DType::i32, Role::index, false, 8, 120512, 64},
    /* 115 */ {"model.layers.1.self_attn.v_proj.out.x_p", DType::bf16, Role::activation, false, 512, 327104, 0},
    /* 116 */ {"model.layers.1.self_attn.o_proj.paca_indices", DType::i32, Role::index, false, 8, 120576, 64},
    /* 117 */ {"model.layers.1.self_attn.o_proj.out.x_p", DType::bf16, Role::activation, false, 512, 328128, 0},
    /* 118 */ {"model.layers.1.mlp.gate_proj.paca_indices", DType::i32, Role::index, false, 8, 120640, 64},
    /* 119 */ {"model.layers.1.mlp.gate_proj.out.x_p", DType::bf16, Role::activation, false, 512, 329152, 0},
    /* 120 */ {"model.layers.1.mlp.up_proj.paca_indices", DType::i32, Role::index, false, 8, 120704, 64},
    /* 121 */ {"model.layers.1.mlp.up_proj.out.x_p", DType::bf16, Role::activation, false, 512, 330176, 0},
    /* 122 */ {"model.layers.1.mlp.down_proj.paca_indices", DType::i32, Role::index, false, 8, 120768, 64},
    /* 123 */ {"model.layers.1.mlp.down_proj.out.x_p", DType::bf16, Role::activation, false, 512, 331200, 0},
    /* 124 */ {"d_model.layers.1.sum.1", DType::bf16, Role::activation, false, 4096, 162240, 0},
    /* 125 */ {"d_model.layers.1.mlp.gate_proj.out", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 126 */ {"d_model.layers.1.mlp.gate_proj.out.dup", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 127 */ {"d_model.layers.1.post_attention_layernorm.out.1.1", DType::bf16, Role::activation, false, 4096, 170432, 0},
    /* 128 */ {"d_model.layers.1.sum.2", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 129 */ {"d_model.layers.1.attended", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 130 */ {"d_model.layers.1.rotated", DType::bf16, Role::activation, false, 4096, 162240, 0},
    /* 131 */ {"d_model.layers.1.rotated.dk", DType::bf16, Role::activation, false, 4096, 170432, 0},
    /* 132 */ {"d_model.layers.1.rotated.dv", DType::bf16, Role::activation, false, 4096, 276928, 0},
    /* 133 */ {"d_model.layers.1.self_attn.k_proj.out", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 134 */ {"d_model.layers.1.self_attn.q_proj.out", DType::bf16, Role::activation, false, 4096, 170432, 0},
    /* 135 */ {"d_model.layers.1.input_layernorm.out.2.1", DType::bf16, Role::activation, false, 4096, 162240, 0},
    /* 136 */ {"d_model.layers.0.sum.1.1", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 137 */ {"d_model.layers.0.mlp.gate_proj.out", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 138 */ {"d_model.layers.0.mlp.gate_proj.out.dup", DType::bf16, Role::activation, false, 4096, 162240, 0},
    /* 139 */ {"d_model.layers.0.post_attention_layernorm.out.1.1", DType::bf16, Role::activation, false, 4096, 170432, 0},
    /* 140 */ {"d_model.layers.0.sum.2", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 141 */ {"d_model.layers.0.attended", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 142 */ {"d_model.layers.0.rotated", DType::bf16, Role::activation, false, 4096, 145856, 0},
    /* 143 */ {"d_model.layers.0.rotated.dk", DType::bf16, Role::activation, false, 4096, 162240, 0},
    /* 144 */ {"d_model.layers.0.rotated.dv", DType::bf16, Role::activation, false, 4096, 170432, 0},
    /* 145 */ {"d_model.layers.0.self_attn.k_proj.out", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 146 */ {"d_model.layers.0.self_attn.q_proj.out", DType::bf16, Role::activation, false, 4096, 154048, 0},
    /* 147 */ {"norm", DType::f32, Role::output, false, 1, 120832, 0},
    /* 148 */ {"hyper", DType::f32, Role::input, false, 5, 120896, 0},
};
// clang-format on

constexpr const KernelEntry* kernels[] = {
    &use::documents_T64_fe190a66,
    &use::embed_T64_V64_D64_6863d624,
    &use::rms_norm_T64_D64_e3f22057,
    &use::linear_group_T64_K64_O64_R8_7efd06d6,
    &use::attention_T64_Q64_K64_H2_f5a49874,
    &use::linear_T64_K64_O64_R8_d539c7e3,
    &use::linear_group_T64_K64_O64_R8_d4eb088d,
    &use::lm_head_loss_T64_D64_V64_b8c6fe11,
    &use::mean_loss_T64_64519980,
    &use::lm_head_logits_T64_D64_V64_C64_cc0cb9d3,
    &use::rms_norm_backward_T64_D64_8b513b3c,
    &use::linear_backward_weight_T64_O64_R8_42b051af,
    &use::linear_backward_input_T64_O64_K64_R8_12d88ba6,
    &use::linear_backward_input_group_T64_O64_K64_R8_951052d8,
    &use::rms_norm_backward_T64_D64_1d729022,
    &use::linear_backward_input_T64_O64_K64_R8_4209bf18,
    &use::attention_backward_T64_Q64_K64_H2_5f0bd492,
    &use::rope_T64_Q64_S32_P32_fa808bd7,
    &use::linear_backward_input_group_T64_O64_K64_R8_d76ff569,
    &use::global_norm_P7168_12d1fd2c,
    &use::adamw_P7168_d0a13406,
};

}  // namespace

const Program program = {
    .name = "tiny",
    .isa = "sm_80",
    .tensors = tensors,
    .tensor_count = 149,
    .weight_count = 20,
    .kernels = kernels,
    .kernel_count = 21,
    .arena_bytes = 334784,
    .scratch_offset = 120960,
    .scratch_per_thread = 0,
    .scratch_shared = 24896,
    .threads = 1,
    .seq_len = 32,
    .beta1 = 0.9,
    .beta2 = 0.999,
    .at =
        {
            .input_ids = 0,
            .labels = 2,
            .segment_ids = 1,
            .loss_scale = 3,
            .loss = 62,
            .hyper = 148,
            .norm = 147,
            .rows = 4,
            .logits = 63,
        },
    .forward = &pacac::forward,
    .logits = &pacac::logits,
    .backward = &pacac::backward,
    .update = &pacac::update,
};

}  // namespace pacac
