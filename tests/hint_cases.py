"""Small situations, each of which is refused with a hint that is then followed; and the hints that no situation raises.

A ``Case`` is a command line, the place in the source (file:function) whose hint it must print, and what following that hint
is: options ``add``-ed, dropped (``drop``), pasted from the hint (``paste``, a pattern), or another command ``instead``. To add one
for a new hint, write a Case for its place; only if nothing small raises it, name the place and the reason in ``NOT_RAISED``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A refusal, and its hint followed."""

    place: str
    command: str
    add: str = ""
    drop: str = ""
    paste: str = ""
    instead: str = ""
    before: str = ""
    """A command that must have been run, and may end with any code that is no refusal."""
    gone: str = ""
    """A file that is taken away after that."""
    needs: str = ""
    """A package."""


PT, NIR, CLI, DATA, FLOW = "converters/pt/", "converters/nir/", "snndeploy/cli/", "snndeploy/data/", "snndeploy/flow/"
BARE = "convert {} --timesteps 10 --data d.npz -o o"
HARD = "--neuron 'lif*: Leaky(beta=0.75, reset_mechanism=\"zero\")'"
ZERO = BARE.format("snntorch.pth") + f" {HARD}"
SOFT = BARE.format("snntorch.pth")
NET = "convert code.pth --arch net.py:Net --input-shape 12 --data static.npz -o o"
SAID = "--neuron 'fc1,fc2: LIF(tau=2.0)'"
PLAIN = BARE.format("plain.pth")
CHIP, GRAPH = "o.loihi2.onnx", "o.graph.onnx"

