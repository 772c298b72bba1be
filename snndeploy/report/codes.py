"""Every word with a fixed meaning that snndeploy prints: what it means, why it matters, what to do, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from snndeploy.report.causes import CAUSES, LAVA

LIMITS = "hw_profiles/*.toml, each number with its own source"
OURS = "a definition of snndeploy"


@dataclass(frozen=True)
class Explanation:
    """One code. ``kind``: "design rule", "cause", "error", "grade" or "severity"."""

    code: str
    kind: str
    meaning: str
    why: str
    action: str
    source: str


def _table(kind: str, source: str, rows: Mapping[str, tuple[str, ...]]) -> dict[str, Explanation]:
    """Rows of (meaning, why, action) and perhaps a source of their own."""
    return {code: Explanation(code, kind, row[0], row[1], row[2], row[3] if len(row) > 3 else source) for code, row in rows.items()}


_RULES = {
    "L001": (
        "neurons per core",
        "A core has state memory for so many neurons.",
        "Nothing where the layer can be split: it is spread over more cores. Else a wider chip.",
    ),
    "L002": (
        "synapse bits per core",
        "Weights, delays, tags and indices share one memory; Loihi 1 packs groups of at most 63 synapses.",
        "Fewer weight bits, fewer synapses, or more cores.",
    ),
    "L003": (
        "input axons per core",
        "Every source neuron that reaches a core takes an entry of its table.",
        "Split the layer over space or channels so that each core is reached by fewer sources.",
    ),
    "L004": ("output axons per core", "Every core that a neuron reaches takes an entry of its table.", "Put what it feeds on fewer cores."),
    "L005": (
        "range and step of weights, and of the weight exponent",
        "A synapse holds 8 bits: one sign 0..255, both signs the even numbers -256..254, times a power of two.",
        "Quantize with a larger scale, move powers of two into weights and threshold, or split the signs into two projections.",
        "lava-nc 0.10.0 utils/weightutils.py; hw_profiles",
    ),
    "L006": (
        "threshold mantissa",
        "A threshold is a 17-bit mantissa times 64.",
        "Scale weights, bias and threshold down together.",
        "lava-nc 0.10.0 proc/lif; hw_profiles",
    ),
    "L007": (
        "bias mantissa and exponent",
        "A bias is a 13-bit mantissa, shifted left by at most 7.",
        "A larger bias exponent (which rounds the bias), or another scale.",
    ),
    "L008": ("delay of a synapse", "A delay has 6 bits, of which 62 steps can be used.", "Put relay neurons in between."),
    "L009": (
        "range of decays",
        "Lava computes with du -1 and dv 4096; the 12-bit register holds 0..4095.",
        "Use du >= 0 and dv <= 4095 where the chip itself must run it.",
    ),
    "L010": (
        "neuron or reset that the chip has no circuit for",
        "Loihi 1 has fixed LIF neurons with a reset to 0; programs need Loihi 2.",
        "Lower the layer to hard-reset LIF, take a simpler neuron, or choose a chip with neuron programs.",
    ),
    "L011": ("refractory steps", "The register holds 1 to 64 steps.", "Use fewer refractory steps.", "brian2loihi; hw_profiles"),
    "L012": (
        "payload bits of graded spikes",
        "Loihi 1 sends spikes without a number; Loihi 2 a limited one.",
        "Decouple the burst layer into binary LIF, let the host compute the first layer, or rate-code.",
    ),
    "L013": (
        "worst case of the synaptic current, over all steps that it remembers",
        "u holds 24 bits and wraps beyond them, silently.",
        "Fewer weight bits, a smaller fan-in or a faster decay of the current; a run counts the wraps that really happen, as faults.",
        LAVA,
    ),
    "L014": (
        "distinct neuron configurations per core",
        "A core of Loihi 1 holds 32 combinations of decay, bias and threshold; a learned time constant for each neuron overflows it.",
        "Share time constants and thresholds among neurons.",
    ),
    "L015": ("cores and chips", "The board has so many.", "A larger board, fewer neurons, or fewer weight bits."),
    "L016": ("a cycle without a delay", "Within a step a neuron cannot wait for itself.", "Give one edge of the cycle a delay of 1.", OURS),
    "L017": (
        "paths of unequal latency",
        "Every projection takes a step; a short cut would arrive before what it skips.",
        "Delay the projection by as many steps as the finding says.",
        OURS,
    ),
    "E000": (
        "a refusal that no design rule names",
        "A layer has no exact meaning here, or no integers represent it.",
        "Read the finding's own words: they say what and what to do.",
        OURS,
    ),
}
_ERRORS = {
    "SnnError": ("any refusal", "All others are kinds of it.", "Read its hint."),
    "ModelError": (
        "the model file or module cannot be read as a network",
        "It is of another kind, damaged, or leaves something out.",
        "Its hint names the option or file.",
    ),
    "UnsafePickle": (
        "a file asks for a global that weights never need",
        "Unpickling it would run code.",
        "--trust, if you made the file yourself.",
    ),
    "DataError": (
        "samples, labels or events do not fit",
        "Shapes, lengths or values are not those of the network.",
        "Compare x [N, ...] with `snndeploy show`.",
    ),
    "GraphError": (
        "a graph would be invalid",
        "Shapes, ports or cycles do not fit, so it is not made.",
        "Check --input-shape and the layer before.",
    ),
    "Unsupported": (
        "understood, but without an exact meaning here",
        "snndeploy changes no meaning silently.",
        "Use the construction that the hint names.",
    ),
    "Obstacles": (
        "several constructs have no exact meaning here; the first is told, and the others beside it",
        "All of them stand in the way, so all of them are said at once.",
        "Look at each line that is named; `snndeploy check` lists them with what would map.",
    ),
    "ProfileError": (
        "a hardware profile is unknown, incomplete or wrong",
        "Every number must be there, with its source.",
        "Compare it with a profile that ships.",
    ),
    "QuantizeError": (
        "no integers within the registers represent a layer",
        "Its range is too wide for the bits.",
        "Rescale the layer, or fewer bits where a sum overflows.",
    ),
    "ChipError": (
        "a chip network would be invalid",
        "A value lies outside its register, or names do not fit.",
        "Rescale the layer that is named.",
    ),
    "DoesNotFit": (
        "the network is larger than the chip, or needs what it lacks",
        "At least one finding is a blocker.",
        "`snndeploy check` lists every finding and its fix.",
    ),
    "OptionError": ("an option is wrong", "Of the command line or the Python API.", "Its hint gives an example."),
    "NoEffect": (
        "an option changes nothing here",
        "It is about another kind of file or network, and passing it over would hide that.",
        "Leave it out; its hint says what it is for.",
    ),
    "MissingPackage": ("an optional package is not installed", "Only some formats and checks need it.", "pip install as the hint says."),
}
_GRADES = {
    "exact": ("values were compared and are equal", "A claim of equality, with the number of values compared.", "Nothing."),
    "different": (
        "equality was claimed and does not hold",
        "At least one value differs beyond a computed rounding bound, or a proof failed.",
        "snndeploy bisect A B --data D finds where and why.",
    ),
    "not_checked": ("nothing was compared", "No claim is made.", "Run verify with --data."),
    "fidelity": (
        "how near the chip network's answers are to the float network's",
        "Accuracy and agreement; never a claim of equality.",
        "Judge it by --max-drop.",
    ),
    "estimate": (
        "energy or latency from published numbers",
        "With low, high and source; never a measurement.",
        "report names what it rests on.",
    ),
    "model only": (
        "equality that rests on neuron programs",
        "Their instruction set is ours; no silicon confirms it.",
        "Use a construction of plain LIF where silicon counts.",
    ),
    "proved": ("shown for every input", "By z3, or by arithmetic on the deployed integers.", "Nothing."),
    "failed": (
        "shown false, with a run that shows it",
        "A counterexample was found and replayed.",
        "Read the counterexample; use another construction.",
    ),
    "ASSUMED": ("read, but not said by the file", "A default of the library, or of the format.", "The option beside it changes it."),
}
_SEVERITIES = {
    "blocker": ("the network cannot run there as it is", "A limit of the chip is exceeded.", "Follow the finding's fix."),
    "warning": (
        "it runs, but perhaps not as meant",
        "The chip and Lava differ there, or a worst case may overflow.",
        "Read why; often a register one step away mends it.",
    ),
    "note": ("worth knowing", "Nothing is wrong.", "Nothing."),
    "fault": (
        "a register left its range in a run, or a layer fell silent",
        "The chip computes as it is defined, but its numbers are no longer those of the network.",
        "Each names layer, step, sample and both values; docs/faults.md says what helps.",
    ),
}

CODES: Mapping[str, Explanation] = MappingProxyType(
    {
        **_table("design rule", LIMITS, _RULES),
        **_table("cause", OURS, CAUSES),
        **_table("error", "snndeploy/errors.py", _ERRORS),
        **_table("grade", OURS, _GRADES),
        **_table("severity", OURS, _SEVERITIES),
    }
)
"""By code. Of proofs, "unknown" is no proof and no counterexample; of causes, what its entry says."""
