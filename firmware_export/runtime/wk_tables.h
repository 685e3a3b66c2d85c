/* Constants of the front end, made from their formulas by the exporter. */
#ifndef WK_TABLES_H
#define WK_TABLES_H

#include <stdint.h>

#define WK_FIRST_BIN 5
#define WK_LAST_BIN 240

extern const int16_t wk_window[480];         /* Hann, 12 bits */
extern const uint8_t wk_fft_order[256];      /* where sample pair n goes */
extern const uint32_t wk_fft_twiddles[192];  /* exp(-2 pi i k / 256), 15 bits */
extern const uint32_t wk_fft_split[128];     /* exp(-pi i (k / 256 + 1/2)), k = 1 .. 128 */
extern const uint8_t wk_band_ends[41];       /* bin after each band's last, from WK_FIRST_BIN */
extern const uint16_t wk_band_weights[236];  /* share of the band a bin falls out of, of 4096 */
extern const int16_t wk_gains[95];           /* PCAN: x = 0, 1, then three numbers an octave */
extern const uint16_t wk_logs[129];          /* log2(1 + i / 128) - i / 128, 16 bits */

#endif
