// The step of the model in TFLite Micro's interpreter, behind the interface of wk_step.h.
#include "wk_step_tflm.h"

#include <string.h>

@INCLUDES@
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {
#include "wk_frontend.h"
#include "wk_model.h"
#include "wk_step.h"
}
#include "wk_model_data.h"

namespace {

// Measured with TFLite Micro's interpreter on a 64-bit machine, where it needs more than on a board.
constexpr size_t kArenaBytes = @ARENA@;
alignas(16) uint8_t arena[kArenaBytes];
tflite::MicroInterpreter *interpreter = nullptr;

}  // namespace

extern "C" int wk_tflm_begin(void)
{
    static tflite::MicroMutableOpResolver<@OPERATORS@> operators;
    if (interpreter != nullptr) {
        return 1;
    }
    if (@REGISTER@) {
        return 0;
    }
    const tflite::Model *model = tflite::GetModel(wk_model_data);
    if (model->version() != TFLITE_SCHEMA_VERSION) {
        return 0;
    }
    static tflite::MicroInterpreter made(model, operators, arena, kArenaBytes);
    if (made.AllocateTensors() != kTfLiteOk) {
        return 0;
    }
    interpreter = &made;
    return 1;
}

extern "C" void wk_run_step(const int8_t *frames, int8_t *states, uint32_t *scratch, uint8_t *scores)
{
    (void)scratch;
    memset(scores, 0, WK_WORDS);
    if (interpreter == nullptr) {
        return;
    }
@COPY_IN@
    if (interpreter->Invoke() != kTfLiteOk) {
        return;
    }
@COPY_OUT@
    const int8_t *found = interpreter->output(@SCORES@)->data.int8;
    for (int word = 0; word < WK_WORDS; word++) {
        scores[word] = (uint8_t)(found[word] + 128);
    }
}
