"""
A publication: what the feed has at one moment, its manifest and its files.

There is one file for each source and type, and for slots one for each week in which
they begin (ISO 8601, in Swedish time), so that a client reads the regions and weeks
that it needs, and no file is too large for one answer.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from fhir_gateway.fhir.feed_line import (
    SlotLines,
    line,
)
from fhir_gateway.fhir.outcome import issue_from_source_outcome, operation_outcome
from fhir_gateway.fhir.resource_template import ResourceTemplate, in_quotes
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.source import SourceOutcome
from fhir_gateway.model.timekeeping import (
    at_start_of_day,
    civil_date,
    epoch_seconds,
    instant_text,
)
from fhir_gateway.services.feed.feed_files import Contents
from fhir_gateway.services.search.slot_columns import SlotColumns
from fhir_gateway.services.search.slot_search import EverythingFree
from fhir_gateway.web.bulk_publish.file_name import (
    OUTCOME,
    SLOT,
    TYPES,
    FileName,
    week_text,
)
from fhir_gateway.web.bulk_publish.published_resources import PublishedResources

__all__ = ["Publication"]

_WEEK: Final = timedelta(days=7)
# Some milliseconds of work each.
_SLOTS_A_PIECE: Final = 256
_RESOURCES_A_PIECE: Final = 32


class Publication:
    """
    What the feed has at one moment.

    Args:
        free: Everything that is free at that moment.
        url: The URL of the manifest.
        vocabulary: Our canonicals.
        lines: Renders slots.
        is_open: No token is needed.
    """

    def __init__(
        self,
        free: EverythingFree,
        *,
        url: str,
        vocabulary: Vocabulary,
        lines: SlotLines,
        is_open: bool,
    ) -> None:
        self.moment = free.moment
        self._url = url
        self._vocabulary = vocabulary
        self._lines = lines
        self._is_open = is_open
        self._snapshot = free.snapshot
        self._outcomes: dict[SourceName, list[SourceOutcome]] = {}
        for outcome in free.outcomes:
            self._outcomes.setdefault(outcome.source, []).append(outcome)
        self._start = epoch_seconds(free.moment) + 1
        resources = PublishedResources(free.snapshot, self._start, vocabulary)
        self._of_sources = resources
        self._states = {
            each.name: [each.county]
            for each in free.snapshot.directory.sources
            if each.county is not None
        }
        self._resources: dict[str, Callable[[SourceName], Iterator[dict[str, Any]]]] = {
            "Location": resources.locations,
            "Organization": resources.organizations,
            "HealthcareService": resources.services,
            "Practitioner": resources.practitioners,
            "PractitionerRole": resources.roles,
            "Schedule": resources.schedules,
            OUTCOME: self._errors,
        }
        self.until = min(
            [
                free.until,
                *(
                    each.start_of(first)
                    for each in free.snapshot.segments.values()
                    if (first := each.bounds(self._start, None)[0]) < len(each)
                ),
            ]
        )
        self.files: Sequence[FileName] = tuple(self._find_files())
        self.errors: Sequence[FileName] = tuple(
            FileName(OUTCOME, name) for name in sorted(self._outcomes)
        )
        self._names = frozenset((*self.files, *self.errors))

    @property
    def version(self) -> int:
        """Return the version of its snapshot."""
        return self._snapshot.version

    @cached_property
    def manifest(self) -> bytes:
        """Return the manifest."""
        return orjson.dumps(
            {
                "transactionTime": instant_text(self.moment),
                "request": self._url,
                "requiresAccessToken": not self._is_open,
                "output": [self._output(each) for each in self.files],
                "error": [self._output(each) for each in self.errors],
            }
        )

    @cached_property
    def etag(self) -> str:
        """Return a tag that another publication does not have."""
        # Two publications may name the same files, with other contents.
        digest = hashlib.blake2b(self.manifest, digest_size=12)
        digest.update(repr((self.moment, self.version)).encode())
        return digest.hexdigest()

    def has(self, name: FileName) -> bool:
        """Return whether the manifest names a file."""
        return name in self._names

    def has_source(self, name: SourceName) -> bool:
        """Return whether a source has units here."""
        return self._snapshot.index.source_number(name) is not None

    def contents(self, name: FileName) -> Contents:
        """Return what a file is to contain."""
        if name.week is not None:
            return self._slots(name.source, name.week)
        digest = hashlib.blake2b(digest_size=16)
        if name.type == OUTCOME:
            digest.update(repr(self._outcomes.get(name.source)).encode())
        if name.type == "Schedule":
            answered = self._snapshot.answered_at.tobytes()
            digest.update(answered + self._of_sources.has_times.tobytes())
            digest.update(self._snapshot.offered.tobytes())
        return Contents(
            # The layout changes with the directory, too.
            key=(self._snapshot.layout, digest.digest()),
            pieces=_pieces(map(line, self._resources[name.type](name.source))),
        )

    def _output(self, name: FileName) -> dict[str, Any]:
        extension: dict[str, Any] = {"source": self._vocabulary.source(name.source)}
        if name.source in self._states:
            extension["state"] = self._states[name.source]
        if name.week is not None:
            extension["week"] = week_text(name.week)
        return {
            "type": name.type,
            "url": f"{self._url}/{name.text}",
            "extension": extension,
        }

    def _find_files(self) -> Iterator[FileName]:
        index = self._snapshot.index
        for source in sorted(index.sources):
            for type_ in TYPES:
                yield FileName(type_, source)
        segments = [each for each in self._snapshot.segments.values() if len(each)]
        if not segments:
            return
        last = max(each.start_of(len(each) - 1) for each in segments)
        week = civil_date(self.moment)
        week -= timedelta(days=week.weekday())
        while epoch_seconds(at_start_of_day(week)) <= last:
            found = np.zeros(len(index.sources) + 1, dtype=np.bool_)
            for columns in segments:
                found[self._sources(columns, *self._bounds(columns, week))] = True
            numbers: list[int] = np.flatnonzero(found[:-1]).tolist()
            for number in numbers:
                yield FileName(SLOT, index.sources[number], week)
            week += _WEEK

    def _bounds(self, columns: SlotColumns, week: date) -> tuple[int, int]:
        return columns.bounds(
            max(self._start, epoch_seconds(at_start_of_day(week))),
            epoch_seconds(at_start_of_day(week + _WEEK)),
        )

    def _sources(
        self, columns: SlotColumns, first: int, last: int
    ) -> npt.NDArray[np.int32]:
        """Return the number of the source of each row; -1 for one that is no more."""
        offering = self._snapshot.schedules.offering[columns.schedule[first:last]]
        return self._snapshot.index.source_of[offering]

    def _slots(self, source: SourceName, week: date) -> Contents:
        number = self._snapshot.index.source_number(source)
        parts: list[SlotColumns] = []
        for columns in self._snapshot.segments.values():
            first, last = self._bounds(columns, week)
            rows = first + np.flatnonzero(self._sources(columns, first, last) == number)
            parts.append(
                SlotColumns(
                    order=columns.order[rows],
                    length=columns.length[rows],
                    schedule=columns.schedule[rows],
                    count=columns.count[rows],
                )
            )
        if not parts:
            return Contents(key=None, pieces=())
        order = np.concatenate([each.order for each in parts])
        length = np.concatenate([each.length for each in parts])
        schedule = np.concatenate([each.schedule for each in parts])
        count = np.concatenate([each.count for each in parts])
        by_order = np.lexsort((length, order))
        rows_of_all = SlotColumns(
            order=order[by_order],
            length=length[by_order],
            schedule=schedule[by_order],
            count=count[by_order],
        )
        offering = self._snapshot.schedules.offering[rows_of_all.schedule]
        answered_at = self._snapshot.answered_at[offering]
        digest = hashlib.blake2b(digest_size=16)
        for column in (
            *(rows_of_all.order, rows_of_all.length, rows_of_all.schedule),
            *(rows_of_all.count, answered_at),
        ):
            digest.update(column.tobytes())
        return Contents(
            key=(self._snapshot.layout, digest.digest()),
            pieces=self._slot_pieces(rows_of_all),
        )

    def _slot_pieces(self, rows: SlotColumns) -> Iterator[bytes]:
        index, schedules = self._snapshot.index, self._snapshot.schedules
        templates: dict[int, ResourceTemplate] = {}
        phones: dict[int, bytes] = {}
        for first in range(0, len(rows), _SLOTS_A_PIECE):
            some = slice(first, first + _SLOTS_A_PIECE)
            schedule = rows.schedule[some]
            offering = schedules.offering[schedule]
            units = index.unit_of[offering].tolist()
            kinds = index.kinds_of(offering.tolist())
            for kind in set(kinds) - templates.keys():
                templates[kind] = self._lines.template(*index.kinds[kind])
            for unit in set(units) - phones.keys():
                phone = index.unit(unit).phone
                phones[unit] = in_quotes(phone) if phone else b""
            yield self._lines.rendered(
                zip(
                    map(templates.__getitem__, kinds),
                    schedules.tokens(schedule.tolist()),
                    self._snapshot.answered_at[offering].tolist(),
                    rows.start[some].tolist(),
                    rows.length[some].tolist(),
                    rows.count[some].tolist(),
                    map(phones.__getitem__, units),
                    strict=True,
                )
            )

    def _errors(self, source: SourceName) -> Iterator[dict[str, Any]]:
        for outcome in self._outcomes.get(source, ()):
            yield operation_outcome([issue_from_source_outcome(outcome)])


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines, some together."""
    lines = iter(lines)
    while some := b"".join(islice(lines, _RESOURCES_A_PIECE)):
        yield some
