#include "wk_kernels.h"

#include <string.h>

#include "wk_arith.h"

#if defined(WK_CMSIS_NN)
#include "arm_nnfunctions.h"
#if defined(CMSIS_NN_USE_SINGLE_ROUNDING)
#error "leave CMSIS_NN_USE_SINGLE_ROUNDING out: scores would differ from those of TFLite Micro"
#endif
#endif

/* Sums and products of CMSIS-NN are worth a call on cores with a vector unit (Cortex-M55, M85) only. */
#if !defined(WK_CMSIS_NN_PAIRS)
#if defined(WK_CMSIS_NN) && defined(__ARM_FEATURE_MVE)
#define WK_CMSIS_NN_PAIRS 1
#else
#define WK_CMSIS_NN_PAIRS 0
#endif
#endif

#if defined(WK_CMSIS_NN)
void wk_apply_dense(const wk_dense *self, const int8_t *x, int8_t *y)
{
    /* Cores with a vector unit start from the buffer: the bias, plus the input's offset times the sum
       of a row's weights. That product is in our bias already, so that the bias is the buffer; it is
       only read. A context without a buffer is all that the function refuses. */
    const cmsis_nn_context context = {.buf = (void *)self->bias, .size = 4 * self->units};
    const cmsis_nn_fc_params params = {.output_offset = self->zero,
                                       .activation = {.min = self->low, .max = self->high}};
    const cmsis_nn_per_tensor_quant_params by = {.multiplier = self->multiplier, .shift = -self->shift};
    const cmsis_nn_dims input = {.n = 1, .h = 1, .w = 1, .c = self->depth};
    const cmsis_nn_dims filter = {.n = self->depth, .h = 1, .w = 1, .c = self->units};
    const cmsis_nn_dims bias = {.n = 1, .h = 1, .w = 1, .c = self->units};
    const cmsis_nn_dims output = {.n = 1, .h = 1, .w = 1, .c = self->units};
    (void)arm_fully_connected_s8(&context, &params, &by, &input, x, &filter, self->weights, &bias,
                                 self->bias, &output, y);
}
#else
#if WK_DSP
static inline uint32_t load4(const int8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* Bytes 0 and 2 of a word as two int16. */
static inline int16x2_t even(uint32_t word)
{
    return __sxtb16((int8x4_t)word);
}

/* Bytes 1 and 3. */
static inline int16x2_t odd(uint32_t word)
{
#if defined(__GNUC__)
    /* One instruction; the compiler makes two of the intrinsic and a rotation. */
    int16x2_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
#else
    return __sxtb16((int8x4_t)((word >> 8) | (word << 24)));
#endif
}
#endif

/* Four sums at once, so that x is read once for four rows. */
static const int8_t *four_rows(const int8_t *w, const int8_t *x, int32_t depth, int32_t *sums)
{
    int32_t sum0 = sums[0];
    int32_t sum1 = sums[1];
    int32_t sum2 = sums[2];
    int32_t sum3 = sums[3];
    for (const int8_t *end = x + depth; x < end; x += 4, w += 16) {
#if WK_DSP
        uint32_t word = load4(x);
        int16x2_t x02 = even(word);
        int16x2_t x13 = odd(word);
        word = load4(w);
        sum0 = __smlad(even(word), x02, sum0);
        sum0 = __smlad(odd(word), x13, sum0);
        word = load4(w + 4);
        sum1 = __smlad(even(word), x02, sum1);
        sum1 = __smlad(odd(word), x13, sum1);
        word = load4(w + 8);
        sum2 = __smlad(even(word), x02, sum2);
        sum2 = __smlad(odd(word), x13, sum2);
        word = load4(w + 12);
        sum3 = __smlad(even(word), x02, sum3);
        sum3 = __smlad(odd(word), x13, sum3);
#else
        int32_t x0 = x[0];
        int32_t x1 = x[1];
        int32_t x2 = x[2];
        int32_t x3 = x[3];
        sum0 += w[0] * x0 + w[1] * x1 + w[2] * x2 + w[3] * x3;
        sum1 += w[4] * x0 + w[5] * x1 + w[6] * x2 + w[7] * x3;
        sum2 += w[8] * x0 + w[9] * x1 + w[10] * x2 + w[11] * x3;
        sum3 += w[12] * x0 + w[13] * x1 + w[14] * x2 + w[15] * x3;
#endif
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
    return w;
}

void wk_apply_dense(const wk_dense *self, const int8_t *x, int8_t *y)
{
    const int8_t *w = self->weights;
    int32_t units = self->units;
    for (int32_t first = 0; first < units; first += 4) {
        int32_t rows = units - first < 4 ? units - first : 4;
        const int32_t *bias = self->bias + first;
        int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
        w = four_rows(w, x, self->depth, sums);
        for (int32_t row = 0; row < rows; row++) {
            int32_t value = wk_rescale(sums[row], self->multiplier, self->shift) + self->zero;
            y[first + row] = (int8_t)wk_clamp(value, self->low, self->high);
        }
    }
}
#endif

void wk_apply_sum(const wk_sum *self, const int8_t *a, const int8_t *b, int8_t *y, int32_t count)
{
#if WK_CMSIS_NN_PAIRS
    /* It has no difference, and a negative factor would round ties otherwise. */
    if (self->sign > 0) {
        (void)arm_elementwise_add_s8(a, b, -self->zero_a, self->multiplier_a, -self->shift_a,
                                     -self->zero_b, self->multiplier_b, -self->shift_b, 20, y,
                                     self->zero, self->multiplier, -self->shift, self->low,
                                     self->high, count);
        return;
    }
#endif
    for (int32_t i = 0; i < count; i++) {
        int32_t of_a = wk_rescale((a[i] - self->zero_a) * (1 << 20), self->multiplier_a, self->shift_a);
        int32_t of_b = wk_rescale((b[i] - self->zero_b) * (1 << 20), self->multiplier_b, self->shift_b);
        int32_t value = wk_rescale(of_a + self->sign * of_b, self->multiplier, self->shift) + self->zero;
        y[i] = (int8_t)wk_clamp(value, self->low, self->high);
    }
}

void wk_apply_product(const wk_product *self, const int8_t *a, const int8_t *b, int8_t *y,
                      int32_t count)
{
#if WK_CMSIS_NN_PAIRS
    (void)arm_elementwise_mul_s8(a, b, -self->zero_a, -self->zero_b, y, self->zero, self->multiplier,
                                 -self->shift, self->low, self->high, count);
#else
    for (int32_t i = 0; i < count; i++) {
        int32_t both = (a[i] - self->zero_a) * (b[i] - self->zero_b);
        int32_t value = wk_rescale(both, self->multiplier, self->shift) + self->zero;
        y[i] = (int8_t)wk_clamp(value, self->low, self->high);
    }
#endif
}

void wk_apply_table(const int8_t *table, const int8_t *x, int8_t *y, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = table[(uint8_t)x[i]];
    }
}
