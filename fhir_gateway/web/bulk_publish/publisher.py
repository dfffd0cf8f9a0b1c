"""
The publisher: makes the next publication when something has changed.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from fhir_gateway.model.timekeeping import Clock, now
from fhir_gateway.services.feed.feed_files import Contents, FeedFile, FeedFiles
from fhir_gateway.services.search.slot_search import EverythingFree, SlotSearch
from fhir_gateway.web.bulk_publish.file_name import FileName
from fhir_gateway.web.bulk_publish.publication import Publication

__all__ = ["PUBLISHED_EVERY", "Publisher"]

PUBLISHED_EVERY: Final = timedelta(minutes=1)
"""How often there is a new publication at most: the guide has no client ask oftener."""


class Publisher:
    """
    Publishes what is free.

    Args:
        search: Knows it.
        files: Keeps the files.
        publication: Makes a publication of what is free.
        clock: Returns the time.
    """

    def __init__(
        self,
        search: SlotSearch,
        files: FeedFiles,
        publication: Callable[[EverythingFree], Publication],
        *,
        clock: Clock = now,
    ) -> None:
        self._search = search
        self._files = files
        self._publication = publication
        self._clock = clock
        self._lock = threading.Lock()
        self._present: Publication | None = None
        self._number = 0

    def present(self) -> Publication:
        """Return the present publication: never older than a minute, if out of date."""
        return self._numbered()[1]

    def file(self, name: FileName) -> FeedFile | None:
        """
        Return a file of the present publication; None when it has no such file.

        Raises:
            GatewayError: As `FeedFiles.get`.
        """
        number, publication = self._numbered()
        if not publication.has(name):
            return None

        def contents() -> Contents:
            return publication.contents(name)

        return self._files.get(name.text, number, contents)

    def _numbered(self) -> tuple[int, Publication]:
        with self._lock:
            present = self._present
            if present is None or self._is_out_of_date(present):
                present = self._present = self._publication(self._search.everything())
                self._number += 1
                self._files.keep_only(
                    each.text for each in (*present.files, *present.errors)
                )
            return self._number, present

    def _is_out_of_date(self, present: Publication) -> bool:
        return self._clock() - present.moment >= PUBLISHED_EVERY and not (
            self._search.still_holds(present.version, present.until)
        )
