"""Small `.tflite` models, written with the schema that ai-edge-litert ships."""

import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATORS, TYPES = schema.BuiltinOperator, schema.TensorType


class Net:
    """A model under construction; tensors are known by their indices."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, "test"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.model.subgraphs, self.model.metadata = [], []
        self.subgraph()

    def subgraph(self):
        """Begins another subgraph; what is added then goes into it."""
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs.append(self.graph)

    def ends(self, inputs, outputs):
        """Sets what goes into the subgraph and comes out of it."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)

    def tensor(
        self,
        shape,
        name="x",
        data=None,
        kind=TYPES.FLOAT32,
        any_batch=True,
        scale=None,
        zero=0,
        axis=0,
        variable=False,
    ):
        """Adds a tensor, a constant where it has data, a state where it is variable.

        With a scale it is quantized, with several by channel of an axis.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), kind
        tensor.buffer, tensor.isVariable = 0, variable
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(scale).tolist()
            zeros = np.broadcast_to(zero, np.shape(np.atleast_1d(scale)))
            tensor.quantization.zeroPoint = zeros.tolist()
            tensor.quantization.quantizedDimension = axis
        if any_batch and data is None and not variable:
            tensor.shapeSignature = [-1, *shape[1:]]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def custom(self, name, inputs, outputs, options):
        """Adds an operator that is none of the schema's, with bytes as options."""
        self.add(OPERATORS.CUSTOM, inputs, outputs)
        self.model.operatorCodes[-1].customCode = name
        self.graph.operators[-1].customOptions = np.frombuffer(options, np.uint8)

    def note(self, name, content):
        """Adds metadata: bytes by name."""
        entry, buffer = schema.MetadataT(), schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        entry.name, entry.buffer = name, len(self.model.buffers) - 1
        self.model.metadata.append(entry)

    def add(self, code, inputs, outputs, options=None):
        """Adds an operator."""
        known = schema.OperatorCodeT()
        known.builtinCode, known.deprecatedBuiltinCode = code, min(code, 127)
        known.version = 1
        self.model.operatorCodes.append(known)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            title = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, title)
            operator.builtinOptions = options
        self.graph.operators.append(operator)

    def sign(self, key, inputs, outputs):
        """Adds a signature: tensors by the names of its inputs and outputs."""
        signature = schema.SignatureDefT()
        signature.signatureKey = key
        signature.subgraphIndex = len(self.model.subgraphs) - 1
        for side, tensors in (("inputs", inputs), ("outputs", outputs)):
            maps = []
            for name, tensor in tensors.items():
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = name, tensor
                maps.append(entry)
            setattr(signature, side, maps)
        self.model.signatureDefs = [*(self.model.signatureDefs or []), signature]

    def save(self, path: pathlib.Path, inputs, outputs) -> pathlib.Path:
        """Writes the file."""
        self.ends(inputs, outputs)
        path.write_bytes(packed(self.model))
        return path

    def softmax(self, source, sink, beta=1.0):
        """Adds a softmax."""
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        self.add(OPERATORS.SOFTMAX, [source], [sink], options)

    def reshape(self, source, sink, shape):
        """Adds a reshape."""
        sizes = np.array(shape, "i4")
        wanted = self.tensor([len(shape)], "shape", data=sizes, kind=TYPES.INT32)
        self.add(OPERATORS.RESHAPE, [source, wanted], [sink], schema.ReshapeOptionsT())


