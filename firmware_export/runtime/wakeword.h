/* Hear a word in a stream of 16 kHz, 16-bit, one-channel samples. The one header to include.

   No memory is allocated: the caller owns a wk_detector, and nothing lies outside it but constants.

       static wk_detector detector;
       wk_init(&detector);
       for (;;) {
           read_microphone(samples, count);
           for (size_t at = 0; at < count;) {
               size_t used;
               wk_detection found;
               if (wk_feed(&detector, samples + at, count - at, &used, &found) == WK_HEARD) {
                   react(wk_word(found.word));
               }
               at += used;
           }
       }
*/
#ifndef WAKEWORD_H
#define WAKEWORD_H

#include <stddef.h>
#include <stdint.h>

#include "wk_frontend.h"
#include "wk_model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    WK_OK,          /* all samples were heard, no word was */
    WK_HEARD,       /* a word was heard; call again with the samples that are left */
    WK_BAD_POINTER, /* a pointer is NULL */
    WK_NOT_READY,   /* wk_init was not called */
    WK_STATUS_COUNT
} wk_status;

/* A word was heard. */
typedef struct {
    uint64_t sample_index; /* samples heard since wk_init; divide by 16,000 for seconds */
    uint32_t word;         /* for wk_word */
    uint32_t prob_q16;     /* how sure, 65536 times a probability */
} wk_detection;

/* What one word remembers. */
typedef struct {
    uint64_t fired_at;
    uint32_t sum; /* of the scores in its window, each 256 times a probability */
    uint16_t at;
    uint8_t armed;
    uint8_t fired;
} wk_decision;

/* Everything a stream remembers; the fields are not for use. */
typedef struct {
    uint64_t sample_index;
    uint32_t ready;
    uint32_t pending;  /* frames since the last step */
    uint64_t waiting;  /* bit per word that was heard and not yet told */
    wk_frontend frontend;
    uint32_t scratch[WK_SCRATCH_WORDS];
    uint32_t states[WK_STATE_WORDS];
    uint32_t frames[WK_FRAME_WORDS];
    wk_decision decisions[WK_WORDS];
    uint8_t history[WK_HISTORY_BYTES];
} wk_detector;

/* Begin a stream; also to forget one. */
wk_status wk_init(wk_detector *self);

/* Hear samples, any number at a time from 0; stops behind the step in which a word was heard.
   On WK_OK and WK_HEARD *used says how many samples were taken; *found is written on WK_HEARD only.
   With NULL for self, used or found, or for samples where count is not 0, nothing is touched. */
wk_status wk_feed(wk_detector *self, const int16_t *samples, size_t count, size_t *used,
                  wk_detection *found);

/* The latest smoothed probability of a word, times 65536; 0 for a word there is not. */
uint32_t wk_prob_q16(const wk_detector *self, uint32_t word);

/* A word's name; "" where there is none. */
const char *wk_word(uint32_t word);

/* A status in words. */
const char *wk_status_text(wk_status status);

#ifdef __cplusplus
}
#endif

#endif
