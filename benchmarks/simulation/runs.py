"""One size of one design, from start to outcome."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine
from benchmarks.simulation.inputs import Design, Size
from benchmarks.simulation.measures import Measures, Outcome, outcome_of
from benchmarks.simulation.services import Services
from broker.policy import Policy

_REQUESTS: Final = 5_000
"""Enough for a quantile of one in a hundred."""

_SHORTEST, _LONGEST = 4.0, 8.0  # simulated seconds

WARM_UP: Final = 3.0
"""Simulated seconds before anything is counted."""


_STEPS: Final = 3
"""How often the way between what is carried and what is not is halved."""


def simulate(design: Design, size: Size, *, seed: int = 1, seconds: float | None = None) -> Outcome:
    """Let `size` come to a deployment of `design`; `seconds` as long as its rate needs, if they are not given."""
    random, engine, measures = Random(seed), Engine(), Measures()
    datastore = Datastore(engine, random)
    services = Services(engine, datastore, random, design=design, size=size, policy=Policy(), measures=measures)
    counted = seconds if seconds is not None else min(max(_REQUESTS / size.rate, _SHORTEST), _LONGEST)
    services.start()
    engine.run(until=WARM_UP)
    measures.reset()
    datastore.reset()
    engine.run(until=WARM_UP + counted)
    return outcome_of(size, measures, datastore, counted)


def find_limit(
    outcomes: Sequence[Outcome], attempt: Callable[[Size], Outcome]
) -> tuple[Outcome | None, Outcome | None]:
    """For a number of backends, the highest rate that is carried, and the lowest one above it that is not: between the
    `outcomes` of the rates that were tried, by halving. None where none was."""
    best = max((each for each in outcomes if not each.is_broken), key=_rate, default=None)
    worst = min((each for each in outcomes if each.is_broken), key=_rate, default=None)
    for _ in range(_STEPS):
        if best is None or worst is None:
            break
        between = round(math.sqrt(best.size.rate * worst.size.rate))
        tried = attempt(replace(best.size, rate=between))
        best, worst = (best, tried) if tried.is_broken else (tried, worst)
    return best, worst


def _rate(outcome: Outcome) -> float:
    return outcome.size.rate
