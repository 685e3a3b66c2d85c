/* A radix-4 FFT, decimation in time, whose every rounding is that of the TFLite Micro front end. */
#include "wk_fft.h"

#include "wk_arith.h"
#include "wk_tables.h"

/* 32767 / 4 and 32767 / 2: what a stage multiplies by to make room for its sums. */
#define QUARTER 8191
#define HALF 16383
#define ROUND 16384

/* x * factor / 32768, rounded, for both halves. */
static inline uint32_t shrink(uint32_t x, int32_t factor)
{
#if WK_DSP
    /* The upper half is computed twice as large, so that it already lies where it belongs. */
    uint32_t low = (uint32_t)__smlabb((int32_t)x, factor, ROUND);
    uint32_t high = (uint32_t)__smlatb((int32_t)x, 2 * factor, 2 * ROUND);
    return (high & 0xFFFF0000u) | ((low >> 15) & 0xFFFFu);
#else
    return wk_pack((wk_re(x) * factor + ROUND) >> 15, (wk_im(x) * factor + ROUND) >> 15);
#endif
}

/* Complex product with a 15-bit factor. */
static inline uint32_t turn(uint32_t x, uint32_t by)
{
#if WK_DSP
    uint32_t re = (uint32_t)__smlsd((int16x2_t)x, (int16x2_t)by, ROUND);
    uint32_t im = (uint32_t)__smladx((int16x2_t)x, (int16x2_t)by, ROUND);
    return ((im << 1) & 0xFFFF0000u) | ((re >> 15) & 0xFFFFu);
#else
    int32_t re = wk_re(x) * wk_re(by) - wk_im(x) * wk_im(by);
    int32_t im = wk_re(x) * wk_im(by) + wk_im(x) * wk_re(by);
    return wk_pack((re + ROUND) >> 15, (im + ROUND) >> 15);
#endif
}

static inline uint32_t add(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack(wk_re(a) + wk_re(b), wk_im(a) + wk_im(b));
#endif
}

static inline uint32_t sub(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack(wk_re(a) - wk_re(b), wk_im(a) - wk_im(b));
#endif
}

/* a - i b and a + i b. */
static inline uint32_t sub_turned(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__ssax((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack(wk_re(a) + wk_im(b), wk_im(a) - wk_re(b));
#endif
}

static inline uint32_t add_turned(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__sasx((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack(wk_re(a) - wk_im(b), wk_im(a) + wk_re(b));
#endif
}

/* Combine four numbers that were shrunk and turned. */
static inline void combine(uint32_t *x, int32_t step, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t even = add(a, c);
    uint32_t odd = sub(a, c);
    uint32_t sum = add(b, d);
    uint32_t difference = sub(b, d);
    x[0] = add(even, sum);
    x[step] = sub_turned(odd, difference);
    x[2 * step] = sub(even, sum);
    x[3 * step] = add_turned(odd, difference);
}

void wk_fft(uint32_t *x)
{
    for (int32_t step = 1; step < 256; step *= 4) {
        int32_t stride = 64 / step;
        /* The first turn is by one, which in 15 bits leaves numbers of this size as they are. */
        for (uint32_t *at = x; at < x + 256; at += 4 * step) {
            combine(at, step, shrink(at[0], QUARTER), shrink(at[step], QUARTER),
                    shrink(at[2 * step], QUARTER), shrink(at[3 * step], QUARTER));
        }
        for (int32_t k = 1; k < step; k++) {
            uint32_t by1 = wk_fft_twiddles[k * stride];
            uint32_t by2 = wk_fft_twiddles[2 * k * stride];
            uint32_t by3 = wk_fft_twiddles[3 * k * stride];
            for (uint32_t *at = x + k; at < x + 256; at += 4 * step) {
                combine(at, step, shrink(at[0], QUARTER), turn(shrink(at[step], QUARTER), by1),
                        turn(shrink(at[2 * step], QUARTER), by2),
                        turn(shrink(at[3 * step], QUARTER), by3));
            }
        }
    }
}

/* Half of the sum of each half, without overflow. */
static inline uint32_t half_sum(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__shadd16((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack((wk_re(a) + wk_re(b)) >> 1, (wk_im(a) + wk_im(b)) >> 1);
#endif
}

static inline uint32_t half_difference(uint32_t a, uint32_t b)
{
#if WK_DSP
    return (uint32_t)__shsub16((int16x2_t)a, (int16x2_t)b);
#else
    return wk_pack((wk_re(a) - wk_re(b)) >> 1, (wk_im(a) - wk_im(b)) >> 1);
#endif
}

static inline uint32_t energy(uint32_t x)
{
#if WK_DSP
    return (uint32_t)__smuad((int16x2_t)x, (int16x2_t)x);
#else
    return (uint32_t)(wk_re(x) * wk_re(x)) + (uint32_t)(wk_im(x) * wk_im(x));
#endif
}

void wk_fft_energies(uint32_t *x)
{
    for (int32_t k = WK_FIRST_BIN; k <= 128; k++) {
        uint32_t here = shrink(x[k], HALF);
        /* The conjugate of the bin as far from the other end. */
        uint32_t other = x[256 - k];
        uint32_t there = shrink(wk_pack(wk_re(other), -wk_im(other)), HALF);
        uint32_t even = add(here, there);
        uint32_t odd = turn(sub(here, there), wk_fft_split[k - 1]);
        /* The upper bin's imaginary part has its sign turned first, then is halved. */
        uint32_t low = half_sum(even, odd);
        uint32_t high_re = half_difference(even, odd);
        uint32_t high_im = half_difference(odd, even);
        x[k] = energy(low);
        x[256 - k] = energy((high_re & 0xFFFFu) | (high_im & 0xFFFF0000u));
    }
}
