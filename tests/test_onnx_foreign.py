"""ONNX files of other tools: every operator read against onnxruntime running the file itself, and every refusal in words."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import converters
import snndeploy as sd
from snndeploy.errors import ModelError, SnnError, Unsupported
from snndeploy.ir.layers import Conv, Input
from snndeploy.ir.rectifier import Relu
from snndeploy.sim.reference import run_reference

BATCH = 3


def dyadic(rng, *shape):
    """Numbers on a grid of 1/8, so that float32 sums are exact."""
    return (rng.integers(-8, 9, shape) / 8).astype(np.float32)


def model(nodes, shape, weights=(), opset=17, batch="N", outputs=("y",), dtype=TensorProto.FLOAT):
    ins = [helper.make_tensor_value_info("x", dtype, [batch, *shape])]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    initializers = [numpy_helper.from_array(np.asarray(values), name) for name, values in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", ins, outs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def read(proto, tmp_path, **options):
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return converters.load(path, sd.Options(**options))


def both(proto, tmp_path, shape, seed=0, batch=BATCH, output="y", **options):
    """What onnxruntime gives for the file, and what our graph gives."""
    x = dyadic(np.random.default_rng(seed), batch, *shape) * 4
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # as written
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    wanted = session.run([output], {"x": x})[0]
    loaded = read(proto, tmp_path, **options)
    name = output if output in loaded.graph.nodes else f"{output}.out"
    got = run_reference(loaded.graph, {"x": x.astype(np.float64)[None]}, 1).outputs[name][0]
    assert got.shape == wanted.shape
    return wanted, got, loaded


def equal(proto, tmp_path, shape, exact=True, **more):
    wanted, got, loaded = both(proto, tmp_path, shape, **more)
    if exact:
        np.testing.assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)
    return loaded


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=f"the_{op}" if outputs[0] in "yt" else f"{op}_{outputs[0]}", **attributes)


# ------------------------------------------------------------------------------------------------- each operator


@settings(max_examples=40)
@given(data=st.data())
def test_convolutions_in_every_form(tmp_path_factory, data):
    draw = data.draw
    axes, groups = draw(st.integers(1, 2)), draw(st.sampled_from([1, 2]))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * axes))
    options = {
        "strides": draw(st.tuples(*[st.integers(1, 2)] * axes)),
        "dilations": draw(st.tuples(*[st.integers(1, 2)] * axes)),
        "group": groups,
    }
    auto = draw(st.sampled_from(["", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if auto and options["dilations"] == (1,) * axes:
        options["auto_pad"] = auto
    else:
        options["pads"] = draw(st.tuples(*[st.integers(0, 2)] * (2 * axes)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weights = {"w": dyadic(rng, 4, 4 // groups, *kernel)} | ({"b": dyadic(rng, 4)} if draw(st.booleans()) else {})
    shape = (4, *(draw(st.integers(5, 7)) for _ in range(axes)))
    proto = model([node("Conv", ["x", *weights], **options)], shape, weights)
    equal(proto, tmp_path_factory.mktemp("onnx"), shape)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [None, (5,), (1, 5), (1,), ()])
def test_gemm_with_its_factors(tmp_path, transposed, bias):
    rng = np.random.default_rng(1)
    weights = {"w": dyadic(rng, *((5, 6) if transposed else (6, 5)))} | ({} if bias is None else {"c": dyadic(rng, *bias)})
    proto = model([node("Gemm", ["x", *weights], transB=transposed, alpha=0.5, beta=2.0)], (6,), weights)
    equal(proto, tmp_path, (6,))


def test_matmul_and_constants_on_either_side(tmp_path):
    rng = np.random.default_rng(2)
    weights = {"w": dyadic(rng, 6, 5), "b": dyadic(rng, 5), "k": dyadic(rng, 1, 1), "two": np.float32(2)}
    nodes = [
        node("Sub", ["k", "x"], ["d"]),
        node("Div", ["d", "two"], ["h"]),
        node("MatMul", ["h", "w"], ["m"]),
        node("Add", ["b", "m"], ["a"]),
        node("Mul", ["two", "a"], ["t"]),
        node("Neg", ["t"], ["y"]),
    ]
    equal(model(nodes, (2, 6), weights), tmp_path, (2, 6))


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 3, 2)])
def test_batch_normalization(tmp_path, shape):
    rng = np.random.default_rng(3)
    weights = {n: dyadic(rng, 4) for n in ("s", "b", "m")} | {"v": rng.random(4).astype(np.float32) + 0.5}
    proto = model([node("BatchNormalization", ["x", *weights], epsilon=1e-3)], shape, weights)
    equal(proto, tmp_path, shape, exact=False)


@pytest.mark.parametrize(
    ("opset", "clip"),
    [(9, {"min": 0.0, "max": 6.0}), (17, {}), (23, {})],
)
def test_rectifiers(tmp_path, opset, clip):
    bounds = {} if clip else {"low": np.float32(0), "high": np.float32(6)}
    nodes = [node("Relu", ["x"], ["r"]), node("Sub", ["r", "one"], ["s"]), node("Clip", ["s", *bounds], ["y"], **clip)]
    loaded = equal(model(nodes, (7,), {**bounds, "one": np.float32(1)}, opset=opset), tmp_path, (7,))
    assert [None if n.ceiling is None else float(n.ceiling) for n in loaded.graph.named(Relu).values()] == [None, 6.0]


@settings(max_examples=40)
@given(data=st.data())
def test_pooling_in_every_form(tmp_path_factory, data):
    draw = data.draw
    op = draw(st.sampled_from(["AveragePool", "MaxPool"]))
    kernel = draw(st.tuples(st.integers(2, 3), st.integers(2, 3)))
    options = {"kernel_shape": kernel, "strides": draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))}
    options["pads"] = draw(st.tuples(*[st.integers(0, 1)] * 4))
    options["ceil_mode"] = draw(st.integers(0, 1))
    if op == "AveragePool" and not options["ceil_mode"]:
        options["count_include_pad"] = draw(st.integers(0, 1))
    shape = (2, draw(st.integers(4, 7)), draw(st.integers(4, 7)))
    equal(model([node(op, ["x"], **options)], shape), tmp_path_factory.mktemp("onnx"), shape, exact=op == "MaxPool")


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_pooling_of_whole_maps(tmp_path, op):
    equal(model([node(op, ["x"])], (3, 4, 2)), tmp_path, (3, 4, 2), exact=False)
    equal(model([node(op, ["x"])], (3, 4)), tmp_path, (3, 4), exact=False)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax"])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1, 2]])
def test_means_over_the_axes_of_a_map(tmp_path, op, keepdims, axes):
    equal(model([node(op, ["x"], keepdims=keepdims, axes=axes)], (3, 4, 2), opset=11), tmp_path, (3, 4, 2), exact=op != "ReduceMean")


def test_residuals_and_concatenation(tmp_path):
    rng = np.random.default_rng(4)
    weights = {"w": dyadic(rng, 4, 4, 3, 3), "v": dyadic(rng, 2, 4, 1, 1)}
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", ["c", "x"], ["s"]),
        node("Relu", ["s"], ["r"]),
        node("Sub", ["r", "x"], ["d"]),
        node("Sum", ["d", "r", "x"], ["t"]),
        node("Add", ["t", "t"], ["e"]),
        node("Conv", ["e", "v"], ["small"]),
        node("Concat", ["small", "e"], ["y"], axis=1),
    ]
    equal(model(nodes, (4, 5, 5), weights), tmp_path, (4, 5, 5))


# ------------------------------------------------------------------------------------------------ shapes and order


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_shapes_that_the_file_computes(tmp_path, batch):
    """What torch writes for x.view(x.shape[0], -1)."""
    weights = {"w": dyadic(np.random.default_rng(5), 2, 24), "zero": np.int64(0), "minus": np.asarray([-1])}
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n"], ["n1"], axes=[0]),
        node("Concat", ["n1", "minus"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["f"]),
        node("Gemm", ["f", "w"], ["y"], transB=1),
    ]
    size = BATCH if batch == "N" else batch
    equal(model(nodes, (4, 2, 3), weights, opset=11, batch=batch), tmp_path, (4, 2, 3), batch=size)


def nhwc(rng, channels):
    """What tf2onnx writes: the data channels last, Transpose around the layers, the flattening channels last again."""
    weights = {
        "w": dyadic(rng, 4, channels, 3, 3), "u": dyadic(rng, 4 * 3 * 2, 5), "b": dyadic(rng, 5), "to": np.asarray([-1, 24]),
    }  # fmt: skip
    return weights, [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("Transpose", ["r"], ["back"], perm=[0, 2, 3, 1]),
        node("Reshape", ["back", "to"], ["f"]),
        node("MatMul", ["f", "u"], ["m"]),
        node("Add", ["m", "b"], ["y"]),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last(tmp_path, channels):
    weights, nodes = nhwc(np.random.default_rng(6), channels)
    loaded = equal(model(nodes, (6, 4, channels), weights), tmp_path, (6, 4, channels))
    assert loaded.graph.named(Input)["x"].shape == (6, 4, channels)
    assert len(loaded.graph.named(Conv)) == 1  # nothing is moved: the convolution strides over the channels


def test_channels_last_where_another_layer_is_first(tmp_path):
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("MaxPool", ["t"], ["y"], kernel_shape=[2, 2])]
    equal(model(nodes, (6, 4, 3)), tmp_path, (6, 4, 3))


def test_elementwise_layers_between_transpositions(tmp_path):
    rng = np.random.default_rng(7)
    weights = {"scale": dyadic(rng, 3, 1, 1), "shift": dyadic(rng, 4), "w": dyadic(rng, 2, 5, 1, 1)}
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 2, 1]),  # [N, 3, 4, 5]
        node("Mul", ["t", "scale"], ["m"]),
        node("Transpose", ["m"], ["u"], perm=[0, 3, 1, 2]),  # [N, 5, 3, 4]
        node("Add", ["u", "shift"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("Add", ["r", "u"], ["s"]),
        node("Conv", ["s", "w"], ["y"]),
    ]
    equal(model(nodes, (5, 4, 3), weights), tmp_path, (5, 4, 3))


def test_parts_of_a_layer(tmp_path):
    weights = {"start": np.asarray([1]), "end": np.asarray([4]), "axis": np.asarray([1]), "one": np.asarray([2, 0])}
    nodes = [
        node("Slice", ["x", "start", "end", "axis"], ["s"]),
        node("Gather", ["s", "one"], ["g"], axis=1),
        node("Split", ["x"], ["a", "b"], axis=1),
        node("Add", ["g", "b"], ["y"]),
    ]
    equal(model(nodes, (4, 3), weights, opset=11), tmp_path, (4, 3))


def test_channels_that_become_places_and_back(tmp_path):
    weights = {"w": dyadic(np.random.default_rng(8), 2, 2, 3, 3), "last": np.asarray([2])}
    nodes = [node("DepthToSpace", ["x"], ["d"], blocksize=2), node("Conv", ["d", "w"], ["c"], pads=[1, 1, 1, 1])]
    nodes += [node("Relu", ["c"], ["r"]), node("SpaceToDepth", ["r"], ["s"], blocksize=2)]
    nodes += [node("GlobalAveragePool", ["s"], ["g"]), node("Squeeze", ["g", "last"], ["y"])]
    equal(model(nodes, (8, 2, 2), weights), tmp_path, (8, 2, 2))


def test_zeros_around_a_map(tmp_path):
    rng = np.random.default_rng(8)
    weights = {"pads": np.asarray([0, 0, 1, 0, 0, 0, 2, 1]), "w": dyadic(rng, 2, 2, 3, 3)}
    nodes = [node("Pad", ["x", "pads"], ["p"]), node("Conv", ["p", "w"], ["c"]), node("Relu", ["c"], ["r"])]
    nodes += [node("Pad", ["r", "pads"], ["q"]), node("MaxPool", ["q"], ["y"], kernel_shape=[3, 3])]
    loaded = equal(model(nodes, (2, 4, 5), weights), tmp_path, (2, 4, 5))
    assert loaded.graph.nodes["Conv_c"].padding == ((1, 2), (0, 1))


def test_nodes_in_any_order_without_names_and_with_names_twice(tmp_path):
    rng = np.random.default_rng(9)
    weights = {"w": dyadic(rng, 5, 6), "v": dyadic(rng, 2, 5)}
    nodes = [helper.make_node("Gemm", ["r", "v"], ["y"], name="same", transB=1), helper.make_node("Relu", ["h"], ["r"])]
    nodes += [helper.make_node("Gemm", ["x", "w"], ["h"], name="same", transB=1)]
    proto = model(nodes[::-1], (6,), weights)
    x = dyadic(np.random.default_rng(0), BATCH, 6) * 4
    wanted = (np.maximum(x @ weights["w"].T, 0)) @ weights["v"].T
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    loaded = read(proto, tmp_path)
    np.testing.assert_array_equal(run_reference(loaded.graph, {"x": x.astype(np.float64)[None]}, 1).outputs["y"][0], wanted)


def test_weights_that_are_computed_and_weights_in_8_bits(tmp_path):
    rng = np.random.default_rng(10)
    weights = {"q": rng.integers(-9, 9, (6, 5)).astype(np.int8), "s": np.float32(0.25), "z": np.int8(1)}
    constant = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(dyadic(rng, 5)))
    nodes = [constant, node("DequantizeLinear", ["q", "s", "z"], ["w"]), node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "k"])]
    equal(model(nodes, (6,), weights), tmp_path, (6,))


def test_layers_that_do_nothing(tmp_path):
    nodes = [node("Identity", ["x"], ["i"]), node("Dropout", ["i"], ["d"]), node("Cast", ["d"], ["c"], to=TensorProto.FLOAT)]
    equal(model([*nodes, node("Neg", ["c"])], (6,)), tmp_path, (6,))


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "ArgMax"])
def test_what_only_names_the_class_is_left_out_and_said(tmp_path, op):
    weights = {"w": dyadic(np.random.default_rng(11), 5, 6)}
    attributes = {} if op.endswith("Sigmoid") else {"axis": 1}
    loaded = read(model([node("Gemm", ["x", "w"], ["h"], transB=1), node(op, ["h"], **attributes)], (6,), weights), tmp_path)
    assert loaded.assumptions == (f"the last layer's {op} is left out: it does not change which output is largest",)


@pytest.mark.parametrize("opset", range(9, 24))
def test_every_operator_set(tmp_path, opset):
    rng = np.random.default_rng(opset)
    weights = {"w": dyadic(rng, 3, 2, 3, 3), "b": dyadic(rng, 3), "v": dyadic(rng, 4, 12), "k": dyadic(rng, 4), "to": np.asarray([0, -1])}
    nodes = [node("Conv", ["x", "w", "b"], ["c"]), node("Relu", ["c"], ["r"]), node("Reshape", ["r", "to"], ["f"])]
    nodes += [node("Gemm", ["f", "v", "k"], ["g"], transB=1), node("Identity", ["g"])]
    equal(model(nodes, (2, 4, 4), weights, opset=opset), tmp_path, (2, 4, 4))


def test_functions_of_the_file_are_written_out(tmp_path):
    body = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)])
    proto = model([helper.make_node("Twice", ["x"], ["y"], domain="own", name="t")], (6,))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.append(body)
    equal(proto, tmp_path, (6,))


def test_random_networks(tmp_path):
    """Blocks of convolution, normalization, rectifier, residual and pooling, in random order and size."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        weights, nodes, value, shape = {}, [], "x", (int(rng.integers(1, 4)), 8, 8)
        start = shape
        for depth in range(int(rng.integers(1, 4))):
            out = int(rng.integers(1, 5))
            weights[f"w{depth}"] = dyadic(rng, out, shape[0], 3, 3)
            nodes.append(helper.make_node("Conv", [value, f"w{depth}"], [f"c{depth}"], name=f"c{depth}", pads=[1] * 4))
            last = f"c{depth}"
            if out == shape[0] and rng.random() < 0.7:
                nodes.append(helper.make_node("Add", [last, value], [f"a{depth}"], name=f"a{depth}"))
                last = f"a{depth}"
            nodes.append(helper.make_node("Relu", [last], [f"r{depth}"], name=f"r{depth}"))
            value, shape = f"r{depth}", (out, *shape[1:])
            if rng.random() < 0.5 and shape[1] > 2:
                op = str(rng.choice(["MaxPool", "AveragePool"]))
                nodes.append(helper.make_node(op, [value], [f"p{depth}"], name=f"p{depth}", kernel_shape=[2, 2], strides=[2, 2]))
                value, shape = f"p{depth}", (out, shape[1] // 2, shape[2] // 2)
        nodes.append(helper.make_node("Flatten", [value], ["f"], name="flat"))
        weights["v"] = dyadic(rng, 3, int(np.prod(shape)))
        nodes.append(helper.make_node("Gemm", ["f", "v"], ["y"], name="fc", transB=1))
        equal(model(nodes, start, weights), tmp_path, start, seed=seed)


# -------------------------------------------------------------------------------------------------------- refusals

W = {"w": np.ones((6, 6), np.float32)}
SIX = (6,)


def refusal(proto, tmp_path, kind=SnnError, **options):
    with pytest.raises(kind) as found:
        read(proto, tmp_path, **options)
    assert found.value.hint
    return str(found.value)


@pytest.mark.parametrize(
    ("op", "attributes", "words"),
    [
        ("Tanh", {}, "smooth activation"),
        ("LeakyRelu", {}, "negative values"),
        ("Elu", {}, "ReLU"),
        ("Sign", {}, "threshold"),
        ("Clip", {"min": -1.0, "max": 1.0}, "clips from -1.0"),
        ("Clip", {"max": 1.0}, "clips from None"),
        ("Cast", {"to": TensorProto.INT32}, "whole numbers"),
        ("Transpose", {"perm": [1, 0]}, "between samples"),
        ("Flatten", {"axis": 0}, "between samples"),
        ("Concat", {"axis": 0}, "along the batch"),
        ("ReduceMean", {"axes": [0]}, "reduces axes [0]"),
        ("Softmax", {}, "no spike rate follows"),
        ("Selu", {}, "the_Selu (Selu)"),
        ("Hardmax", {}, "no meaning"),
    ],
)
def test_operators_without_a_meaning(tmp_path, op, attributes, words):
    nodes = [node("Gemm", ["x", "w"], ["h"]), node(op, ["h"], ["t"], **attributes), node("Gemm", ["t", "w"])]
    said = refusal(model(nodes, SIX, W, opset=9), tmp_path, Unsupported)
    assert words in said
    assert f"the_{op} ({op})" in said


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("Mul", ["x", "x"])], "depends on the data"),
        ([node("MatMul", ["w", "x"])], "from the left"),
        ([node("Gemm", ["x", "w"], transA=1)], "samples mix"),
        ([node("Gemm", ["x"])], "has no weight"),
        ([node("Div", ["x", "zero"])], "divides by 0"),
        ([node("Div", ["w", "x"])], "depends on the data"),
        ([node("QuantizeLinear", ["x", "s"])], "snndeploy quantizes"),
        ([node("Add", ["x", "w"])], "same for every sample"),
        ([node("Pad", ["x", "pads", "s"])], "pads with a value other than 0"),
        ([node("Identity", ["w"])], "does not depend on the data"),
        ([node("Conv", ["x", "w"])], "convolves over 0 axes"),
        ([helper.make_node("FusedGemm", ["x", "w"], ["y"], domain="com.microsoft", name="f")], "not standard ONNX"),
        ([helper.make_node("RandomNormal", [], ["y"], name="f", shape=[6])], "random"),
        ([node("Reshape", ["x", "odd"])], "between samples"),
        ([node("Reshape", ["x", "huge"])], "cannot be computed"),
        ([node("ConstantOfShape", ["huge"], ["k"]), node("Add", ["x", "k"])], "more than"),
    ],
)
def test_forms_without_a_meaning(tmp_path, nodes, words):
    weights = {**W, "zero": np.float32(0), "s": np.float32(0.5), "pads": np.asarray([0, 1, 0, 1])}
    weights |= {"odd": np.asarray([3, -1]), "huge": np.asarray([2**40, 2**40])}
    proto = model(nodes, SIX, weights)
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert words in refusal(proto, tmp_path)


