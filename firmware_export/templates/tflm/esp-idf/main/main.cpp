// Hear an I2S microphone and say on the console which word was heard.
#include <stdio.h>

#include "driver/i2s_std.h"
#include "esp_log.h"
#include "wakeword.h"
#include "wk_step_tflm.h"

namespace {

#if CONFIG_IDF_TARGET_ESP32
constexpr gpio_num_t kClock = GPIO_NUM_26, kSelect = GPIO_NUM_25, kData = GPIO_NUM_33;
#else
constexpr gpio_num_t kClock = GPIO_NUM_4, kSelect = GPIO_NUM_5, kData = GPIO_NUM_6;
#endif
constexpr size_t kBlock = 160;
// The microphone gives 24 bits on top of 32; speech a step away is faint in the upper 16 alone.
constexpr int kShift = 14;
constexpr const char *kTag = "wakeword";

wk_detector detector;

i2s_chan_handle_t open_microphone()
{
    i2s_chan_handle_t channel = nullptr;
    i2s_chan_config_t config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    ESP_ERROR_CHECK(i2s_new_channel(&config, nullptr, &channel));
    i2s_std_config_t standard = {};
    standard.clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(16000);
    standard.slot_cfg =
        I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_MONO);
    standard.gpio_cfg.mclk = I2S_GPIO_UNUSED;
    standard.gpio_cfg.bclk = kClock;
    standard.gpio_cfg.ws = kSelect;
    standard.gpio_cfg.dout = I2S_GPIO_UNUSED;
    standard.gpio_cfg.din = kData;
    ESP_ERROR_CHECK(i2s_channel_init_std_mode(channel, &standard));
    ESP_ERROR_CHECK(i2s_channel_enable(channel));
    return channel;
}

int16_t to_int16(int32_t value)
{
    int32_t sample = value >> kShift;
    return (int16_t)(sample < -32768 ? -32768 : sample > 32767 ? 32767 : sample);
}

}  // namespace

extern "C" void app_main(void)
{
    static int32_t raw[kBlock];
    static int16_t samples[kBlock];
    if (!wk_tflm_begin() || wk_init(&detector) != WK_OK) {
        ESP_LOGE(kTag, "the model does not fit its arena");
        return;
    }
    i2s_chan_handle_t microphone = open_microphone();
    for (;;) {
        size_t bytes = 0;
        ESP_ERROR_CHECK(i2s_channel_read(microphone, raw, sizeof raw, &bytes, portMAX_DELAY));
        size_t count = bytes / sizeof *raw;
        for (size_t i = 0; i < count; i++) {
            samples[i] = to_int16(raw[i]);
        }
        for (size_t at = 0; at < count;) {
            size_t used = 0;
            wk_detection found;
            wk_status status = wk_feed(&detector, samples + at, count - at, &used, &found);
            if (status == WK_HEARD) {
                ESP_LOGI(kTag, "%s (%u %%)", wk_word(found.word),
                         (unsigned)(found.prob_q16 * 100u >> 16));
            } else if (status != WK_OK) {
                ESP_LOGE(kTag, "%s", wk_status_text(status));
                return;
            }
            at += used;
        }
    }
}
