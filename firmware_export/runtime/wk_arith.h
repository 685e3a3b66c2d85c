/* Small integer helpers shared by the front end and the model. */
#ifndef WK_ARITH_H
#define WK_ARITH_H

#include <stdint.h>

/* Everything here relies on two's complement: a shift right keeps the sign, a cast keeps the low bits. */
typedef char wk_assert_shift[((-1 >> 1) == -1) ? 1 : -1];
typedef char wk_assert_cast[((int16_t)65535 == -1) ? 1 : -1];

/* Cores with the DSP extension (Cortex-M4, M7, M33 and up) multiply two pairs of 16 bits at once. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(WK_NO_DSP)
#define WK_DSP 1
#include <arm_acle.h>
#else
#define WK_DSP 0
#endif

/* Bits needed to write x: 0 for 0, 32 from 2^31. */
static inline uint32_t wk_bits(uint32_t x)
{
#if defined(__GNUC__)
    return x == 0u ? 0u : 32u - (uint32_t)__builtin_clz(x);
#else
    uint32_t bits = 0u;
    for (; x != 0u; x >>= 1) {
        bits++;
    }
    return bits;
#endif
}

/* x * multiplier / 2^31, rounded, then / 2^shift, rounded with ties away from zero; |x| < 2^30. */
static inline int32_t wk_rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    int32_t high = (int32_t)(((int64_t)(2 * x) * multiplier + 0x80000000LL) >> 32);
    if (shift == 0) {
        return high;
    }
    return (high + ((int32_t)1 << (shift - 1)) + (high >> 31)) >> shift;
}

static inline int32_t wk_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

#endif
