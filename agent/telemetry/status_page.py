"""The status page: one HTML document, without scripts and without anything from elsewhere; everything is escaped."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from agent.telemetry.condition import why_not_connected, why_not_ready
from agent.telemetry.record import BOUNDS, Snapshot

REFRESH: Final = 5
"""Seconds after which the page loads again."""

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #fff; --line: #e3e6ea; --text: #1b1f24; --dim: #5d6670; --track: #eceff2;
  --good: #15713f; --good-soft: #e2f5ea; --bad: #b3261e; --bad-soft: #fdeceb; --wait: #8a5a00; --wait-soft: #fdf1d8;
  --bar: #4c7dd9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101317; --card: #191d23; --line: #2a3038; --text: #e6e9ed; --dim: #98a2ad; --track: #252b33;
    --good: #6fd39b; --good-soft: #16301f; --bad: #ff938a; --bad-soft: #3a1b19; --wait: #f0c063; --wait-soft: #352a12;
    --bar: #6d9bf0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 1.5rem 1rem 3rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
header, main, footer { max-width: 64rem; margin: 0 auto; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; margin-bottom: 1.25rem; }
h1 { margin: 0; font-size: 1.25rem; font-weight: 650; letter-spacing: -.01em; }
header p { margin: 0; color: var(--dim); font-size: .875rem; flex: 1 1 auto; }
.state {
  display: inline-flex; align-items: center; gap: .5em; padding: .2rem .75rem; border-radius: 999px;
  font-size: .875rem; font-weight: 600; white-space: nowrap;
}
.state::before { content: ""; width: .55em; height: .55em; border-radius: 50%; background: currentColor; }
.good { color: var(--good); background: var(--good-soft); }
.bad { color: var(--bad); background: var(--bad-soft); }
.wait { color: var(--wait); background: var(--wait-soft); }
article {
  background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem;
  margin-bottom: 1.25rem;
}
.title { display: grid; grid-template-columns: 1fr auto; align-items: start; gap: .125rem 1rem; }
h2 { margin: 0; font-size: 1.125rem; font-weight: 650; overflow-wrap: anywhere; }
.title code { grid-column: 1 / -1; color: var(--dim); overflow-wrap: anywhere; }
code { font: .875rem ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.why { margin: .9rem 0 0; padding: .6rem .85rem; border-radius: .5rem; font-size: .9375rem; overflow-wrap: anywhere; }
dl {
  display: grid; grid-template-columns: repeat(2, 1fr); gap: 1px; margin: 1.1rem 0 0;
  background: var(--line); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden;
}
@media (min-width: 44rem) { dl { grid-template-columns: repeat(5, 1fr); } }
dl div { background: var(--card); padding: .65rem .85rem .7rem; }
dt { color: var(--dim); font-size: .8125rem; }
dd { margin: 0; font-size: 1.3125rem; font-weight: 600; letter-spacing: -.01em; line-height: 1.35; }
dd small { font-size: .8125rem; font-weight: 500; color: var(--dim); letter-spacing: 0; }
dd.bad { background: none; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 0 2.5rem; }
h3 { margin: 1.4rem 0 .5rem; font-size: .875rem; font-weight: 600; }
h3 span { color: var(--dim); font-weight: 400; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
th, td { padding: .16rem 0; vertical-align: top; line-height: 1.5rem; }
th { min-width: 5rem; font-weight: 500; text-align: left; white-space: nowrap; }
td { width: 100%; }
td:last-child { text-align: right; padding-left: .75rem; width: auto; }
td small { display: block; color: var(--dim); font-size: .8125rem; line-height: 1.3; padding-bottom: .25rem; }
svg { display: block; width: 100%; height: .5rem; margin: .5rem 0; border-radius: .25rem; background: var(--track); }
rect { fill: var(--bar); }
rect.ok { fill: var(--good); }
rect.warn { fill: var(--wait); }
rect.fail { fill: var(--bad); }
.none { margin: 0; color: var(--dim); font-size: .875rem; }
footer { display: flex; flex-wrap: wrap; gap: .25rem 1rem; color: var(--dim); font-size: .8125rem; }
footer a { color: inherit; text-underline-offset: .2em; }
"""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)

