/* What the documentation of CMSIS-NN says its functions do, said again in plain 64-bit arithmetic. An
   argument outside of what is documented stops the program. */
#include <stddef.h>

#include "arm_nnfunctions.h"

static void must(int holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

/* value * multiplier / 2^31, rounded with ties up, then / 2^-shift, rounded with ties away from 0. */
static int64_t requantize(int64_t value, int32_t multiplier, int32_t shift)
{
    const int64_t one = (int64_t)1 << 31;
    int64_t twice;
    int64_t power;
    int64_t quotient;
    must(multiplier >= 0 && shift <= 0 && shift >= -31);
    must(value >= -one && value < one);
    twice = value * multiplier + one / 2;
    quotient = twice / one;
    if (twice < 0 && twice % one != 0) {
        quotient--;
    }
    power = (int64_t)1 << -shift;
    return quotient < 0 ? -((-quotient + power / 2) / power) : (quotient + power / 2) / power;
}

static int8_t clamp(int64_t value, int32_t low, int32_t high)
{
    must(low >= -128 && low <= high && high <= 127);
    return (int8_t)(value < low ? low : (value > high ? high : value));
}

static int is_zero_point(int32_t offset)
{
    return offset >= -127 && offset <= 128;
}

/* With a vector unit the library starts from the buffer, without one from the bias: they must say
   the same. */
arm_cmsis_nn_status arm_fully_connected_s8(
    const cmsis_nn_context *ctx, const cmsis_nn_fc_params *fc_params,
    const cmsis_nn_per_tensor_quant_params *quant_params, const cmsis_nn_dims *input_dims,
    const int8_t *input_data, const cmsis_nn_dims *filter_dims, const int8_t *filter_data,
    const cmsis_nn_dims *bias_dims, const int32_t *bias_data, const cmsis_nn_dims *output_dims,
    int8_t *output_data)
{
    const int32_t depth = filter_dims->n;
    const int32_t units = output_dims->c;
    const int32_t *sums = ctx->buf;
    if (sums == NULL) {
        return ARM_CMSIS_NN_ARG_ERROR;
    }
    must(ctx->size == 4 * units && bias_dims->c == units && filter_dims->c == units);
    must(input_dims->n == 1 && input_dims->h * input_dims->w * input_dims->c == depth);
    must(output_dims->n == 1 && fc_params->filter_offset == 0);
    must(is_zero_point(fc_params->input_offset));
    must(fc_params->output_offset >= -128 && fc_params->output_offset <= 127);
    for (int32_t row = 0; row < units; row++) {
        const int8_t *weights = filter_data + row * depth;
        int64_t plain = bias_data[row];
        int64_t vector = sums[row];
        for (int32_t i = 0; i < depth; i++) {
            plain += (int64_t)weights[i] * (input_data[i] + fc_params->input_offset);
            vector += (int64_t)weights[i] * input_data[i];
        }
        must(plain == vector);
        plain = requantize(plain, quant_params->multiplier, quant_params->shift);
        output_data[row] = clamp(plain + fc_params->output_offset, fc_params->activation.min,
                                 fc_params->activation.max);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_add_s8(
    const int8_t *input_1_vect, const int8_t *input_2_vect, int32_t input_1_offset,
    int32_t input_1_mult, int32_t input_1_shift, int32_t input_2_offset, int32_t input_2_mult,
    int32_t input_2_shift, int32_t left_shift, int8_t *output, int32_t out_offset, int32_t out_mult,
    int32_t out_shift, int32_t out_activation_min, int32_t out_activation_max, int32_t block_size)
{
    must(is_zero_point(input_1_offset) && is_zero_point(input_2_offset));
    must(out_offset >= -128 && out_offset <= 127 && left_shift >= 0 && left_shift <= 20);
    for (int32_t i = 0; i < block_size; i++) {
        int64_t one = ((int64_t)input_1_vect[i] + input_1_offset) * ((int64_t)1 << left_shift);
        int64_t two = ((int64_t)input_2_vect[i] + input_2_offset) * ((int64_t)1 << left_shift);
        int64_t sum = requantize(one, input_1_mult, input_1_shift) +
                      requantize(two, input_2_mult, input_2_shift);
        output[i] = clamp(requantize(sum, out_mult, out_shift) + out_offset, out_activation_min,
                          out_activation_max);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_mul_s8(
    const int8_t *input_1_vect, const int8_t *input_2_vect, int32_t input_1_offset,
    int32_t input_2_offset, int8_t *output, int32_t out_offset, int32_t out_mult, int32_t out_shift,
    int32_t out_activation_min, int32_t out_activation_max, int32_t block_size)
{
    must(is_zero_point(input_1_offset) && is_zero_point(input_2_offset));
    must(out_offset >= -128 && out_offset <= 127);
    for (int32_t i = 0; i < block_size; i++) {
        int64_t product = ((int64_t)input_1_vect[i] + input_1_offset) *
                          ((int64_t)input_2_vect[i] + input_2_offset);
        output[i] = clamp(requantize(product, out_mult, out_shift) + out_offset, out_activation_min,
                          out_activation_max);
    }
    return ARM_CMSIS_NN_SUCCESS;
}
