/* Hear raw 16 kHz, 16-bit samples on standard input:
   cc -std=c99 -O2 *.c -o example && arecord -q -r 16000 -f S16_LE -c 1 -t raw | ./example */
#include <stdio.h>

#include "wakeword.h"

int main(void)
{
    static wk_detector detector;
    int16_t samples[160];
    size_t count;
    if (wk_init(&detector) != WK_OK) {
        return 1;
    }
    while ((count = fread(samples, sizeof *samples, 160, stdin)) > 0u) {
        size_t at = 0u;
        wk_status status;
        do {
            wk_detection found;
            size_t used = 0u;
            status = wk_feed(&detector, samples + at, count - at, &used, &found);
            if (status == WK_HEARD) {
                printf("%9.2f s  %s  %.3f\n", (double)found.sample_index / 16000.0,
                       wk_word(found.word), (double)found.prob_q16 / 65536.0);
                fflush(stdout);
            } else if (status != WK_OK) {
                fprintf(stderr, "%s\n", wk_status_text(status));
                return 1;
            }
            at += used;
        } while (status == WK_HEARD);
    }
    return 0;
}
