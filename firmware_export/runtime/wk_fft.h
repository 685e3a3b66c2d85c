/* FFT of 512 real points in 16 bits, as 256 complex ones; each word holds re (low half) and im. */
#ifndef WK_FFT_H
#define WK_FFT_H

#include <stdint.h>

static inline uint32_t wk_pack(int32_t re, int32_t im)
{
    return ((uint32_t)re & 0xFFFFu) | ((uint32_t)im << 16);
}

static inline int32_t wk_re(uint32_t word)
{
    return (int16_t)word;
}

static inline int32_t wk_im(uint32_t word)
{
    return (int32_t)word >> 16;
}

/* In place; the input lies in the order of wk_fft_order. Each of the four stages divides by 4. */
void wk_fft(uint32_t *x);

/* From the result of wk_fft to |X|^2 of the real bins 5 .. 240, in place. */
void wk_fft_energies(uint32_t *x);

#endif
