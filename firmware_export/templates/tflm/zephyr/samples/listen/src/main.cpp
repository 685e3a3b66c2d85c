// Hear a PDM microphone and print which word was heard.
#include <zephyr/audio/dmic.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

extern "C" {
#include "wakeword.h"
}
#include "wk_step_tflm.h"

namespace {

constexpr uint32_t kRate = 16000;
constexpr size_t kBlock = 160 * sizeof(int16_t);
constexpr int kWaitMs = 1000;

K_MEM_SLAB_DEFINE_STATIC(blocks, kBlock, 8, 4);
wk_detector detector;

bool open_microphone(const struct device *microphone)
{
    static struct pcm_stream_cfg stream = {};
    static struct dmic_cfg config = {};
    stream.pcm_rate = kRate;
    stream.pcm_width = 16;
    stream.block_size = kBlock;
    stream.mem_slab = &blocks;
    config.io.min_pdm_clk_freq = 1000000;
    config.io.max_pdm_clk_freq = 3500000;
    config.io.min_pdm_clk_dc = 40;
    config.io.max_pdm_clk_dc = 60;
    config.streams = &stream;
    config.channel.req_num_streams = 1;
    config.channel.req_num_chan = 1;
    config.channel.req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT);
    return dmic_configure(microphone, &config) == 0 &&
           dmic_trigger(microphone, DMIC_TRIGGER_START) == 0;
}

void hear(const int16_t *samples, size_t count)
{
    for (size_t at = 0; at < count;) {
        size_t used = 0;
        wk_detection found;
        if (wk_feed(&detector, samples + at, count - at, &used, &found) == WK_HEARD) {
            printk("%s\n", wk_word(found.word));
        }
        at += used;
    }
}

}  // namespace

int main(void)
{
    const struct device *microphone = DEVICE_DT_GET(DT_NODELABEL(dmic_dev));
    if (!device_is_ready(microphone) || !wk_tflm_begin() || wk_init(&detector) != WK_OK ||
        !open_microphone(microphone)) {
        printk("the microphone or the model does not start\n");
        return 1;
    }
    for (;;) {
        void *block = nullptr;
        size_t size = 0;
        if (dmic_read(microphone, 0, &block, &size, kWaitMs) < 0) {
            printk("no sound for a second\n");
            continue;
        }
        hear(static_cast<const int16_t *>(block), size / sizeof(int16_t));
        k_mem_slab_free(&blocks, block);
    }
}