def packed(model):
    """The content of the file of a model."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def chain(path, shape, *operators):
    """A model of one input that goes through operators of one input each."""
    net = Net()
    first = last = net.tensor(shape)
    for code, options in operators:
        before, last = last, net.tensor(shape)
        net.add(code, [before], [last], options)
    return net.save(path, [first], [last])


def softmax(path, shape, beta=1.0):
    """Softmax over the last dimension of `beta` times the input."""
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    return chain(path, shape, (OPERATORS.SOFTMAX, options))


def negative(path, shape):
    """The input with the other sign."""
    return chain(path, shape, (OPERATORS.NEG, schema.NegOptionsT()))


def sigmoid(path, shape):
    """The logistic function of the input."""
    return chain(path, shape, (OPERATORS.LOGISTIC, None))


def scaled(path, shape, factor):
    """The input times a factor."""
    net = Net()
    x, y = net.tensor(shape), net.tensor(shape)
    k = net.tensor([1], data=np.array([factor], "f4"))
    net.add(OPERATORS.MUL, [x, k], [y], schema.MulOptionsT())
    return net.save(path, [x], [y])


def recurrent(path, rng):
    """A recurrent layer that keeps a state, and a softmax: 4 numbers, 3 classes."""
    net = Net()
    x, h = net.tensor([1, 4], any_batch=False), net.tensor([1, 3], "h", any_batch=False)
    w = net.tensor([3, 4], "w", data=2 * rng.normal(size=(3, 4)).astype("f4"))
    u = net.tensor([3, 3], "u", data=2 * rng.normal(size=(3, 3)).astype("f4"))
    b = net.tensor([3], "b", data=np.zeros(3, "f4"))
    state = net.tensor([1, 3], "state", variable=True)
    p = net.tensor([1, 3], "p", any_batch=False)
    options = schema.RNNOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    net.add(OPERATORS.RNN, [x, w, u, b, state], [h], options)
    net.softmax(h, p)
    return net.save(path, [x], [p])


def of_bytes(path, scale, zero, kind=TYPES.UINT8, notes=()):
    """Softmax over the real numbers that the four bytes of an image stand for."""
    net = Net()
    x = net.tensor([1, 2, 2, 1], "image", kind=kind, scale=scale, zero=zero)
    real, z = net.tensor([1, 2, 2, 1], "real"), net.tensor([1, 4], "z")
    p = net.tensor([1, 4], "p")
    net.add(OPERATORS.DEQUANTIZE, [x], [real])
    net.reshape(real, z, [-1, 4])
    net.softmax(z, p)
    for name, content in notes:
        net.note(name, content)
    return net.save(path, [x], [p])


def two_signatures(path):
    """`add` adds 2 to four numbers, `multiply` doubles five, in another subgraph."""
    net = Net()
    kinds = [
        ("add", OPERATORS.ADD, schema.AddOptionsT()),
        ("multiply", OPERATORS.MUL, schema.MulOptionsT()),
    ]
    for number, (name, code, options) in enumerate(kinds):
        if number:
            net.subgraph()
        x = net.tensor([1, 4 + number], f"{name}_x", any_batch=False)
        y = net.tensor([1, 4 + number], f"{name}_y", any_batch=False)
        k = net.tensor([1], "k", data=np.array([2], "f4"))
        net.add(code, [x, k], [y], options)
        net.sign(name, {"x": x}, {"y": y})
        net.ends([x], [y])
    return net.save(path, [x], [y])


def classifier(path, rng):
    """Convolutions and dense layers with random weights: 12x12x3 images, six classes.

    Its layers are called conv, depth, dense and out.
    """
    net = Net()

    def computed(shape, name):
        return net.tensor(shape, name, any_batch=False)

    def weights(shape, name):
        values = 1.5 * rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        return net.tensor(shape, name, data=values.astype("f4"))

    def biases(size, name):
        return net.tensor([size], name, data=(0.1 * rng.normal(size=size)).astype("f4"))

    x, z = computed([1, 12, 12, 3], "image"), computed([1, 6], "z")
    conv, depth = computed([1, 10, 10, 16], "c"), computed([1, 8, 8, 16], "d")
    flat, hidden = computed([1, 1024], "flat"), computed([1, 32], "h")
    p = computed([1, 6], "p")
    relu = schema.ActivationFunctionType.RELU
    sliding = [schema.Conv2DOptionsT(), schema.DepthwiseConv2DOptionsT()]
    for options in sliding:
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.padding = schema.Padding.VALID
        options.fusedActivationFunction = relu
    sliding[1].depthMultiplier = 1
    inputs = [x, weights([16, 3, 3, 3], "conv/w"), biases(16, "conv/b")]
    net.add(OPERATORS.CONV_2D, inputs, [conv], sliding[0])
    inputs = [conv, weights([1, 3, 3, 16], "depth/w"), biases(16, "depth/b")]
    net.add(OPERATORS.DEPTHWISE_CONV_2D, inputs, [depth], sliding[1])
    shape = net.tensor([2], "s", data=np.array([1, 1024], "i4"), kind=TYPES.INT32)
    net.add(OPERATORS.RESHAPE, [depth, shape], [flat], schema.ReshapeOptionsT())
    dense = schema.FullyConnectedOptionsT()
    dense.fusedActivationFunction = relu
    inputs = [flat, weights([32, 1024], "dense/w"), biases(32, "dense/b")]
    net.add(OPERATORS.FULLY_CONNECTED, inputs, [hidden], dense)
    inputs = [hidden, weights([6, 32], "out/w"), biases(6, "out/b")]
    net.add(OPERATORS.FULLY_CONNECTED, inputs, [z], schema.FullyConnectedOptionsT())
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    net.add(OPERATORS.SOFTMAX, [z], [p], options)
    net.sign("serving_default", {"image": x}, {"p": p})
    return net.save(path, [x], [p])
