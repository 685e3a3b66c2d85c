/* The four operations of a model, on rows of int8. Rounding is that of TFLite Micro. With WK_CMSIS_NN
   defined, products of a matrix are those of CMSIS-NN, with the same results. */
#ifndef WK_KERNELS_H
#define WK_KERNELS_H

#include <stdint.h>

/* y = clamp(rescale(weights x + bias) + zero). Weights come in blocks of four rows by four columns,
   rows within a block one after the other; with WK_CMSIS_NN row by row. Rows, columns and bias are
   filled up to fours with zeros. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    int32_t multiplier;
    uint16_t depth; /* a multiple of 4; x is readable, and aligned to 4, as far as that */
    uint16_t units;
    int8_t shift;
    int8_t zero;
    int8_t low;
    int8_t high;
} wk_dense;

/* y = clamp(rescale(rescale(a) +- rescale(b)) + zero), zero points taken off first. */
typedef struct {
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t multiplier;
    int8_t shift_a;
    int8_t shift_b;
    int8_t shift;
    int8_t sign; /* 1 to add, -1 to subtract */
    int8_t zero_a;
    int8_t zero_b;
    int8_t zero;
    int8_t low;
    int8_t high;
} wk_sum;

/* y = clamp(rescale(a b) + zero), zero points taken off first. */
typedef struct {
    int32_t multiplier;
    int8_t shift;
    int8_t zero_a;
    int8_t zero_b;
    int8_t zero;
    int8_t low;
    int8_t high;
} wk_product;

void wk_apply_dense(const wk_dense *self, const int8_t *x, int8_t *y);
/* y may be a or b. */
void wk_apply_sum(const wk_sum *self, const int8_t *a, const int8_t *b, int8_t *y, int32_t count);
void wk_apply_product(const wk_product *self, const int8_t *a, const int8_t *b, int8_t *y,
                      int32_t count);
/* y = table[x], the table ordered by the byte read as unsigned; y may be x. */
void wk_apply_table(const int8_t *table, const int8_t *x, int8_t *y, int32_t count);

#endif