def test_inputs_that_do_not_say_their_shape(tmp_path):
    proto = model([node("Relu", ["x"])], ("c", 4, 4))
    assert "--input-shape" in refusal(proto, tmp_path, ModelError)
    assert read(proto, tmp_path, input_shape=(2, 4, 4)).graph.shapes["x"] == (2, 4, 4)
    assert "[?, 4, 4] a sample, not [2, 5, 4]" in refusal(proto, tmp_path, ModelError, input_shape=(2, 5, 4))
    assert "has 1 axes" in refusal(model([node("Relu", ["x"])], ()), tmp_path, Unsupported)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert "does not say the shape" in refusal(proto, tmp_path, ModelError)


def test_damaged_and_dishonest_files(tmp_path):
    good = model([node("Gemm", ["x", "w"], ["h"], transB=1), node("Relu", ["h"])], SIX, W)
    cases = {
        "another file": lambda m: m.graph.initializer[0].external_data.add(key="location", value="weights.bin"),
        "operator set 8": lambda m: m.opset_import.__getitem__(0).__setattr__("version", 8),
        "which nothing makes": lambda m: m.graph.node[0].input.__setitem__(0, "nowhere"),
        "has a cycle": lambda m: m.graph.node[0].input.__setitem__(0, "y"),
        "too large": lambda m: m.graph.initializer[0].dims.extend([2**40]),
        "are damaged": lambda m: m.graph.initializer[0].dims.__setitem__(0, 7),
        "no operators": lambda m: m.graph.ClearField("node"),
        "has no input": lambda m: m.graph.ClearField("input"),
        "has no output": lambda m: m.graph.ClearField("output"),
        "NaN": lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((6, 6), np.nan, np.float32), "w")),
        "takes 5 features": lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((6, 5), np.float32), "w")),
    }
    for words, damage in cases.items():
        proto = onnx.ModelProto()
        proto.CopyFrom(good)
        damage(proto)
        assert words in refusal(proto, tmp_path), words


def test_cut_files(tmp_path):
    whole = model([node("Gemm", ["x", "w"], transB=1)], SIX, W).SerializeToString()
    for length in range(1, len(whole), 7):
        path = tmp_path / "cut.onnx"
        path.write_bytes(whole[:length])
        with pytest.raises(SnnError):
            converters.load(path)
