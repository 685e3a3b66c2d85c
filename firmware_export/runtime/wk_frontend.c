/* Window, FFT, bands, noise reduction, gain control and logarithm. */
#include "wk_frontend.h"

#include <string.h>

#include "wk_arith.h"
#include "wk_fft.h"
#include "wk_tables.h"

#define NOISE_BITS 10
#define SMOOTH_EVEN 409  /* 0.025 of 2^14 */
#define SMOOTH_ODD 983   /* 0.06 of 2^14 */
#define LEAST_LEFT 819   /* 0.05 of 2^14 */
#define SHARE_BITS 14
#define SNR_SHIFT 6
#define SNR_BITS 12
#define OUTPUT_BITS 6
#define LOG_CORRECTION 3
#define LOG_SHIFT 6
#define LN2 45426u       /* of 2^16 */

void wk_frontend_reset(wk_frontend *self)
{
    memset(self, 0, sizeof *self);
}

size_t wk_frontend_take(wk_frontend *self, const int16_t *samples, size_t count)
{
    size_t room = WK_WINDOW - (size_t)self->used;
    size_t taken = count < room ? count : room;
    memcpy(self->samples + self->used, samples, taken * sizeof *samples);
    self->used += (uint32_t)taken;
    return taken;
}

int wk_frontend_full(const wk_frontend *self)
{
    return self->used == WK_WINDOW;
}

/* Weigh the samples and lay them out for the FFT; returns the bits of the largest. */
static uint32_t apply_window(const int16_t *samples, uint32_t *x)
{
    uint32_t all = 0u;
    for (int32_t n = 0; n < 240; n++) {
        int32_t re = (samples[2 * n] * wk_window[2 * n]) >> 12;
        int32_t im = (samples[2 * n + 1] * wk_window[2 * n + 1]) >> 12;
        all |= (uint32_t)(re < 0 ? -re : re) | (uint32_t)(im < 0 ? -im : im);
        x[wk_fft_order[n]] = wk_pack(re, im);
    }
    for (int32_t n = 240; n < 256; n++) {
        x[wk_fft_order[n]] = 0u;
    }
    /* -32768 has no opposite in 16 bits and never counted as large. */
    return wk_bits(all & 0x7FFFu);
}

/* Square root, rounded to nearest, of a number below 2^56. */
static uint32_t root(uint64_t x)
{
    uint32_t high = (uint32_t)(x >> 32);
    uint32_t low = (uint32_t)x;
    uint32_t rest = 0u;
    uint32_t result = 0u;
    uint32_t bits = high != 0u ? 32u + wk_bits(high) : wk_bits(low);
    uint32_t pairs = (bits + 1u) / 2u;
    uint32_t skip = 64u - 2u * pairs;
    if (pairs == 0u) {
        return 0u;
    }
    /* Two digits of x at a time, one of the root; what is left stays below 2^30. */
    x <<= skip;
    high = (uint32_t)(x >> 32);
    low = (uint32_t)x;
    for (uint32_t i = 0u; i < pairs; i++) {
        if (i == 16u) {
            high = low;
        }
        rest = (rest << 2) | (high >> 30);
        high <<= 2;
        result <<= 1;
        if (rest > 2u * result) {
            rest -= 2u * result + 1u;
            result++;
        }
    }
    /* Of numbers below 2^32 the root keeps to 16 bits. */
    if (rest > result && result != 0xFFFFu) {
        result++;
    }
    return result;
}

/* Weighted energy of each band, as amplitude. */
static void sum_bands(uint32_t *energies, uint32_t shift, uint32_t *amplitudes)
{
    /* A bin counts in the band it falls out of and, with the rest of 4096, in the next. */
    uint64_t next = 0u;
    const uint16_t *weight = wk_band_weights;
    int32_t bin = WK_FIRST_BIN;
    for (int32_t band = 0; band <= WK_BINS; band++) {
        uint64_t sum = next;
        next = 0u;
#if WK_NARROW
        /* Halves of the energies by themselves: the weights of a band add up to less than 2^16. */
        uint32_t low = 0u;
        uint32_t high = 0u;
        uint32_t next_low = 0u;
        uint32_t next_high = 0u;
        for (; bin < wk_band_ends[band]; bin++) {
            uint32_t share = *weight++;
            uint32_t energy = energies[bin];
            low += (energy & 0xFFFFu) * share;
            high += (energy >> 16) * share;
            next_low += (energy & 0xFFFFu) * (4096u - share);
            next_high += (energy >> 16) * (4096u - share);
        }
        sum += ((uint64_t)high << 16) + low;
        next = ((uint64_t)next_high << 16) + next_low;
#else
        for (; bin < wk_band_ends[band]; bin++) {
            uint32_t share = *weight++;
            uint32_t energy = energies[bin];
            sum += (uint64_t)energy * share;
            next += (uint64_t)energy * (4096u - share);
        }
#endif
        if (band > 0) {
            amplitudes[band - 1] = root(sum) >> shift;
        }
    }
}

