#ifndef WK_MODEL_DATA_H
#define WK_MODEL_DATA_H

#ifdef __cplusplus
extern "C" {
#endif

/* The model as TFLite Micro reads it, aligned to 16. */
extern const unsigned char wk_model_data[];
extern const unsigned int wk_model_data_size;

#ifdef __cplusplus
}
#endif

#endif
