// Hear the microphone of the board, say on the serial port which word was heard, and flash the LED.
#include <PDM.h>
#include <wakeword.h>
#include <wk_step_tflm.h>

static wk_detector detector;
// The interrupt writes, the loop reads; a power of two, 256 ms.
static int16_t ring[4096];
static volatile uint32_t written = 0;
static uint32_t read_to = 0;

static void on_samples()
{
    static int16_t block[512];
    int bytes = PDM.read(block, sizeof block);
    for (int i = 0; i < bytes / 2; i++) {
        ring[(written + i) & 4095] = block[i];
    }
    written = written + bytes / 2;
}

static void stop(const char *why)
{
    for (;;) {
        Serial.println(why);
        delay(1000);
    }
}

void setup()
{
    Serial.begin(115200);
    pinMode(LED_BUILTIN, OUTPUT);
    if (!wk_tflm_begin() || wk_init(&detector) != WK_OK) {
        stop("the model does not fit its arena");
    }
    PDM.onReceive(on_samples);
    if (!PDM.begin(1, 16000)) {
        stop("the microphone does not start");
    }
}

void loop()
{
    static int16_t samples[160];
    if (written - read_to < 160) {
        return;
    }
    if (written - read_to > 4096) {
        read_to = written - 160; // too slow: lose sound, not order
    }
    for (int i = 0; i < 160; i++) {
        samples[i] = ring[(read_to + i) & 4095];
    }
    read_to += 160;
    for (size_t at = 0; at < 160;) {
        size_t used = 0;
        wk_detection found;
        if (wk_feed(&detector, samples + at, 160 - at, &used, &found) == WK_HEARD) {
            Serial.println(wk_word(found.word));
            digitalWrite(LED_BUILTIN, HIGH);
        }
        at += used;
    }
    if (wk_prob_q16(&detector, 0) < 6554) {
        digitalWrite(LED_BUILTIN, LOW);
    }
}
