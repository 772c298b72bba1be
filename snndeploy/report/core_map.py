"""The mesh of each chip, cores shaded by how full they are."""

from __future__ import annotations

import math

from snndeploy.placement import Core, Placement
from snndeploy.report.markup import text
from snndeploy.report.report import Mesh
from snndeploy.report.words import percent

TILE_GAP, MAX_CHIPS = 7, 8


def core_map(placement: Placement, mesh: Mesh) -> str:
    """One drawing a chip, at most eight; a cell is a core, and its title says what it holds."""
    per_chip = mesh.cores_per_chip or max(1, len(placement.cores))
    chips = "".join(_chip(placement, mesh, chip, per_chip) for chip in range(min(placement.chips, MAX_CHIPS)))
    more = f'<p class="note">{placement.chips - MAX_CHIPS} more chips are not drawn.</p>' if placement.chips > MAX_CHIPS else ""
    scale = '<p class="note">empty<span class="scale"></span>full, by the fuller of neurons and synapse memory</p>'
    return f'<div class="chips">{chips}</div>{scale}{more}'


def use(core: Core, mesh: Mesh) -> float:
    """The larger share of neurons and of synapse memory that a core uses; 1 where neither limit is published."""
    shares = [core.neurons / mesh.neurons_per_core if mesh.neurons_per_core else None]
    shares.append(core.synapse_bits / mesh.synapse_bits_per_core if mesh.synapse_bits_per_core else None)
    return min(1.0, max((s for s in shares if s is not None), default=1.0))


def _chip(placement: Placement, mesh: Mesh, chip: int, per_chip: int) -> str:
    cores = placement.cores[chip * per_chip : (chip + 1) * per_chip]
    side, columns = max(1, math.ceil(math.sqrt(mesh.cores_per_tile))), max(1, mesh.columns)
    cell = 22 if placement.chips == 1 else 15
    tile = side * cell + TILE_GAP
    rows = max(1, math.ceil(per_chip / mesh.cores_per_tile / columns))
    cells = "".join(_cell(n, cores[n] if n < len(cores) else None, mesh, (side, cell, columns)) for n in range(per_chip))
    label = f"chip {chip}: {len(cores)} of {per_chip} cores in use"
    wide, high = columns * tile, rows * tile
    return (
        f"<figure><figcaption><b>chip {chip}</b> {len(cores)} of {per_chip} cores in use</figcaption>"
        f'<svg role="img" aria-label="{label}" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">{cells}</svg></figure>'
    )


def _cell(n: int, core: Core | None, mesh: Mesh, layout: tuple[int, int, int]) -> str:
    side, cell, columns = layout
    tile = side * cell + TILE_GAP
    row, column = divmod(n // mesh.cores_per_tile, columns)
    down, right = divmod(n % mesh.cores_per_tile, side)
    place = f'x="{column * tile + right * cell + 1}" y="{row * tile + down * cell + 1}" width="{cell - 2}" height="{cell - 2}" rx="2.5"'
    if core is None:
        return f'<rect class="idle" {place}/>'
    share = use(core, mesh)
    held = ", ".join(dict.fromkeys(s.population for s in core.slices))
    title = f"core {core.index}: {held}; {core.neurons:,} neurons, {core.synapse_bits / 8192:,.1f} KiB of synapses"
    title += f", {core.axons_in:,} in-axons, {core.axons_out:,} out-axons; {percent(share)} used"
    return f'<rect class="cell" {place} fill-opacity="{0.18 + 0.82 * share:.2f}"><title>{text(title)}</title></rect>'
