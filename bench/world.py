"""
A simulated country: sources, units, time types and free times in any number.

Written straight into Redis as a worker would, so that a million times are there within
seconds.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import orjson

from fhir_gateway.fhir.concept_map import concept_map_from_meanings
from fhir_gateway.fhir.sctid import is_concept_id
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.care_unit import CareUnit, Position
from fhir_gateway.model.ids import HsaId, PerformerId, SourceName, TimeTypeId
from fhir_gateway.model.timekeeping import at_start_of_day, civil_date, now
from fhir_gateway.model.timeslot import (
    Schedule,
    StandardTimeType,
    Timeslot,
    TimeType,
)
from fhir_gateway.stores.slot_block import BlockKey, SlotBlock
from fhir_gateway.stores.slot_store import RedisSlotStore, SourceStatus
from fhir_gateway.stores.source_catalogue import SourceCatalogue

__all__ = ["World"]

_NAMESPACE = "9999999"
_TYPES_A_UNIT = 6
_DAYS = 60
_DAY_BEGINS = timedelta(hours=8)
_LENGTH = timedelta(minutes=15)
_TIMES_A_DAY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """
    How large the country is.

    Attributes:
        slots: About how many free times there are.
        types: How many shared time types; a unit offers six of them.
    """

    slots: int
    sources: int = 21
    units: int = 3000
    types: int = 40
    seed: int = 1

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the shared codes: made up, in a namespace that nobody has."""
        return _codes(self.types)

    def source_names(self) -> tuple[SourceName, ...]:
        """Return the sources."""
        return tuple(SourceName(f"region-{n:02}") for n in range(self.sources))

    def all_units(self) -> tuple[CareUnit, ...]:
        """Return the units, spread evenly over the sources and over the map."""
        chance = random.Random(self.seed)  # noqa: S311 - data, not secrets
        return tuple(
            CareUnit(
                hsa_id=HsaId(f"SE23210{n % self.sources:05}-{n:05}"),
                name=f"Vårdcentralen nummer {n}",
                source=SourceName(f"region-{n % self.sources:02}"),
                position=Position(
                    latitude=round(55.4 + 11 * chance.random(), 5),
                    longitude=round(11.5 + 11 * chance.random(), 5),
                ),
            )
            for n in range(self.units)
        )

    def time_types(self, number: int) -> tuple[TimeType, ...]:
        """Return the time types of a numbered unit, under names of its own."""
        offered = (
            (number * 7 + step * 11) % self.types for step in range(_TYPES_A_UNIT)
        )
        return tuple(
            TimeType(
                id=TimeTypeId(f"TT{n:02}"),
                name=f"Besök av slag {n}",
                standard=(StandardTimeType(code=self.codes[n], display=f"besök {n}"),),
            )
            for n in dict.fromkeys(offered)
        )

    def write_sources(self, folder: Path, endpoint: str) -> Path:
        """Write the file of sources and one ConceptMap each; return the file."""
        units = self.all_units()
        tables = []
        for position, name in enumerate(self.source_names()):
            own = [(n, unit) for n, unit in enumerate(units) if unit.source == name]
            (folder / f"{name}.json").write_bytes(
                orjson.dumps(
                    concept_map_from_meanings(
                        str(name),
                        str(name),
                        (
                            (unit.hsa_id, time_type)
                            for n, unit in own
                            for time_type in self.time_types(n)
                        ),
                        version="1",
                        date="2026-01-01",
                        vocabulary=Vocabulary(),
                    )
                )
            )
            tables.append(
                f"[sources.{name}]\n"
                'adapter = "scheduling_1_1"\n'
                f'title = "Region {position}"\n'
                f'prefixes = ["SE23210{position:05}-"]\n'
                'agent = "SE1-AGENT"\n'
                'refresh_subject = "191212121212"\n'
                f'time_types = "{name}.json"\n'
                "fresh_for_s = 86400\n"
                "offered_for_s = 86400\n"
                f'options = {{ endpoint = "{endpoint}" }}\n'
            )
            tables.extend(
                f"[[sources.{name}.units]]\n"
                f'hsa_id = "{unit.hsa_id}"\n'
                f'name = "{unit.name}"\n'
                f"latitude = {unit.position.latitude}\n"
                f"longitude = {unit.position.longitude}\n"
                for _, unit in own
                if unit.position
            )
        path = folder / "sources.toml"
        path.write_text("\n".join(tables), encoding="utf-8")
        return path

    def fill(self, store: RedisSlotStore, *, age: timedelta = timedelta()) -> int:
        """
        Write everything into a store; return how many free times that is.

        Args:
            store: Where to.
            age: How long ago the sources listed their free times.
        """
        units = self.all_units()
        moment = now()
        for name in self.source_names():
            own = [(n, unit) for n, unit in enumerate(units) if unit.source == name]
            store.put_catalogue(
                SourceCatalogue(
                    source=name,
                    answered_at=moment,
                    units=tuple(unit for _, unit in own),
                    time_types={unit.hsa_id: self.time_types(n) for n, unit in own},
                    performers={},
                )
            )
            store.put_status(
                SourceStatus(
                    source=name,
                    last_answer_at=moment,
                    failing_since=None,
                    last_error=None,
                )
            )
        total = 0
        for block in self.blocks(moment - age):
            store.put_block(block)
            total += len(block.rows)
        return total

    def blocks(self, answered_at: datetime) -> Iterator[SlotBlock]:
        """Return a block for each unit and time type, alike in size."""
        chance = random.Random(self.seed)  # noqa: S311 - data, not secrets
        for n, unit in enumerate(self.all_units()):
            for time_type in self.time_types(n):
                yield SlotBlock.of(
                    BlockKey(
                        source=unit.source, unit=unit.hsa_id, time_type_id=time_type.id
                    ),
                    self.timeslots(n, time_type, chance),
                    asked_at=answered_at,
                    answered_at=answered_at,
                )

    def timeslots(
        self, number: int, time_type: TimeType, chance: random.Random
    ) -> list[Timeslot]:
        """Return free times of a unit's time type, some others each time."""
        unit = f"SE23210{number % self.sources:05}-{number:05}"
        schedules = tuple(
            Schedule(
                unit=HsaId(unit),
                time_type_id=time_type.id,
                time_type_name=time_type.name,
                performer=PerformerId(f"{unit[:13]}P{number:05}{who}"),
                performer_name=f"Distriktssköterska Anna {number} {who}",
            )
            for who in range(2)
        )
        first = at_start_of_day(civil_date(now()) + timedelta(days=1)) + _DAY_BEGINS
        places = range(_DAYS * _TIMES_A_DAY)
        timeslots = []
        for position, place in enumerate(
            sorted(chance.sample(places, min(_size(self), len(places))))
        ):
            day, time = divmod(place, _TIMES_A_DAY)
            start = first + timedelta(days=day) + time * _LENGTH
            timeslots.append(
                Timeslot(
                    schedule=schedules[position % 2], start=start, end=start + _LENGTH
                )
            )
        return timeslots


@cache
def _codes(count: int) -> tuple[str, ...]:
    return tuple(
        next(filter(is_concept_id, (f"{item}{_NAMESPACE}10{n}" for n in range(10))))
        for item in range(100, 100 + count)
    )


@cache
def _size(world: World) -> int:
    """Return how many free times each unit's time type has."""
    blocks = sum(len(world.time_types(n)) for n in range(world.units))
    return max(1, round(world.slots / blocks))
