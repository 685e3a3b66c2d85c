/* Run the exported code over samples from standard input and write what it found to standard output.

   wk_check frames           features of each frame, uint16
   wk_check scores           scores of each step, uint8, 256 times a probability; then the states
   wk_check events N         a line for each word heard, the samples handed over N at a time
   wk_check events N SEED    the same, in chunks of 0 to N samples drawn by SEED */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wakeword.h"
#include "wk_step.h"

#define BLOCK 4096

static wk_detector detector;

static size_t read_samples(int16_t *samples, size_t count)
{
    return fread(samples, sizeof *samples, count, stdin);
}

static void write_all(const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size) {
        exit(3);
    }
}

/* Frames alone, or frames and steps, without the detector around them. */
static void trace(int steps)
{
    static int16_t samples[BLOCK];
    static wk_frontend frontend;
    static uint32_t scratch[WK_SCRATCH_WORDS];
    static uint32_t states[WK_STATE_WORDS];
    static uint32_t window[WK_FRAME_WORDS];
    int8_t *frames = (int8_t *)window;
    uint16_t features[WK_BINS] = {0};
    uint8_t scores[WK_WORDS];
    uint32_t pending = 0u;
    size_t count;
    wk_frontend_reset(&frontend);
    for (uint32_t i = 0u; i < WK_KERNEL; i++) {
        wk_store_frame(features, frames + i * WK_BINS);
    }
    while ((count = read_samples(samples, BLOCK)) > 0u) {
        for (size_t at = 0u; at < count;) {
            at += wk_frontend_take(&frontend, samples + at, count - at);
            if (!wk_frontend_full(&frontend)) {
                break;
            }
            wk_frontend_frame(&frontend, scratch, features);
            if (!steps) {
                write_all(features, sizeof features);
                continue;
            }
            wk_store_frame(features, frames + (WK_KERNEL - WK_STRIDE + pending) * WK_BINS);
            if (++pending == WK_STRIDE) {
                pending = 0u;
                wk_run_step(frames, (int8_t *)states, scratch, scores);
                write_all(scores, sizeof scores);
                memmove(frames, frames + WK_STRIDE * WK_BINS, (WK_KERNEL - WK_STRIDE) * WK_BINS);
            }
        }
    }
    if (steps) {
        write_all(states, sizeof states);
    }
}

static int hear(const int16_t *samples, size_t count)
{
    for (size_t at = 0u;;) {
        size_t used = 0u;
        wk_detection found;
        wk_status status = wk_feed(&detector, samples + at, count - at, &used, &found);
        at += used;
        if (status == WK_HEARD) {
            printf("%lu %s %lu\n", (unsigned long)found.sample_index, wk_word(found.word),
                   (unsigned long)found.prob_q16);
        } else if (status != WK_OK) {
            fprintf(stderr, "%s\n", wk_status_text(status));
            return 1;
        } else {
            return at == count ? 0 : 1;
        }
    }
}

/* Chunks of their own memory, so that a sanitizer sees a read past the end. */
static int events(size_t most, unsigned long seed)
{
    uint32_t random = (uint32_t)seed;
    wk_detection found;
    size_t used;
    if (wk_feed(&detector, NULL, 0u, &used, &found) != WK_NOT_READY) {
        return 1;
    }
    if (wk_init(&detector) != WK_OK || wk_init(NULL) != WK_BAD_POINTER) {
        return 1;
    }
    for (;;) {
        size_t size = most;
        if (seed != 0ul) {
            random = random * 1664525u + 1013904223u;
            size = (random >> 8) % (most + 1u);
        }
        int16_t *samples = malloc((size == 0u ? 1u : size) * sizeof *samples);
        if (samples == NULL) {
            return 1;
        }
        size_t count = read_samples(samples, size);
        int failed = hear(samples, count);
        free(samples);
        if (failed) {
            return 1;
        }
        if (count < size || feof(stdin)) {
            return 0;
        }
    }
}

int main(int count, char **words)
{
    int failed = 2;
    if (count == 2 && strcmp(words[1], "frames") == 0) {
        trace(0);
        failed = 0;
    } else if (count == 2 && strcmp(words[1], "scores") == 0) {
        trace(1);
        failed = 0;
    } else if ((count == 3 || count == 4) && strcmp(words[1], "events") == 0) {
        failed = events(strtoul(words[2], NULL, 10), count == 4 ? strtoul(words[3], NULL, 10) : 0ul);
    }
    return fflush(stdout) != 0 || ferror(stdin) ? 3 : failed;
}
