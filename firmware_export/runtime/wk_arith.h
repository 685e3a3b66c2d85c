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

/* Cores that multiply 32 by 32 bits to 32 only (Cortex-M0, M0+, M23) make long products of short ones. */
#if !defined(WK_NARROW)
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define WK_NARROW 1
#else
#define WK_NARROW 0
#endif
#endif

/* a * b / 2^32, rounded to nearest, ties up. */
static inline int32_t wk_high_product(int32_t a, int32_t b)
{
#if WK_NARROW
    int32_t a_high = a >> 16;
    int32_t b_high = b >> 16;
    uint32_t a_low = (uint32_t)a & 0xFFFFu;
    uint32_t b_low = (uint32_t)b & 0xFFFFu;
    int32_t middle = a_high * (int32_t)b_low;
    int32_t other = b_high * (int32_t)a_low;
    uint32_t carry = (a_low * b_low >> 16) + ((uint32_t)middle & 0xFFFFu) +
                     ((uint32_t)other & 0xFFFFu) + 0x8000u;
    return a_high * b_high + (middle >> 16) + (other >> 16) + (int32_t)(carry >> 16);
#else
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
#endif
}

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
    int32_t high = wk_high_product(2 * x, multiplier);
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