CASES = (
    # -- the command line ------------------------------------------------------------------------------------
    Case(CLI + "options.py:samples_of", ZERO.replace("--data d.npz", ""), add="--data d.npz"),
    Case(CLI + "options.py:binning", f"{ZERO} --split-by time", drop="--split-by"),
    Case(CLI + "options.py:binning", "verify o.loihi2.onnx --data events.npz --split-by time", add="--frames 16", before=ZERO),
    Case(CLI + "options.py:weight_bits", f"{ZERO} --weight-bits many", drop="--weight-bits", add="--weight-bits 6"),
    Case(CLI + "options.py:weight_bits", f"{ZERO} --weight-bits many", drop="--weight-bits", add="--weight-bits 'fc*=4,conv1=6'"),
    Case(CLI + "options.py:options_of", f"{SOFT} --neuron lif1", drop="--neuron", paste=r"--neuron '[^']*'"),
    Case(CLI + "options.py:options_of", f"{SOFT} --neuron-class lif1", drop="--neuron-class", paste=r"--neuron-class '[^']*'"),
    Case(CLI + "options.py:options_of", f"{SOFT} --layer fc1", drop="--layer", paste=r"--layer '[^']*'"),
    Case(CLI + "certificates.py:certifiable", f"verify {CHIP} --certificate c.json", add="--data d.npz", before=ZERO),
    Case(CLI + "certificates.py:only_converted", f"convert {CHIP} --data d.npz --prove -o p",
         instead=f"verify {CHIP} --prove", before=ZERO, needs="z3"),
    Case(CLI + "certificates.py:check_again", "verify", add="--certificate c.json",
         before=f"{ZERO} --certificate c.json"),
    Case(CLI + "certificates.py:check_again", "verify --certificate c.json --prove",
         instead=f"verify {CHIP} --data d.npz --prove", before=f"{ZERO} --certificate c.json", needs="z3"),
    Case(CLI + "certificates.py:certificate_of", f"report {GRAPH} --data d.npz --certificate c.json -o r.html",
         instead=f"verify {CHIP} --data d.npz --certificate c.json", before=f"{ZERO} --certificate c.json"),
    Case(CLI + "saved.py:verify", f"verify {CHIP} --prove --against graph", add="--data d.npz", before=ZERO, needs="z3"),
    Case(CLI + "unheard.py:check_reading", f"check {CHIP} --samples 2", add="--data d.npz", before=ZERO),
    Case(CLI + "unheard.py:check_proving", f"{ZERO} --prove-limit 2", add="--prove", needs="z3"),
    Case(CLI + "unheard.py:check_code", f"{PLAIN} {SAID} --run-code", add="--arch net.py:Net"),
    Case("snndeploy/certificate.py:FOREIGN", "verify --certificate net.py",
         instead=f"verify {CHIP} --data d.npz --certificate c.json", before=ZERO),
    # -- data ------------------------------------------------------------------------------------------------
    Case(DATA + "encoders.py:over_time", f"{ZERO} --encode rate", drop="--encode"),
    Case(DATA + "files.py:_events", f"run {CHIP} --data events.npz", add="--bin-us 1000", before=ZERO),
    Case(DATA + "files.py:_events", f"run {CHIP} --data events.npz", add="--frames 10 --split-by time", before=ZERO),
    Case(DATA + "samples.py:fit", ZERO.replace("--timesteps 10", "--timesteps 7"), drop="--timesteps", add="--timesteps 10"),
    Case(DATA + "samples.py:_is_static", "convert kernel.pth --data images.npz -o o --neuron 'conv1: LIF(tau=2.0)' --input-shape 1,12,12",
         drop="--input-shape", add="--input-shape 1,14,14"),
    Case(DATA + "events.py:bin_events", f"run {CHIP} --data events.npz --frames 10 --sensor 1,1", drop="--sensor", add="--sensor 2,6",
         before=ZERO),
    Case("snndeploy/quantize/sources.py:input_unit", f"convert {GRAPH} --data unit.npz -o u", add="--encode rate", before=ZERO),
    Case(CLI + "options.py:by_pattern", f"{PLAIN} --neuron 'fc1: LIF(tau=2.0)' --neuron 'fc1: LIF(tau=4.0)'", instead=f"{PLAIN} {SAID}"),
    # -- bare weights ----------------------------------------------------------------------------------------
    Case(PT + "planning.py:_please", PLAIN, paste=r"--neuron '[^']*'"),
    *(Case(PT + "planning.py:_please", f"{PLAIN} --source {source}", paste=r"--neuron '[^']*'")
      for source in ("spikingjelly", "norse", "sinabs", "snntorch", "braincog")),
    Case(PT + "planning.py:_please", PLAIN, add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "planning.py:check_said", BARE.format("two_behind.pth"), add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "planning.py:_said_of", f"{PLAIN} --neuron 'fc1: LIF(tau=2.0)' --layer 'fc*: AvgPool2d(2)'",
         drop="--neuron --layer", add="--layer 'fc1: LIF(tau=2.0), AvgPool2d(2)'"),
    Case(PT + "neuron.py:Settings.please", f"{PLAIN} --neuron 'fc1,fc2: LIF(threshold=1.0)'",
         drop="--neuron", add="--neuron 'fc1,fc2: LIF(tau=2.0, threshold=1.0)'"),
    Case(PT + "constructors.py:EXAMPLE", f"{SOFT} --neuron 'lif1: LIF(('", drop="--neuron", paste=r"'lif\*: LIF\([^']*'"),
    Case(PT + "constructors.py:neuron_named", f"{PLAIN} --neuron 'fc1,fc2: LIFNode(tau=2.0)'", paste=r"--source \w+"),
    Case(PT + "ordering.py:ordered", BARE.format("blocks.pth"), add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "bare.py:entries", BARE.format("forked.pth"), add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "bare.py:_entry", BARE.format("odd.pth"), add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "rebuilding.py:_check_heard", f"{SOFT} --reset zero", drop="--reset"),
    Case(PT + "rebuilding.py:_input_shape", "convert conv.pth --data images.npz -o o --neuron 'conv1,fc1: LIF(tau=2.0)'",
         add="--input-shape 1,8,8"),
    Case(PT + "rebuilt_layers.py:flattening",
         "convert conv.pth --data images.npz -o o --neuron 'conv1,fc1: LIF(tau=2.0)' --input-shape 1,14,14 --timesteps 6",
         drop="--neuron", add="--layer 'conv1: LIF(tau=2.0), AvgPool2d(2)' --neuron 'fc1: LIF(tau=2.0)'"),
    Case(PT + "rebuilt_layers.py:_conv", "convert channels.pth --data images.npz -o o --neuron 'conv1: LIF(tau=2.0)' --input-shape 1,14,14",
         drop="--input-shape", add="--input-shape 3,14,14"),
    Case(PT + "rebuilt_layers.py:_norm", BARE.format("norm.pth") + " --neuron 'fc1: LIF(tau=2.0)'",
         drop="--neuron", add="--arch net.py:Net --input-shape 12"),
    Case(PT + "rebuilt_layers.py:_threshold_scaled", BARE.format("scaled.pth") + f" {SAID}", paste=r"--layer '[^']*'"),
    Case(PT + "chained.py:Chained.append", BARE.format("misfit.pth") + f" {SAID}", drop="--neuron",
         add="--arch 'net.py:Net(T=10)' --input-shape 12"),
    Case(PT + "rebuilt_layers.py:layer",
         "convert kernel.pth --data images.npz -o o --layer 'conv1: LIF(tau=2.0), AvgPool2d(20)' --input-shape 1,14,14",
         drop="--layer", add="--layer 'conv1: LIF(tau=2.0), AvgPool2d(kernel_size=2, stride=2)'"),
    # -- code ------------------------------------------------------------------------------------------------
    Case(PT + "__init__.py:_load", NET.replace("--input-shape 12", ""), add="--input-shape 12"),
    Case(PT + "__init__.py:_bare", BARE.format("code.pth") + " --neuron-class 'LIF: LIF(tau=2.0)'", add="--arch net.py:Net"),
    Case(PT + "__init__.py:first_that_runs", "check steps.pth --arch net.py:Steps --input-shape 12",
         add="--timesteps 10"),
    Case(PT + "__init__.py:_without_rectifiers", BARE.format("relu.pth") + " --arch net.py:Relu --input-shape 12", paste=r"--relu \w+"),
    Case(PT + "arch.py:HINT", NET.replace("net.py:Net", "net.py"), drop="--arch", add="--arch 'net.py:Net(T=10)'"),
    Case(PT + "arch.py:HINT", NET.replace("net.py:Net", "'net.py:Net(T=)'"), drop="--arch", add="--arch 'net.py:Net(T=10)'"),
    Case(PT + "reading.py:fill", NET.replace("net.py:Net", "'net.py:Net(hidden=8)'"), drop="--arch",
         add="--arch 'net.py:Net(hidden=16)'"),
    Case(PT + "reading.py:read", BARE.format("script.pth"), instead=NET),
    Case(PT + "reading.py:_weights", BARE.format("whole.pth") + " --input-shape 12", paste="--trust"),
    Case(PT + "reading.py:_weights", BARE.format("whole.pth") + " --input-shape 12", instead=NET),
    Case(PT + "recording.py:_run", NET.replace("--input-shape 12", "--input-shape 11"), drop="--input-shape", add="--input-shape 12"),
    Case(PT + "tracing.py:readings", f"{NET} --timesteps 7", drop="--timesteps"),
    Case(PT + "naming.py:entry", f"{NET} --neuron 'lif1: tau=2.0'", drop="--neuron", add="--neuron 'lif1: LIF(tau=2.0)'"),
    Case(PT + "tracing.py:_at_length", "convert short.pth --arch net.py:Short --input-shape 12 --chip none -o o --timesteps 20",
         drop="--timesteps", add="--timesteps 10"),
    Case(PT + "blackbox.py:HINT", BARE.format("own.pth") + " --arch net.py:Own --input-shape 12",
         add="--neuron-class 'Twice: LIF(tau=2.0)'"),
    # -- NIR -------------------------------------------------------------------------------------------------
    Case(NIR + "readings.py:_lines", "convert n.nir --data d.npz -o n", paste=r"--source \w+ --reset \w+(?=:)", needs="h5py"),
    Case(NIR + "readings.py:_dt", "convert n.nir --source norse --data d.npz -o n", paste=r"--dt [\d.]+", needs="h5py"),
    Case(NIR + "readings.py:_reset", "convert n.nir --source norse --dt 0.001 --reset multi --data d.npz -o n",
         drop="--source", paste=r"--source \w+", needs="h5py"),
    Case(NIR + "discretize.py:_decay", "convert n.nir --source norse --dt 1 --reset zero --data d.npz -o n",
         drop="--dt", paste=r"--dt [\d.]+", needs="h5py"),
    Case(NIR + "writing.py:write", f"export {GRAPH} --to nir -o g.nir", paste="--lossy", before=PLAIN + f" {SAID}", needs="h5py"),
    Case(NIR + "neurons.py:_spiking", "convert leak.nir --source sinabs --reset multi --data d.npz -o n",
         drop="--reset", add="--reset zero", needs="h5py"),
    Case(NIR + "building.py:_input_shapes", "show image.nir", add="--input-shape 1,14,14", needs="h5py"),
    Case(NIR + "building.py:_shape_behind", "show image.nir --input-shape 1,2,2", drop="--input-shape", add="--input-shape 1,14,14",
         needs="h5py"),
    # -- .net ------------------------------------------------------------------------------------------------
    Case("converters/lava_net/reading.py:_cleared", "show bias.net", add="--timesteps 6", needs="h5py"),
    # -- ONNX ------------------------------------------------------------------------------------------------
    Case("converters/onnx/parts.py:SAY", "show open.onnx", add="--input-shape 1,6,6"),
    Case("converters/onnx/parts.py:input_shape", "show relu.onnx --input-shape 11", drop="--input-shape"),
    Case("converters/onnx/linear.py:_product", "show open.onnx --input-shape 1,7,7", drop="--input-shape", add="--input-shape 1,6,6"),
    Case("converters/onnx/pairing.py:_choose", "show state.onnx", paste=r"--state \w+=\w+"),
    Case(FLOW + "rates.py:asked", "convert relu.onnx --data static.npz --timesteps 8 -o r", paste=r"--relu \w+"),
    # -- chips, and neurons that they have not ---------------------------------------------------------------
    Case(FLOW + "nearest.py:priced", f"{SOFT} --chip loihi1", paste="--substitute nearest"),
    Case(FLOW + "nearest.py:priced", f"{SOFT} --chip loihi1", paste=r"--neuron '[^']*'"),
    Case(FLOW + "nearest.py:priced", f"{PLAIN} --neuron 'fc1,fc2: LIFNode(tau=2.0, v_reset=None)' --source spikingjelly --chip loihi1",
         drop="--neuron", paste=r"--neuron '[^']*'"),
    Case(FLOW + "nearest.py:priced", f"{PLAIN} --neuron 'fc1,fc2: CubaLIF(tau=2.0, tau_current=4.0, reset=\"subtract\")' --chip loihi1",
         drop="--neuron", paste=r"--neuron '[^']*'"),
    Case(FLOW + "bursts.py:_choose", f"{SOFT} --chip loihi1", drop="--chip", paste="--chip loihi2"),
    Case("snndeploy/quantize/programmed.py:expression_of", f"{PLAIN} --chip loihi1 --neuron 'fc1,fc2: DeltaLeaky(beta=0.9)'",
         drop="--chip", paste="--chip loihi2"),
    Case("snndeploy/chip/instead.py:without", f"export {CHIP} --to lava -o q", before=SOFT, instead=f"{SOFT} --substitute nearest"),
    Case("snndeploy/chip/instead.py:without", f"export {CHIP} --to net", before=SOFT, instead=f"{SOFT} --substitute nearest"),
    Case("snndeploy/chip/instead.py:without", f"verify {CHIP} --data d.npz --against lava", before=SOFT,
         instead=f"{SOFT} --substitute nearest"),
    Case(FLOW + "chips.py:must_simulate", f"{ZERO} --chip truenorth", drop="--chip", add="--chip loihi1"),
    Case(FLOW + "chips.py:must_simulate", f"{ZERO} --chip truenorth", instead=f"report {CHIP} --data d.npz --chip truenorth", before=ZERO),
    Case(FLOW + "feeding.py:feed", PLAIN.replace("--timesteps 10", "").replace("d.npz", "static.npz") + f" {SAID}", add="--timesteps 10"),
    Case(FLOW + "given.py:stand_in", f"check plain.pth {SAID}", add="--data d.npz"),
    Case(FLOW + "rates.py:refuse_artificial", "run relu.onnx --data static.npz",
         instead="convert relu.onnx --relu if --data static.npz --timesteps 8 -o r"),
    Case("snndeploy/options.py:same_steps", f"run {CHIP} --data d.npz --timesteps 7", drop="--timesteps", before=ZERO),
    Case(FLOW + "rechecking.py:_found", "verify --certificate c2.json", add="--data d.npz", gone="gone.npz",
         before=ZERO.replace("d.npz", "gone.npz") + " --certificate c2.json"),
    Case(FLOW + "feeding.py:check_labels", f"{ZERO.replace('d.npz', 'labelled.npz')} --decode vote:5",
         drop="--decode", add="--decode count"),
    Case("snndeploy/sim/host.py:_whole", f"run {CHIP} --data unit.npz", add="--encode rate --seed 1", before=ZERO),
    Case("snndeploy/deploy.py:load", f"convert {CHIP} --chip none -o z", drop="--chip -o", add="--chip loihi2 --data d.npz -o z",
         before=ZERO),
)  # fmt: skip

