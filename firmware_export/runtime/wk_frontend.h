/* Audio front end: 16 kHz int16 in, 40 features every 10 ms out. Integers only. */
#ifndef WK_FRONTEND_H
#define WK_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#define WK_WINDOW 480
#define WK_HOP 160
#define WK_BINS 40
/* Words of 32 bits that a frame needs for a while; their content is of no use afterwards. */
#define WK_FRONTEND_SCRATCH 256

typedef struct {
    uint32_t noise[WK_BINS];   /* slow estimate of each channel, in 1/1024 */
    int16_t samples[WK_WINDOW];
    uint32_t used;             /* samples held, less than WK_WINDOW between calls */
} wk_frontend;

/* Forget the stream. */
void wk_frontend_reset(wk_frontend *self);

/* Take samples until a window is full; returns how many were taken. */
size_t wk_frontend_take(wk_frontend *self, const int16_t *samples, size_t count);

/* 1 when wk_frontend_frame may be called. */
int wk_frontend_full(const wk_frontend *self);

/* Turn the full window into features and move on by one hop. */
void wk_frontend_frame(wk_frontend *self, uint32_t *scratch, uint16_t *features);

#endif
