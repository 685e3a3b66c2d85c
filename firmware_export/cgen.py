"""C text of a program: its sizes, its constants and one function that runs a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_export.frontend_tables import frontend_tables
from firmware_export.layout import Layout, lay_out, round_up
from firmware_export.program import Dense, Lookup, Operation, Product, Program, Sum
from firmware_export.sizes import history_bytes
from wakeword.bundle import Bundle
from wakeword.decide import DecisionConfig
from wakeword.errors import ExportError

__all__ = ["model_glue", "model_header", "model_source", "tables_source", "weight_blocks"]

SAMPLES_PER_MS = 16


def _numbers(values: Iterable[int | str], width: int = 100) -> str:
    """Numbers with commas, in lines."""
    lines, line = [], "   "
    for value in values:
        text = f" {value},"
        if len(line) + len(text) > width:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line])


def _array(kind: str, name: str, values: Sequence[int], *, static: bool = True) -> str:
    prefix = "static " if static else ""
    size = "" if static else str(len(values))
    return f"{prefix}const {kind} {name}[{size}] = {{\n{_numbers(values)}\n}};\n"


def tables_source() -> str:
    """The constants of the front end, the same for every bundle."""
    tables = frontend_tables()
    parts = [
        ("int16_t", "wk_window", tables.window),
        ("uint8_t", "wk_fft_order", tables.order),
        ("uint32_t", "wk_fft_twiddles", tables.twiddles),
        ("uint32_t", "wk_fft_split", tables.split),
        ("uint8_t", "wk_band_ends", tables.ends),
        ("uint16_t", "wk_band_weights", tables.weights),
        ("int16_t", "wk_gains", tables.gains),
        ("uint16_t", "wk_logs", tables.logs),
    ]
    text = ['#include "wk_tables.h"\n']
    for kind, name, values in parts:
        suffix = "u" if kind == "uint32_t" else ""
        listed = _numbers(values) if not suffix else _hex(values)
        text.append(f"const {kind} {name}[{len(values)}] = {{\n{listed}\n}};\n")
    return "\n".join(text)


def _hex(values: Sequence[int]) -> str:
    rows = [values[i : i + 8] for i in range(0, len(values), 8)]
    return "\n".join("    " + " ".join(f"0x{v:08X}u," for v in row) for row in rows)


def model_header(program: Program, bundle: Bundle) -> str:
    """Sizes that the caller's memory depends on."""
    layout = lay_out(program)
    lines = [
        ("WK_WORDS", len(program.words), "scores per step"),
        ("WK_STRIDE", program.stride, "frames of 10 ms a step advances"),
        ("WK_KERNEL", program.kernel, "frames a step sees"),
        ("WK_FRAME_WORDS", program.kernel * 10, "32-bit words that hold them"),
        ("WK_STATE_WORDS", max(1, layout.state_bytes // 4), "the recurrent state"),
        ("WK_SCRATCH_WORDS", layout.scratch_bytes // 4, "of no use between calls"),
        ("WK_HISTORY_BYTES", history_bytes(program, bundle), "scores that are averaged"),
    ]
    defines = "\n".join(f"#define {n} {v:<6} /* {about} */" for n, v, about in lines)
    names = ", ".join(_comment(word) for word in program.words)
    return (
        f"/* Sizes of the model {_comment(bundle.name)}: {names}.\n"
        f"   Made from the bundle whose model has the sha256 {bundle.sha256}. */\n"
        f"#ifndef WK_MODEL_H\n#define WK_MODEL_H\n\n{defines}\n\n#endif\n"
    )


def _comment(text: str) -> str:
    """Text that cannot end a comment."""
    return "".join(c if c.isprintable() and c not in "*/\\" else "?" for c in text)


def _string(text: str) -> str:
    """A C string literal in UTF-8: anything but plain letters as octal."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def weight_blocks(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Lay weights (units, depth) out as the kernel reads them: blocks of four rows by four columns.

    >>> weight_blocks(np.arange(8, dtype=np.int8).reshape(1, 8))[[0, 1, 16, 17]].tolist()
    [0, 1, 4, 5]
    """
    units, depth = weights.shape
    full = np.zeros((round_up(units), round_up(depth)), np.int8)
    full[:units, :depth] = weights
    blocks = full.reshape(len(full) // 4, 4, -1, 4).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks).ravel()


def _weights(weights: NDArray[np.int8]) -> str:
    """The blocks, with the place that each four weights have where rows are kept whole."""
    depth = round_up(weights.shape[1])
    texts: list[int | str] = []
    for number, four in enumerate(weight_blocks(weights).reshape(-1, 4).tolist()):
        block, row = divmod(number, 4)
        first, column = divmod(block, depth // 4)
        place = (4 * first + row) * depth + 4 * column
        texts += [f"WK_AT({place}) {four[0]}", *four[1:]]
    return _numbers(texts)


def feature_rule(features: NDArray[np.int8], slope: float) -> tuple[int, int, int, int] | None:
    """Factor, addend, shift and largest raw value that give ``features`` without a division.

    Args:
        features: what the model takes for each raw value.
        slope: stored steps per raw unit, about.

    Returns:
        (m, a, s, top): features[raw] == (min(raw, top) * m + a) >> s for every raw value; None
        where no such integers of 32 bits exist.
    """
    raw = np.arange(65536, dtype=np.int64)
    stored = features.astype(np.int64)
    top = int(np.argmax(stored == stored[-1]))
    for shift in range(8, 24):
        for m in (int(slope * 2**shift), int(slope * 2**shift) + 1):
            line = np.minimum(raw, top) * m
            low = int((stored * 2**shift - line).max())
            high = int(((stored + 1) * 2**shift - line).min()) - 1
            if low <= high and top * m + max(abs(low), abs(high)) < 2**31:
                return m, (low + high) // 2, shift, top
    return None


def _store_frame(program: Program) -> str:
    """C that turns raw features into the model's input, by a rule or else by a table."""
    rule = feature_rule(program.features, program.slope)
    table = ""
    if rule is not None:
        m, addend, shift, top = rule
        value = f"(int8_t)((raw * {m} + ({addend})) >> {shift})"
    else:
        top = int(np.argmax(program.features == program.features[-1]))
        table = _array("int8_t", "stored", program.features[: top + 1].tolist()) + "\n"
        value = "stored[raw]"
    return f"""{table}void wk_store_frame(const uint16_t *features, int8_t *frame)
{{
    for (int32_t bin = 0; bin < WK_BINS; bin++) {{
        int32_t raw = features[bin] < {top} ? features[bin] : {top};
        frame[bin] = {value};
    }}
}}
"""


def _least_sum(config: DecisionConfig, level: float) -> int:
    """The least sum of whole scores whose average reaches a level, as the decider computes it."""
    width = config.smooth_steps
    guess = max(0, int(level * width * 256) - 2)
    while guess / 256 / width < level:
        guess += 1
    return guess


def _rules(program: Program, bundle: Bundle) -> str:
    rows, at = [], 0
    for word in program.words:
        config = bundle.decision[word]
        rows.append(
            f"    {{.level = {_least_sum(config, config.threshold)}u, "
            f".release = {_least_sum(config, config.release_level)}u, "
            f".refractory = {config.refractory_ms * SAMPLES_PER_MS}u, "
            f".width = {config.smooth_steps}u, .history = {at}u}},"
        )
        at += config.smooth_steps
    names = "".join(f"    {_string(word)},\n" for word in program.words)
    rules = "\n".join(rows)
    return (
        f"const wk_rule wk_rules[WK_WORDS] = {{\n{rules}\n}};\n\n"
        f"const char *const wk_names[WK_WORDS] = {{\n{names}}};\n"
    )


def _fields(**values: int) -> str:
    return ", ".join(f".{name} = {value}" for name, value in values.items())


def _constants(number: int, op: Operation) -> str:
    """Constants of one operation."""
    name = f"op{number}"
    if isinstance(op, Lookup):
        return _array("int8_t", f"{name}_table", op.table.tolist())
    if isinstance(op, Dense):
        return (
            f"static const WK_ALIGNED int8_t {name}_weights[] = {{\n{_weights(op.weights)}\n}};\n"
            + _array("int32_t", f"{name}_bias", [*op.bias.tolist(), *[0] * (-len(op.bias) % 4)])
            + f"static const wk_dense {name} = {{\n    .weights = {name}_weights, "
            f".bias = {name}_bias, "
            + _fields(depth=round_up(op.weights.shape[1]), units=op.weights.shape[0])
            + ",\n    "
            + _fields(multiplier=op.by[0], shift=_shift(op.by[1]), **_ends(op))
            + "};\n"
        )
    if isinstance(op, Product):
        fields = _fields(
            multiplier=op.by[0],
            shift=_shift(op.by[1]),
            zero_a=op.zero_a,
            zero_b=op.zero_b,
            **_ends(op),
        )
        return f"static const wk_product {name} = {{{fields}}};\n"
    first = _fields(
        multiplier_a=op.by_a[0],
        multiplier_b=op.by_b[0],
        multiplier=op.by[0],
        shift_a=_shift(op.by_a[1]),
    )
    second = _fields(
        shift_b=_shift(op.by_b[1]),
        shift=_shift(op.by[1]),
        sign=-1 if op.minus else 1,
        zero_a=op.zero_a,
        zero_b=op.zero_b,
        **_ends(op),
    )
    return f"static const wk_sum {name} = {{\n    {first},\n    {second}}};\n"


def _shift(shift: int) -> int:
    """The right shift."""
    if shift > 0:
        raise ExportError(
            f"a factor of the model lies above 1 (shift {shift}): its scales are unusual; "
            "train again"
        )
    return -shift


def _ends(op: Dense | Sum | Product) -> dict[str, int]:
    return {"zero": op.zero, "low": op.low, "high": op.high}


def model_source(program: Program, bundle: Bundle) -> str:
    """Weights, tables, rules, and the step."""
    layout = lay_out(program)
    constants = "\n".join(_constants(i, op) for i, op in enumerate(program.operations))
    calls = "\n".join(_call(i, op, program, layout) for i, op in enumerate(program.operations))
    at = _at(layout)
    copies = "".join(
        f"    memcpy({at(before)}, {at(after)}, {size});\n" for after, before, size in layout.copies
    )
    scores = at(program.scores)
    return f"""\
#include "wk_model.h"

#include <string.h>

#include "wk_frontend.h"
#include "wk_kernels.h"
#include "wk_step.h"

/* A matrix product reads its weights in words. */
#if defined(__GNUC__)
#define WK_ALIGNED __attribute__((aligned(4)))
#else
#define WK_ALIGNED
#endif

/* CMSIS-NN wants the rows of a matrix whole; the kernels here blocks of four rows, as written. */
#if defined(WK_CMSIS_NN)
#define WK_AT(place) [place] =
#else
#define WK_AT(place)
#endif

{_rules(program, bundle)}
{constants}
{_store_frame(program)}
void wk_run_step(const int8_t *frames, int8_t *states, uint32_t *scratch, uint8_t *scores)
{{
    int8_t *rows = (int8_t *)scratch;
{calls}
{copies}    for (int32_t word = 0; word < WK_WORDS; word++) {{
        scores[word] = (uint8_t)({scores}[word] + 128);
    }}
}}
"""


def model_glue(program: Program, bundle: Bundle) -> str:
    """Rules and the model's input alone, where something else runs the step."""
    return (
        '#include "wk_model.h"\n\n#include "wk_frontend.h"\n#include "wk_step.h"\n\n'
        f"{_rules(program, bundle)}\n{_store_frame(program)}"
    )


def _at(layout: Layout) -> Callable[[int], str]:
    """C for the place of a row."""

    def text(row: int) -> str:
        place = layout.places[row]
        name = {"scratch": "rows"}.get(place.where, place.where)
        return f"({name} + {place.offset})" if place.offset else name

    return text


def _call(number: int, op: Operation, program: Program, layout: Layout) -> str:
    at = _at(layout)
    if isinstance(op, Dense):
        return f"    wk_apply_dense(&op{number}, {at(op.x)}, {at(op.y)});"
    if isinstance(op, Lookup):
        return f"    wk_apply_table(op{number}_table, {at(op.x)}, {at(op.y)}, {op.size});"
    kind = "sum" if isinstance(op, Sum) else "product"
    return f"    wk_apply_{kind}(&op{number}, {at(op.a)}, {at(op.b)}, {at(op.y)}, {op.size});"
