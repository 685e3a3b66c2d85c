/* Between the detector and the generated model; not for use. */
#ifndef WK_STEP_H
#define WK_STEP_H

#include <stdint.h>

/* When a word counts as heard; sums are of `width` scores of 256 times a probability. */
typedef struct {
    uint32_t level;      /* least sum that fires */
    uint32_t release;    /* least sum that keeps it from being armed again */
    uint32_t refractory; /* samples after an event */
    uint16_t width;
    uint16_t history;    /* where its window begins */
} wk_rule;

extern const wk_rule wk_rules[];
extern const char *const wk_names[];

/* What the model takes for raw features. */
void wk_store_frame(const uint16_t *features, int8_t *frame);

/* One step: the window of frames and the states in, the states and a score per word out. */
void wk_run_step(const int8_t *frames, int8_t *states, uint32_t *scratch, uint8_t *scores);

#endif
