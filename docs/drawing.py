"""SVG for `docs.figures`: pieces of floor, seen from above, in light and in dark.

Places are metres, y down; what is drawn is a string. `kind` is a class of `STYLE`.
"""

from collections.abc import Iterator, Sequence
from html import escape

Place = tuple[float, float]

SCALE = 64.0
"""Pixels a metre."""
WIDTH, HEIGHT = SCALE * 3.3, SCALE * 1.8
"""Of a panel's floor, in pixels."""
MARGIN = 14.0
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.soft { fill: #59636e }
.yes { fill: #1a7f37; font-weight: 600 }
.floor { fill: #f6f8fa; stroke: #d1d9e0 }
.line { fill: none; stroke: #0969da; stroke-width: 3 }
.zone { fill: #0969da; fill-opacity: .18; stroke: #0969da }
.band { fill: #0969da; fill-opacity: .08; stroke: #0969da; stroke-dasharray: 3 3; stroke-width: .7 }
.way { fill: none; stroke: #bc4c00 }
.dot { fill: #bc4c00 }
.other { fill: #8250df }
.gap { fill: none; stroke: #59636e; stroke-dasharray: 4 4 }
.axis { stroke: #59636e; stroke-width: .7 }
.shelf { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.soft { fill: #9198a1 }
.yes { fill: #3fb950 }
.floor { fill: #151b23; stroke: #3d444d }
.line, .zone, .band { stroke: #4493f8 }
.zone, .band { fill: #4493f8 }
.way { stroke: #f0883e }
.dot { fill: #f0883e }
.other { fill: #ab7df8 }
.gap, .axis { stroke: #9198a1 }
.shelf { fill: #3d444d }
}"""


def walk(places: Sequence[Place], kind: str = "dot") -> Iterator[str]:
    """Sights, the last one larger, and the way between them."""
    yield path(places, "way")
    for index, (x, y) in enumerate(places):
        yield circle((x, y), 0.07 if index == len(places) - 1 else 0.04, kind)


def circle(middle: Place, radius: float, kind: str) -> str:
    """A circle."""
    x, y = middle
    return (
        f'<circle class="{kind}" cx="{SCALE * x:.1f}" cy="{SCALE * y:.1f}"'
        f' r="{SCALE * radius:.1f}"/>'
    )


def path(places: Sequence[Place], kind: str) -> str:
    """A way from place to place."""
    points = " ".join(f"{SCALE * x:.1f},{SCALE * y:.1f}" for x, y in places)
    return f'<polyline class="{kind}" points="{points}"/>'


def area(corners: Sequence[Place], kind: str) -> str:
    """A polygon."""
    points = " ".join(f"{SCALE * x:.1f},{SCALE * y:.1f}" for x, y in corners)
    return f'<polygon class="{kind}" points="{points}"/>'


def box(low: Place, high: Place, kind: str) -> str:
    """A rectangle from corner to corner."""
    return area((low, (high[0], low[1]), high, (low[0], high[1])), kind)


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """Words, at pixels."""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def panel(title: str, content: Sequence[str], verdict: str, counts: bool) -> str:
    """A piece of floor with its title above and what comes of it below."""
    return "\n".join(
        [
            text(0, -8, title),
            f'<svg width="{WIDTH:.1f}" height="{HEIGHT:.1f}">',
            '<rect class="floor" width="100%" height="100%"/>',
            *content,
            "</svg>",
            text(0, HEIGHT + 18, verdict, "yes" if counts else "soft"),
        ]
    )


def sheet(panels: Sequence[str], columns: int) -> str:
    """Panels side by side, in so many columns."""
    across, down = WIDTH + 2 * MARGIN, HEIGHT + 62
    parts = [
        f'<g transform="translate({MARGIN + across * (index % columns):.1f}'
        f' {28 + down * (index // columns):.1f})">\n{panel}\n</g>'
        for index, panel in enumerate(panels)
    ]
    rows = -(-len(panels) // columns)
    return svg(across * columns, down * rows, parts)


def svg(width: float, height: float, parts: Sequence[str]) -> str:
    """The file."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}">\n<style>{STYLE}\n</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
