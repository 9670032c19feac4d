"""The machine, and how TensorFlow uses it; does not import TensorFlow."""

import os
import platform
import sys

from kdfunc import system

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

#: Flags of x86 processors, best first, that decide which kernels run.
_INSTRUCTION_SETS = {
    "amx_tile": "AMX",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "avx": "AVX",
    "sse4_2": "SSE4.2",
}


def prefer_onednn() -> None:
    """Turns on TensorFlow's oneDNN kernels, unless the environment sets them.

    Call it before TensorFlow is imported; afterwards it has no effect. By default,
    TensorFlow uses these kernels only on processors with AVX-512 VNNI, AMX or similar.
    On others, training without them is 2 to 6 times slower.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(_ONEDNN, "1")


def describe() -> dict[str, str | int]:
    """What determines a machine's speed and the last digits of results."""
    return {
        "system": platform.platform(),
        "processor": system.processor(),
        "instruction_set": instruction_set(),
        "cores": os.cpu_count(),
    }


def instruction_set() -> str:
    """The best vector instructions of this processor, such as AVX2."""
    flags = set(system.cpuinfo("flags").split())
    known = [name for flag, name in _INSTRUCTION_SETS.items() if flag in flags]
    return known[0] if known else platform.machine()