_SCALE: Final = 1000
"""Width of a bar's drawing, in its own units."""


@dataclass(frozen=True, slots=True)
class ShownBackend:
    """What the page shows of one backend."""

    snapshot: Snapshot
    host: str
    is_working: bool


@dataclass(frozen=True, slots=True)
class _State:
    kind: str
    """A class of the style sheet: good, wait or bad."""
    label: str
    why: str = ""


def render(backends: Sequence[ShownBackend], *, version: str, uptime: float) -> str:
    """The document; `uptime` in seconds."""
    states = [_state(each) for each in backends]
    overall = _overall(states)
    title = f"{overall.label} – inverting proxy agent"
    cards = "".join(_card(each, state) for each, state in zip(backends, states, strict=True))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{REFRESH}">
<title>{escape(title)}</title>
<link rel="icon" href="{_icon(overall.kind)}">
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Inverting proxy agent</h1>
<p>version {escape(version)} · up {_duration(uptime)}</p>
{_badge(overall) if len(states) > 1 else ""}
</header>
<main>
{cards}</main>
<footer>
<a href="/healthz">healthz</a><a href="/readyz">readyz</a><a href="/metrics">metrics</a>
<span>loads again every {REFRESH} seconds</span>
</footer>
</body>
</html>
"""


def _state(shown: ShownBackend) -> _State:
    snapshot = shown.snapshot
    if not shown.is_working:
        return _State("bad", "Broken", "the agent does not ask for requests any more: start it again")
    if snapshot.is_draining:
        return _State("wait", "Stopping", "no more requests are asked for; those that run are finished")
    if why := why_not_connected(snapshot):
        is_starting = snapshot.answered_age is None and not snapshot.poll_failure
        return _State("wait", "Connecting", why) if is_starting else _State("bad", "Not connected", why)
    if why := why_not_ready(snapshot):
        return _State("bad", "Backend unhealthy", why)
    return _State("good", "Connected")


def _overall(states: Sequence[_State]) -> _State:
    """The state of the only backend; of several the worst, and how many are not well."""
    if len(states) == 1:
        return states[0]
    unwell = [state.kind for state in states if state.kind != "good"]
    if not unwell:
        return _State("good", "Connected")
    return _State("bad" if "bad" in unwell else "wait", f"{len(unwell)} of {len(states)} not ready")


def _badge(state: _State) -> str:
    return f'<span class="state {state.kind}">{escape(state.label)}</span>'


def _card(shown: ShownBackend, state: _State) -> str:
    snapshot = shown.snapshot
    why = f'<p class="why {state.kind}">{escape(_sentence(state.why))}</p>\n' if state.why else ""
    return f"""<article>
