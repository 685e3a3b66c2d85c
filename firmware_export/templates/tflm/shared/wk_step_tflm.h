/* Call wk_tflm_begin once, before wk_init; 0: the arena is too small or the model does not fit. */
#ifndef WK_STEP_TFLM_H
#define WK_STEP_TFLM_H

#ifdef __cplusplus
extern "C" {
#endif

int wk_tflm_begin(void);

#ifdef __cplusplus
}
#endif

#endif