ELSEWHERE = "no small command raises it; "
NOT_RAISED: Mapping[str, str] = {
    "converters/pt/chained.py:MISSING": ELSEWHERE + "the readers of images say it with the sizes that arrive (rebuilt_layers.py)",
    "converters/lava/network.py:_on_grid": ELSEWHERE + "weights off Lava's grid come from chip networks made by hand",
    "converters/lava_net/__init__.py:save": ELSEWHERE + "tests/test_net_biases.py writes with lossy what is refused without",
    "converters/lava_net/fields.py:eight_bits": "whether weights need exponents is the quantizer's choice, not a small file's",
    "converters/lava_net/files.py:_steps": ELSEWHERE + "a .net file whose sample is no whole number of steps",
    "converters/lava_net/reading.py:trained_without_step": ELSEWHERE + "a .net file of neurons of both trainings",
    "converters/lava_net/registers.py:_with_register": ELSEWHERE + "tests/test_net_biases.py writes with lossy what is refused without",
    "converters/lava_net/writing.py:check_rate": ELSEWHERE + "tests/test_two_phase_deployed.py builds such a network",
    "converters/nir/layers.py:linear": ELSEWHERE + "a NIR file whose parts do not fit each other",
    "converters/nir/layers.py:delay": ELSEWHERE + "a NIR file whose delays are no whole steps; tests/test_nir.py gives it another dt",
    "converters/onnx/drafting.py:Drafting.add": ELSEWHERE + "an ONNX file whose parts do not fit, or of a layer no chip holds",
    "converters/onnx/operators.py:_view": ELSEWHERE + "an ONNX file that rearranges more values than a chip holds",
    "converters/onnx/parts.py:SEVERAL": "it sends the user back to their exporter, which a test cannot run",
    "converters/onnx/scanning.py:_sizes": ELSEWHERE + "a Scan over an input of open shape; tests/test_bars_onnx.py reads Scans",
    "converters/pt/chains.py:check_shape": ELSEWHERE + "a recorded layer that does not fit ran before, so it is a defect if it is raised",
    "converters/pt/gated.py:_per_channel": ELSEWHERE + "the gated neuron of one repository on an input of other channels",
    "converters/pt/norse.py:_weights": ELSEWHERE + "a recurrent cell whose synapse is no matrix",
    "converters/pt/levels.py:settle": ELSEWHERE + "tests/test_pt_libraries.py raises it of sinabs and says max_spikes",
    "converters/pt/slayer_blocks.py:block": "it sends the user to another class of their library, which is not installed everywhere",
    "converters/pt/snntorch.py:_check": "it asks to train again; that --weight-bits quantizes is in every conversion",
    "converters/pt/spikingjelly_rare.py:_shaped": ELSEWHERE + "keys of one rare neuron; tests/test_pt_libraries.py raises it",
    "converters/pt/streams.py:Builder._input": ELSEWHERE + "an input without features; the recording fails before",
    "converters/pt/windows.py:_axes": ELSEWHERE + "a neuron over a window behind features of other axes",
    "snndeploy/cli/refusing.py:refusing.run": "a machine out of memory",
    "snndeploy/data/events.py:Binning.__post_init__": "from Python alone; the command line asks before (files.py:_events)",
    "snndeploy/deploy.py:_deploy": "a network larger than a chip takes long; tests/test_flow.py has check list what convert refuses",
    "snndeploy/flow/transferring.py:transfer": "a network larger than a chip takes long; tests/test_transfer.py refuses it",
    "snndeploy/flow/nearest.py:_swapped": "from Python: tests/test_substitute.py",
    "snndeploy/flow/parting.py:_side": ELSEWHERE + "tests/test_two_phase_deployed.py builds a network of two phases",
    "snndeploy/ir/graph.py:_node_shape": ELSEWHERE + "every reader holds the shapes before a graph is made",
    "snndeploy/ir/neurons/decoupling.py:_lateral_conditions": "a condition of an offer; tests/test_decoupling.py builds both sides",
    "snndeploy/place/__init__.py:_chip_findings": "a network of more cores than a chip takes long; tests/test_place.py finds the board",
    "snndeploy/quantize/choice.py:_on_threshold": ELSEWHERE + "tests/test_quantize.py holds the grids of lateral thresholds",
    "snndeploy/sim/lava.py:run_lava": "it installs another Python's packages; the workflow of the real Lava runs it",
}
