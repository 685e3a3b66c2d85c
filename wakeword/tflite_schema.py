"""What TFLite's schema numbers mean: operators, types, activations, and the options of operators.

Source: ``tensorflow/compiler/mlir/lite/schema/schema.fbs`` (version 3, "TFL3").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ACTIVATIONS", "DTYPES", "OPTIONS", "OP_NAMES", "RESOURCE"]

OP_NAMES: Mapping[int, str] = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 16: "LSTM", 17: "MAX_POOL_2D", 18: "MUL",
    19: "RELU", 20: "RELU_N1_TO_1", 21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX", 27: "SVDF",
    28: "TANH", 32: "CUSTOM", 34: "PAD", 36: "GATHER", 39: "TRANSPOSE", 40: "MEAN", 41: "SUB",
    42: "DIV", 43: "SQUEEZE", 44: "UNIDIRECTIONAL_SEQUENCE_LSTM", 45: "STRIDED_SLICE", 47: "EXP",
    49: "SPLIT", 53: "CAST", 55: "MAXIMUM", 57: "MINIMUM", 65: "SLICE", 70: "EXPAND_DIMS",
    74: "SUM", 76: "RSQRT", 83: "PACK", 88: "UNPACK", 99: "SQUARED_DIFFERENCE", 102: "SPLIT_V",
    114: "QUANTIZE", 119: "WHILE", 126: "BATCH_MATMUL", 129: "CALL_ONCE", 142: "VAR_HANDLE",
    143: "READ_VARIABLE", 144: "ASSIGN_VARIABLE",
}  # fmt: skip

RESOURCE = "|V4"
"""What stands for TFLite's "resource", the handle of a variable: bytes without a meaning here."""
DTYPES: Mapping[int, str] = {
    0: "<f4", 1: "<f2", 2: "<i4", 3: "|u1", 4: "<i8", 6: "|b1", 7: "<i2", 9: "|i1", 10: "<f8",
    12: "<u8", 13: RESOURCE, 15: "<u4", 16: "<u2",
}  # fmt: skip

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

_Field = tuple[str, int, str, Any]
_ACT: _Field = ("activation", 0, "b", 0)
_WINDOW: tuple[_Field, ...] = (
    ("padding", 0, "b", 0),
    ("stride_w", 1, "i", 0),
    ("stride_h", 2, "i", 0),
)
_POOL: tuple[int, tuple[_Field, ...]] = (
    5,
    (*_WINDOW, ("filter_w", 3, "i", 0), ("filter_h", 4, "i", 0), ("activation", 5, "b", 0)),
)
# Operator -> type of its options in the schema, (our name, field number, struct format, default).
OPTIONS: Mapping[str, tuple[int, tuple[_Field, ...]]] = {
    "ADD": (11, (_ACT,)),
    "AVERAGE_POOL_2D": _POOL,
    "CALL_ONCE": (103, (("init_subgraph", 0, "i", 0),)),
    "CONCATENATION": (10, (("axis", 0, "i", 0), ("activation", 1, "b", 0))),
    "CONV_2D": (
        1,
        (
            *_WINDOW,
            ("activation", 3, "b", 0),
            ("dilation_w", 4, "i", 1),
            ("dilation_h", 5, "i", 1),
        ),
    ),
    "DEPTHWISE_CONV_2D": (
        2,
        (
            *_WINDOW,
            ("depth_multiplier", 3, "i", 0),
            ("activation", 4, "b", 0),
            ("dilation_w", 5, "i", 1),
            ("dilation_h", 6, "i", 1),
        ),
    ),
    "FULLY_CONNECTED": (
        8,
        (_ACT, ("weights_format", 1, "b", 0), ("keep_num_dims", 2, "?", False)),
    ),
    "GATHER": (23, (("axis", 0, "i", 0), ("batch_dims", 1, "i", 0))),
    "MAX_POOL_2D": _POOL,
    "MEAN": (27, (("keep_dims", 0, "?", False),)),
    "MUL": (21, (_ACT,)),
    "PACK": (59, (("count", 0, "i", 0), ("axis", 1, "i", 0))),
    "RESHAPE": (17, (("new_shape", 0, "vector", ()),)),
    "SOFTMAX": (9, (("beta", 0, "f", 0.0),)),
    "SPLIT": (35, (("num_splits", 0, "i", 0),)),
    "SPLIT_V": (79, (("num_splits", 0, "i", 0),)),
    "SQUEEZE": (30, (("squeeze_dims", 0, "vector", ()),)),
    "STRIDED_SLICE": (
        32,
        (
            ("begin_mask", 0, "i", 0),
            ("end_mask", 1, "i", 0),
            ("ellipsis_mask", 2, "i", 0),
            ("new_axis_mask", 3, "i", 0),
            ("shrink_axis_mask", 4, "i", 0),
            ("offset", 5, "?", False),
        ),
    ),
    "SUB": (28, (_ACT,)),
    "VAR_HANDLE": (111, (("container", 0, "string", ""), ("shared_name", 1, "string", ""))),
}
