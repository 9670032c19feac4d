"""What machine this is, and how TensorFlow is to use it; imports no TensorFlow."""

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
    """Switches TensorFlow's oneDNN kernels on, unless the environment has a say.

    To be called before TensorFlow is imported, which by itself takes them only on
    processors with AVX-512 VNNI, AMX and the like. Elsewhere training is 2 to 6 times
    slower without them. Where TensorFlow is imported already, it is too late.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(_ONEDNN, "1")


def describe() -> dict[str, str | int]:
    """What of a machine decides how fast it works, and the last digits of results."""
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