/* Gain for a noise level, by a parabola in its octave. */
static uint32_t gain(uint32_t noise)
{
    if (noise <= 2u) {
        return (uint32_t)wk_gains[noise];
    }
    uint32_t octave = wk_bits(noise);
    const int16_t *part = wk_gains + 3u * octave - 4u;
    int32_t at = (int32_t)((octave < 11u ? noise << (11u - octave) : noise >> (octave - 11u)) & 0x3FFu);
    int32_t result = (part[2] * at) >> 5;
    result += (int32_t)((uint32_t)part[1] << 5);
    result *= at;
    result = (result + (1 << 14)) >> 15;
    return (uint32_t)(int16_t)(result + part[0]);
}

/* Take the noise off one band and even out its level. */
static uint32_t clean(uint32_t signal, uint32_t *noise, uint32_t smoothing)
{
    uint32_t scaled = signal << NOISE_BITS;
    uint32_t rest = (1u << SHARE_BITS) - smoothing;
    /* In halves of 16 bits: a product with a share of 2^14 then fits 32. */
    uint32_t high = (scaled >> 16) * smoothing + (*noise >> 16) * rest;
    uint32_t low = (scaled & 0xFFFFu) * smoothing + (*noise & 0xFFFFu) * rest;
    uint32_t estimate = (high << (16 - SHARE_BITS)) + (low >> SHARE_BITS);
    *noise = estimate;
    uint32_t least = (((signal >> 16) * LEAST_LEFT) << (16 - SHARE_BITS)) +
                     (((signal & 0xFFFFu) * LEAST_LEFT) >> SHARE_BITS);
    uint32_t left = estimate > scaled ? 0u : (scaled - estimate) >> NOISE_BITS;
    uint32_t kept = left > least ? left : least;
    uint32_t factor = gain(estimate);
    uint32_t snr = (((kept >> 16) * factor) << (16 - SNR_SHIFT)) +
                   (((kept & 0xFFFFu) * factor) >> SNR_SHIFT);
    if (snr < (2u << SNR_BITS)) {
        return (snr * snr) >> (2 + 2 * SNR_BITS - OUTPUT_BITS);
    }
    return (snr >> (SNR_BITS - OUTPUT_BITS)) - (1u << OUTPUT_BITS);
}

/* 64 times the natural logarithm. */
static uint16_t logarithm(uint32_t x)
{
    if (x <= 1u) {
        return 0u;
    }
    uint32_t whole = wk_bits(x) - 1u;
    uint32_t fraction = x - ((uint32_t)1 << whole);
    fraction = whole < 16u ? fraction << (16u - whole) : fraction >> (whole - 16u);
    uint32_t part = fraction >> 9;
    int32_t low = wk_logs[part];
    int32_t step = wk_logs[part + 1u] - low;
    int32_t between = (step * (int32_t)(fraction - (part << 9))) >> 16;
    uint32_t log2 = (whole << 16) + fraction + (uint32_t)(low + between);
    uint32_t natural = LN2 * (log2 >> 16) + ((LN2 * (log2 & 0xFFFFu) + 0x8000u) >> 16);
    uint32_t result = ((natural << LOG_SHIFT) + 0x8000u) >> 16;
    return (uint16_t)(result < 0xFFFFu ? result : 0xFFFFu);
}

void wk_frontend_frame(wk_frontend *self, uint32_t *scratch, uint16_t *features)
{
    uint32_t *x = scratch;
    uint32_t shift = 15u - apply_window(self->samples, x);
    memmove(self->samples, self->samples + WK_HOP, (WK_WINDOW - WK_HOP) * sizeof *self->samples);
    self->used = WK_WINDOW - WK_HOP;
    for (int32_t i = 0; i < 256; i++) {
        uint32_t word = x[i];
        x[i] = ((word & 0xFFFF0000u) << shift) | ((word << shift) & 0xFFFFu);
    }
    wk_fft(x);
    wk_fft_energies(x);
    uint32_t amplitudes[WK_BINS];
    sum_bands(x, shift, amplitudes);
    for (int32_t band = 0; band < WK_BINS; band++) {
        uint32_t smoothing = (band & 1) == 0 ? SMOOTH_EVEN : SMOOTH_ODD;
        uint32_t level = clean(amplitudes[band], &self->noise[band], smoothing);
        features[band] = logarithm(level << LOG_CORRECTION);
    }
}
