#include "wakeword.h"

#include <string.h>

#include "wk_step.h"

#define READY 0x776B3031u
#define FRAME_BYTES WK_BINS

static const char *const status_text[WK_STATUS_COUNT] = {
    [WK_OK] = "ok",
    [WK_HEARD] = "a word was heard",
    [WK_BAD_POINTER] = "a pointer is NULL",
    [WK_NOT_READY] = "wk_init was not called",
};

wk_status wk_init(wk_detector *self)
{
    uint16_t silence[WK_BINS] = {0};
    if (self == NULL) {
        return WK_BAD_POINTER;
    }
    memset(self, 0, sizeof *self);
    for (uint32_t frame = 0u; frame < WK_KERNEL; frame++) {
        wk_store_frame(silence, (int8_t *)self->frames + frame * FRAME_BYTES);
    }
    for (uint32_t word = 0u; word < WK_WORDS; word++) {
        self->decisions[word].armed = 1u;
    }
    self->ready = READY;
    return WK_OK;
}

/* Take one score; tell whether the word fires on it. */
static int decide(wk_detector *self, uint32_t word, uint8_t score)
{
    const wk_rule *rule = &wk_rules[word];
    wk_decision *decision = &self->decisions[word];
    uint8_t *oldest = self->history + rule->history + decision->at;
    decision->sum += (uint32_t)score - *oldest;
    *oldest = score;
    decision->at = (uint16_t)(decision->at + 1u == rule->width ? 0u : decision->at + 1u);
    if (decision->sum < rule->release) {
        decision->armed = 1u;
        return 0;
    }
    if (!decision->armed || decision->sum < rule->level) {
        return 0;
    }
    if (decision->fired && self->sample_index - decision->fired_at < rule->refractory) {
        return 0;
    }
    decision->armed = 0u;
    decision->fired = 1u;
    decision->fired_at = self->sample_index;
    return 1;
}

/* A window is full: features, and once enough of them are new, a step. */
static void hear_window(wk_detector *self)
{
    uint16_t features[WK_BINS];
    uint8_t scores[WK_WORDS];
    int8_t *frames = (int8_t *)self->frames;
    wk_frontend_frame(&self->frontend, self->scratch, features);
    wk_store_frame(features, frames + (WK_KERNEL - WK_STRIDE + self->pending) * FRAME_BYTES);
    self->pending++;
    if (self->pending < WK_STRIDE) {
        return;
    }
    self->pending = 0u;
    wk_run_step(frames, (int8_t *)self->states, self->scratch, scores);
    memmove(frames, frames + WK_STRIDE * FRAME_BYTES, (WK_KERNEL - WK_STRIDE) * FRAME_BYTES);
    for (uint32_t word = 0u; word < WK_WORDS; word++) {
        if (decide(self, word, scores[word])) {
            self->waiting |= (uint64_t)1 << word;
        }
    }
}

uint32_t wk_prob_q16(const wk_detector *self, uint32_t word)
{
    if (self == NULL || word >= WK_WORDS || self->ready != READY) {
        return 0u;
    }
    return self->decisions[word].sum * 256u / wk_rules[word].width;
}

wk_status wk_feed(wk_detector *self, const int16_t *samples, size_t count, size_t *used,
                  wk_detection *found)
{
    size_t taken = 0u;
    if (self == NULL || used == NULL || found == NULL || (samples == NULL && count != 0u)) {
        return WK_BAD_POINTER;
    }
    if (self->ready != READY) {
        return WK_NOT_READY;
    }
    while (self->waiting == 0u && taken < count) {
        size_t now = wk_frontend_take(&self->frontend, samples + taken, count - taken);
        taken += now;
        self->sample_index += now;
        if (wk_frontend_full(&self->frontend)) {
            hear_window(self);
        }
    }
    *used = taken;
    if (self->waiting == 0u) {
        return WK_OK;
    }
    for (uint32_t word = 0u; word < WK_WORDS; word++) {
        if (self->waiting >> word & 1u) {
            self->waiting &= ~((uint64_t)1 << word);
            found->sample_index = self->sample_index;
            found->word = word;
            found->prob_q16 = wk_prob_q16(self, word);
            break;
        }
    }
    return WK_HEARD;
}

const char *wk_word(uint32_t word)
{
    return word < WK_WORDS ? wk_names[word] : "";
}

const char *wk_status_text(wk_status status)
{
    return (uint32_t)status < (uint32_t)WK_STATUS_COUNT ? status_text[status] : "unknown";
}
