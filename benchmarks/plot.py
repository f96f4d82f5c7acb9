"""Results as a drawing: panels of lines over the number of clients, in SVG that suits light pages and dark ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

# Okabe and Ito's colours, which most colour-blind people can tell apart; those too dark or too light are left out.
_COLOURS: Final = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")

_WIDTH, _HEIGHT = 340, 240  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 34  # around its plot
_LEGEND: Final = 22
_MARGIN: Final = 6  # at the right: half of the longest number of clients

_STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #333; }
  .title { font-weight: 600; }
  .tick { font-size: 10px; fill: #777; }
  .grid { stroke: #ddd; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd; }
    .tick { fill: #999; }
    .grid { stroke: #444; }
  }
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines by name: for each number of clients, or of what `unit` says, a value greater than zero, on a logarithmic
    scale."""

    title: str
    lines: Mapping[str, Mapping[int, float]]
    unit: str = "clients"


def draw(panels: Sequence[Panel], *, columns: int = 2) -> str:
    """An SVG image of all panels, with one legend."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}
    rows = math.ceil(len(panels) / columns)
    width, height = columns * _WIDTH + _MARGIN, rows * _HEIGHT + _LEGEND * math.ceil(len(names) / 4) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
    ]
    for number, panel in enumerate(panels):
        x, y = number % columns * _WIDTH, number // columns * _HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, colours)}</g>')
    parts.append(f'<g transform="translate({_LEFT} {rows * _HEIGHT + 16})">{_legend(colours, columns * _WIDTH)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, colours: Mapping[str, str]) -> str:
    clients = sorted({count for line in panel.lines.values() for count in line})
    values = [value for line in panel.lines.values() for value in line.values() if value > 0]
    low, high = _decades(values)

    def x(count: int) -> float:
        step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(clients) - 1)
        return _LEFT + clients.index(count) * step

    def y(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text class="title" x="{_LEFT}" y="18">{escape(panel.title)}</text>']
    for value in (10.0**power for power in range(low, high + 1)):
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="tick" text-anchor="end" x="{_LEFT - 6}" y="{y(value) + 3.5:.1f}">{value:,g}</text>')
    for count in clients:
        unit = panel.unit if count > 1 else panel.unit.removesuffix("s")
        label = f"{count} {unit}" if count == clients[0] else f"{count}"
        parts.append(
            f'<text class="tick" text-anchor="middle" x="{x(count):.1f}" y="{_HEIGHT - _BOTTOM + 16}">{label}</text>'
        )
    for name, line in panel.lines.items():
        points = [f"{x(count):.1f} {y(value):.1f}" for count, value in sorted(line.items()) if value > 0]
        parts.append(f'<path class="line" stroke="{colours[name]}" d="M{"L".join(points)}"/>')
        for point in points:
            cx, cy = point.split()
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{colours[name]}"/>')
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around all values, at least one apart."""
    low = math.floor(math.log10(min(values, default=1)))
    return low, max(low + 1, math.ceil(math.log10(max(values, default=1))))


def _legend(colours: Mapping[str, str], width: int) -> str:
    step = (width - _LEFT) // 4
    parts = []
    for number, (name, colour) in enumerate(colours.items()):
        x, y = number % 4 * step, number // 4 * _LEGEND
        parts.append(f'<path class="line" stroke="{colour}" d="M{x} {y - 4}h18"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">{escape(name)}</text>')
    return "".join(parts)