<div class="title"><h2>{escape(snapshot.backend_id)}</h2>{_badge(state)}<code>{escape(shown.host)}</code></div>
{why}{_tiles(snapshot)}
<div class="charts">
<section><h3>Answers by status</h3>
{_statuses(snapshot)}</section>
<section><h3>Latency <span>from fetched request to posted answer</span></h3>
{_latencies(snapshot)}</section>
</div>
</article>
"""


def _tiles(snapshot: Snapshot) -> str:
    answered = "never" if snapshot.answered_age is None else f"{_duration(snapshot.answered_age)} <small>ago</small>"
    tiles = [
        ("Last poll answered", answered, False),
        ("In flight", _number(snapshot.in_flight), False),
        ("Requests", _number(snapshot.exchanges), False),
        ("Median", _latency(snapshot.quantile(0.5)), False),
        ("95 % within", _latency(snapshot.quantile(0.95)), False),
        ("Bytes answered", _bytes(snapshot.response_bytes), False),
        ("Open websockets", _number(snapshot.shim_open + snapshot.tunnels_open), False),
        ("Retries", _number(snapshot.retries), False),
        ("Failed polls", _number(snapshot.polls_failed), bool(snapshot.poll_failure)),
        ("Failed fetches", _number(snapshot.fetches_failed), False),
    ]
    parts = [
        f"<div><dt>{name}</dt><dd{' class=bad' if is_bad else ''}>{value}</dd></div>" for name, value, is_bad in tiles
    ]
    return f"<dl>{''.join(parts)}</dl>"


def _statuses(snapshot: Snapshot) -> str:
    """A bar for each status, and below it the reasons of those that did not go well."""
    counts: Counter[int] = Counter()
    reasons: dict[int, list[str]] = {}
    for (status, reason), count in sorted(snapshot.finished.items()):
        counts[status] += count
        if reason:
            reasons.setdefault(status, []).append(f"{reason} {_number(count)}")
    if not counts:
        return '<p class="none">None yet.</p>\n'
    most = max(counts.values())
    rows = []
    for status, count in sorted(counts.items()):
        why = f"<small>{escape(', '.join(reasons[status]))}</small>" if status in reasons else ""
        kind = "fail" if status >= 500 else "warn" if status >= 400 else "ok"
        rows.append(_row(str(status), count, most, kind, below=why))
    return f"<table>{''.join(rows)}</table>\n"


def _latencies(snapshot: Snapshot) -> str:
    """A bar for each bucket, from the first one that has anything to the last."""
    filled = [index for index, count in enumerate(snapshot.latencies) if count]
    if not filled:
        return '<p class="none">None yet.</p>\n'
    most = max(snapshot.latencies)
    rows = []
    for index in range(filled[0], filled[-1] + 1):
        name = f"≤ {_latency(BOUNDS[index])}" if index < len(BOUNDS) else f"&gt; {_latency(BOUNDS[-1])}"
        rows.append(_row(name, snapshot.latencies[index], most, "any"))
    return f"<table>{''.join(rows)}</table>\n"


def _row(name: str, count: int, most: int, kind: str, *, below: str = "") -> str:
    """`name` and `below` are HTML. What is there can be seen, however little it is."""
    width = max(8, round(_SCALE * count / most)) if count else 0
    bar = f'<rect class="{kind}" width="{width}" height="1"/>'
    return (
        f'<tr><th scope="row">{name}</th><td><svg viewBox="0 0 {_SCALE} 1" preserveAspectRatio="none"'
        f' aria-hidden="true">{bar}</svg>{below}</td><td>{_number(count)}</td></tr>'
    )


def _icon(kind: str) -> str:
    """A dot in the colour of the state, for the browser's tab."""
    colour = {"good": "1a9f5b", "wait": "d79a1e", "bad": "d0352b"}[kind]
    return (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
        f"%3Ccircle cx='8' cy='8' r='6' fill='%23{colour}'/%3E%3C/svg%3E"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _number(count: int) -> str:
    # A narrow space, that does not break: right in every language.
    return f"{count:,}".replace(",", "\u202f")


def _duration(seconds: float) -> str:
    """The two largest units that matter: `3 s`, `2 min 5 s`, `4 h 10 min`, `12 d 3 h`."""
    whole = int(seconds)
    units = (("d", whole // 86_400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((index for index, (_, value) in enumerate(units) if value), len(units) - 1)
    return " ".join(f"{value}\u00a0{name}" for name, value in units[first : first + 2] if value) or "0\u00a0s"


def _latency(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds >= 1:
        return f"{seconds:.3g}\u00a0s"
    return f"{seconds * 1000:.0f}\u00a0ms" if seconds >= 0.01 else f"{seconds * 1000:.2g}\u00a0ms"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f}\u00a0{unit}" if unit == "B" else f"{size:.1f}\u00a0{unit}"
        size /= 1000
    return f"{size:.1f}\u00a0TB"
