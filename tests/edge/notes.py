"""TFLite Metadata of one input and one output, as TFLite Support writes it.

Slots are those of tensorflow_lite_support/metadata/metadata_schema.fbs.
"""

import flatbuffers

NORMALIZATION, AXIS_LABELS = 1, 2


def metadata(name, mean=(), std=(), low=(), high=(), labels=""):
    """The content of the buffer `TFLITE_METADATA`.

    Args:
      name: of the model.
      mean: of the input's normalization.
      std: the same.
      low: least values of the input.
      high: largest values.
      labels: name of the file with the output's labels.
    """
    b = flatbuffers.Builder(256)

    def table(*slots):
        b.StartObject(max(slot for slot, *_ in slots) + 1 if slots else 0)
        for slot, value, *width in slots:
            if width:
                b.PrependUint8Slot(slot, value, 0)
            else:
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
        return b.EndObject()

    def floats(values):
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependFloat32(value)
        return b.EndVector()

    def tables(*offsets):
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    slots = []
    if mean:
        means, stds = floats(mean), floats(std)
        options = table((0, means), (1, stds))
        slots.append((4, tables(table((0, NORMALIZATION, 1), (1, options)))))
    if low:
        highs, lows = floats(high), floats(low)
        slots.append((5, table((0, highs), (1, lows))))
    image = table(*slots)
    slots = []
    if labels:
        title = b.CreateString(labels)
        slots.append((6, tables(table((0, title), (2, AXIS_LABELS, 1)))))
    scores = table(*slots)
    inputs, outputs = tables(image), tables(scores)
    graph = tables(table((2, inputs), (3, outputs)))
    title, author = b.CreateString(name), b.CreateString("somebody")
    b.Finish(table((0, title), (3, graph), (4, author)), b"M001")
    return bytes(b.Output())
