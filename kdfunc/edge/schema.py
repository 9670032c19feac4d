"""What a `.tflite` file holds, in the names of its schema.

Source: tensorflow/compiler/mlir/lite/schema/schema.fbs; names stand at their number.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

OPERATORS = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE
    DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP
    L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION
    LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
    SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM
    EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM
    STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
    BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
    GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE
    TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT
    REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
    REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V
    UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
    MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY
    SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE
    BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
    HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
    RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC
    STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
    STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
    STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND
    STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
    STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER
    STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT
    STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD
    STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
    STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
    STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()
)
CUSTOM = OPERATORS.index("CUSTOM")

#: Bits an element takes by type; 0 where there is no fixed size.
BITS = {
    "float32": 32,
    "float16": 16,
    "int32": 32,
    "uint8": 8,
    "int64": 64,
    "string": 0,
    "bool": 8,
    "int16": 16,
    "complex64": 64,
    "int8": 8,
    "float64": 64,
    "complex128": 128,
    "uint64": 64,
    "resource": 0,
    "variant": 0,
    "uint32": 32,
    "uint16": 16,
    "int4": 4,
    "bfloat16": 16,
    "int2": 2,
    "uint4": 4,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
}
TYPES = tuple(BITS)
#: Types that numpy has not: seen as whole numbers, of which 0 is still zero.
STAND_INS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
      name: As in the file.
      shape: Sizes, 1 where any size will do.
      signature: Sizes, -1 where any size will do.
      type: Key of `BITS`.
      data: `[stored]` bytes of a constant, empty for what is computed.
      scales: `[1]` or `[channels]` float32, empty where nothing is quantized.
      zero_points: The same, int64.
      axis: Dimension of the channels.
      index_bytes: Bytes of the indices of a constant that is stored sparse, else 0.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    type: str
    data: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    index_bytes: int

    @property
    def constant(self) -> bool:
        """Whether the file holds its values."""
        return self.data.size > 0

    @property
    def elements(self) -> int:
        """Number of elements; a size of -1 counts as 1."""
        return math.prod(map(abs, self.shape))

    @property
    def dense_bytes(self) -> int:
        """Bytes of all elements, in memory."""
        return -(-self.elements * BITS[self.type] // 8)

    @property
    def stored_bytes(self) -> int:
        """Bytes in the file."""
        return self.data.size + self.index_bytes

    @property
    def values(self) -> np.ndarray:
        """`[stored]` values of a constant as they are stored, before dequantization."""
        bits = BITS[self.type]
        if bits >= 8:
            return self.data.view(STAND_INS.get(self.type, self.type))
        shifts = np.arange(0, 8, bits, dtype=np.uint8)  # the first is in the low bits
        codes = (self.data[:, None] >> shifts) & ((1 << bits) - 1)
        values = codes.astype(np.int8).ravel()[: self.elements]
        if self.type.startswith("int"):
            values[values >= 1 << (bits - 1)] -= 1 << bits
        return values

    @cached_property
    def zero_share(self) -> float:
        """Share of a constant's elements that are zero, between 0 and 1."""
        values, zero = self.values, 0
        if self.zero_points.any():
            zero = self.zero_points
            if zero.size > 1:
                values = values.reshape(self.shape)
                zero = np.expand_dims(
                    zero, [i for i in range(values.ndim) if i != self.axis]
                )
        return 1 - np.count_nonzero(values != zero) / self.elements


@dataclass(frozen=True)
class Operator:
    """An operator of a subgraph.

    Attributes:
      name: One of `OPERATORS`, or the name of a custom operator.
      inputs: Indices of tensors, -1 for one that is left out.
      outputs: Indices of tensors.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Subgraph:
    """A graph of operators; the first of a file is the model.

    Attributes:
      tensors: All tensors.
      operators: In the order in which they run.
      inputs: Indices of tensors.
      outputs: Indices of tensors.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class ModelFile:
    """A `.tflite` file that has been read.

    Attributes:
      name: What errors and tables call it.
      content: All bytes.
      description: As in the file, usually the converter's name.
      subgraphs: At least one.
    """

    name: str
    content: bytes
    description: str
    subgraphs: tuple[Subgraph, ...]
