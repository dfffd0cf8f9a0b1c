"""
The commands: `fhir-gateway --help`.

Each command is short; together they have over 400 lines, most of them help texts.
"""

import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn, TypedDict, Unpack

import click
import orjson
import structlog
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from fhir_gateway import VERSION, wsgi
from fhir_gateway.bootstrap import program
from fhir_gateway.configured_files import (
    WrongFiles,
    read_engagement_index,
    read_issuers,
    read_log_service,
    read_service_catalogues,
    read_sources,
    read_standard_time_types,
)
from fhir_gateway.configured_stores import (
    check_redis,
    embedded_redis,
    existing_audit,
    existing_index_outbox,
    existing_journal,
    existing_outbox,
    existing_statistics,
    running_redis,
)
from fhir_gateway.demo import DemoFailed, run_demo
from fhir_gateway.fhir.implementation_guide import package
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.http_server import serve_http
from fhir_gateway.listening import free_socket, listening_address
from fhir_gateway.log import configure_logging
from fhir_gateway.model.errors import Conflict, NotFound
from fhir_gateway.model.ids import SourceName
from fhir_gateway.model.loss import Loss
from fhir_gateway.model.month import Month
from fhir_gateway.model.private_file import is_open_to_others
from fhir_gateway.model.timekeeping import instant_text, now
from fhir_gateway.report.page import report_page
from fhir_gateway.report.tables import report_json, report_tables, rich_table
from fhir_gateway.report_table import report_json as check_json
from fhir_gateway.report_table import report_tables as check_tables
from fhir_gateway.sandbox.catalogue import DEFAULT_SLOTS, regions
from fhir_gateway.sandbox.server import SandboxServer
from fhir_gateway.sandbox_sources import (
    write_issuers,
    write_log_service,
    write_sources,
    write_time_types_map,
)
from fhir_gateway.services.booking.manual_settlement import settle_by_hand
from fhir_gateway.services.source.source_check import check_source
from fhir_gateway.services.source.source_overview import SourceOverview, SourceState
from fhir_gateway.services.statistics.statistics import (
    BOOKINGS,
    COVERAGE,
    Statistics,
)
from fhir_gateway.services.statistics.summary import Subject
from fhir_gateway.settings import (
    ENVIRONMENT,
    Settings,
    WrongSettings,
    service_links,
)
from fhir_gateway.source_table import overview_json, overview_tables
from fhir_gateway.start_fault import CANNOT_RUN, start_fault
from fhir_gateway.stores.audit import Link, verify
from fhir_gateway.stores.index_outbox import IndexOutbox
from fhir_gateway.stores.sightings import RedisSightings
from fhir_gateway.stores.slot_store import RedisSlotStore
from fhir_gateway.worker import run_side_by_side

__all__ = ["main"]

_log = structlog.get_logger()

_NOT_WELL: Final = 3
# The age of a log entry that says that its delivery is not well.
_LATE: Final = timedelta(minutes=15)
# What a shell reports of a program that Ctrl-C ended.
_INTERRUPTED: Final = 130
_WAKES_EVERY_S: Final = 1.0
_MONTHS_OF_REPORT: Final = 12
_MOST_MONTHS: Final = 120
_SLOTS: Final = click.IntRange(1, 10_000_000)

_EPILOG = "\n\n".join(
    [
        "\b\nEnvironment:",
        *(f"\b\n{name}\n    {what}" for name, what in ENVIRONMENT.items()),
        (
            "\b\nExit codes:\n    0 done; 1 something failed; 2 wrong configuration;"
            "\n    3 a source, or the delivery of log entries, is not well;"
            "\n    130 interrupted by Ctrl-C"
        ),
    ]
)


class _Commands(click.Group):
    """Commands that Ctrl-C ends without a message, also while they wait."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click declares it
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"max_content_width": 88})
@click.version_option(VERSION)
def main() -> None:
    """
    Serve the regions' free times as FHIR R4, and book them.

    A gateway is two kinds of process: `serve` answers FHIR clients, `worker` asks the
    regions. `demo` runs both against simulated regions.
    """
    configure_logging()


@main.command()
@click.option(
    "--open-demo",
    is_flag=True,
    help="Ask nobody for an access token, and listen on loopback only.",
)
def serve(*, open_demo: bool) -> None:
    """
    Answer FHIR clients.

    Without --open-demo it needs FHIR_GATEWAY_ISSUERS.
    """
    if open_demo:
        # The web processes read it too.
        os.environ["FHIR_GATEWAY_OPEN_DEMO"] = "yes"
    settings = _settings(with_sources=True, serves=True)
    _keep_private(settings)
    with _explain_failures(settings):
        address = _address(settings)
        with embedded_redis(settings) as redis_url:
            check_redis(redis_url)
            # Any fault stops the start here, before the first process starts.
            with program(settings, redis_url):
                os.environ["REDIS_URL"] = redis_url
            if settings.open_demo:
                _log.warning("open demo without access control", host=settings.host)
            serve_http(replace(settings, host=address), wsgi.running)


@main.command()
def worker() -> None:
    """
    Ask the regions for free times, and find out the outcomes of unsettled bookings.
    """
    settings = _settings(with_sources=True)
    _keep_private(settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        _explain_failures(settings),
        embedded_redis(settings) as redis_url,
        program(settings, check_redis(redis_url)) as made,
    ):
        # Reconciliation looks units up in the directory.
        made.view.start()
        try:
            parts = {
                "refresh": made.share.run,
                "reconciliation": made.reconciliation.run,
                "housekeeping": made.housekeeping.run,
                "service catalogues": made.catalogue_refresh.run,
            }
            if made.log_delivery is not None:
                parts["log delivery"] = made.log_delivery.run
            if made.index.delivery is not None and made.index.upkeep is not None:
                parts["index delivery"] = made.index.delivery.run
                parts["index upkeep"] = made.index.upkeep.run
            run_side_by_side(parts, stop)
        finally:
            made.view.stop()


@main.command()
@click.option(
    "--slots",
    type=_SLOTS,
    default=DEFAULT_SLOTS,
    show_default=True,
    help="About how many free times all regions have together.",
)
@click.option("--seed", default=1, show_default=True, help="Other times, same units.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
def sandbox(slots: int, seed: int, host: str) -> None:
    """Run simulated regions: real SOAP, ledgers and fault rules."""
    settings = _settings()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    port = settings.sandbox_port
    with _explain_failures(settings):
        address = listening_address(
            host, port, host_name="--host", port_name="SANDBOX_PORT"
        )
        server = SandboxServer(
            address, port, slots=slots, seed=seed, audience=settings.base_url
        )
    with server:
        click.echo(f"regions at {server.url}, issuer {server.issuer}")
        # A signal that another thread gets is handled when this one wakes.
        while not stop.wait(_WAKES_EVERY_S):
            pass


def _http_url(_: click.Context, __: click.Parameter, url: str) -> str:
    """Return a URL that HTTP can ask."""
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", url):
        raise click.BadParameter("give it as http://host:port")
    return url.rstrip("/")


@main.command("profiles-package")
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write, such as package.tgz.",
)
def profiles_package(file: Path) -> None:
    """Write the package of the profiles, which FHIR tools install."""
    settings = _settings()
    with _explain_failures(settings):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(package(Vocabulary(settings.canonical_base)))
        click.echo(f"{file}: the profiles, for FHIR tools")


@main.command("sandbox-sources")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to write into.",
)
@click.option(
    "--sandbox-url",
    default="http://127.0.0.1:8090",
    show_default=True,
    callback=_http_url,
    help="Where the sandbox listens.",
)
@click.option("--slots", type=_SLOTS, default=DEFAULT_SLOTS, show_default=True)
@click.option("--maps-only", is_flag=True, help="Write the ConceptMaps alone.")
def sandbox_sources(
    folder: Path, sandbox_url: str, slots: int, *, maps_only: bool
) -> None:
    """Write the files of sources, issuers and so on that fit the sandbox."""
    settings = _settings()
    vocabulary = Vocabulary(settings.canonical_base)
    with _explain_failures(settings):
        if not maps_only:
            click.echo(write_sources(folder, sandbox_url, slots, vocabulary))
            click.echo(write_log_service(folder, sandbox_url))
            click.echo(write_issuers(folder, sandbox_url, settings.base_url))
            return
        for region in regions(slots):
            click.echo(write_time_types_map(folder, region, vocabulary))


@main.command()
@click.option(
    "--slots",
    type=_SLOTS,
    default=DEFAULT_SLOTS,
    show_default=True,
    help="About how many free times all regions have together.",
)
def demo(slots: int) -> None:
    """Run a gateway, a worker and simulated regions until Ctrl-C."""
    settings = _settings()
    _keep_private(settings)
    with _explain_failures(settings):
        try:
            run_demo(settings, slots=slots, say=click.echo)
        except DemoFailed as error:
            _fail([str(error)], CANNOT_RUN)


@main.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def sources(context: click.Context, *, as_json: bool) -> None:
    """
    Show the state of the configured sources, as their workers last reported it.

    Exits with 3 when any source is not well.
    """
    if context.invoked_subcommand is not None:
        return
    settings = _settings(with_sources=True)
    overviews = []
    with _explain_failures(settings):
        configured, _ = read_sources(
            settings.sources, Vocabulary(settings.canonical_base)
        )
        store = RedisSlotStore(check_redis(running_redis(settings)))
        sightings = RedisSightings(store.client)
        moment = now()
        for each in configured:
            each.adapter.close()
            overviews.append(
                SourceOverview(
                    source=each.source,
                    status=store.status(each.source.name),
                    moment=moment,
                    live_losses=(
                        _live_losses(store, each.source.name)
                        if each.source.is_live
                        else ()
                    ),
                    live=(
                        sightings.live(each.source.name)
                        if each.source.is_live
                        else None
                    ),
                    resident_losses=sightings.losses(each.source.name),
                )
            )
        store.close()
    if as_json:
        click.echo(orjson.dumps([overview_json(each) for each in overviews]))
    else:
        console = Console()
        for table in overview_tables(overviews):
            console.print(table)
    if any(each.state is not SourceState.WELL for each in overviews):
        sys.exit(_NOT_WELL)


@sources.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(*, as_json: bool) -> None:
    """
    Ask every unit for its free times, as the worker does; list all faults.

    It calls each contract that needs no resident at each unit, and asks for the days
    and times of one time type. Exits with 1 when a call had no answer, or an answer
    breaks the contract. The report quotes a source's own fault texts, which may name
    somebody: read them before you pass them on.
    """
    settings = _settings(with_sources=True)
    with _explain_failures(settings):
        configured, meanings = read_sources(
            settings.sources, Vocabulary(settings.canonical_base)
        )
    pause = threading.Event()
    reports = []
    with Progress(
        console=Console(stderr=True), disable=not sys.stderr.isatty()
    ) as progress:
        for each in configured:
            task = progress.add_task(each.source.name, total=None)

            def asked(units: int, of: int, task: TaskID = task) -> None:
                progress.update(task, completed=units, total=of)

            reports.append(
                check_source(
                    each.source,
                    each.adapter,
                    meanings,
                    others=tuple(
                        other.source for other in configured if other is not each
                    ),
                    pause=pause.wait,
                    progress=asked,
                )
            )
            each.adapter.close()
    if as_json:
        click.echo(orjson.dumps([check_json(report) for report in reports]))
    else:
        console = Console()
        for table in check_tables(reports):
            console.print(table)
    if not all(report.is_well for report in reports):
        sys.exit(1)


@main.group()
def journal() -> None:
    """Read the journal of bookings, and seal it anew."""


@journal.command()
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=30,
    show_default=True,
    help="How far back to look.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def alarms(days: int, *, as_json: bool) -> None:
    """
    List the writes that are flagged for manual follow-up.

    docs/booking.md says what each alarm means and what to do about it. The list shows
    no personal data.
    """
    settings = _settings()
    with _explain_failures(settings), existing_journal(settings) as opened:
        found = opened.outcomes.list_alarms(since=now() - timedelta(days=days))
    rows = [
        {
            "alarm": intent.alarm.value if intent.alarm else None,
            "booking": record.id,
            "source": record.source,
            "unit": record.timeslot.schedule.unit,
            "write": intent.kind.value,
            "state": intent.state.value,
            "sent": instant_text(intent.sent_at) if intent.sent_at else None,
        }
        for record, intent in found
    ]
    if as_json:
        click.echo(orjson.dumps(rows))
        return
    table = Table(title="Alarms")
    for heading in ("alarm", "booking", "source", "unit", "write", "state", "sent"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(value or "" for value in row.values()))
    Console().print(table)


@journal.command()
@click.argument("booking")
@click.option("--done", is_flag=True, help="The unit states that it was done.")
@click.option("--not-done", is_flag=True, help="The unit states that it was not done.")
def settle(booking: str, *, done: bool, not_done: bool) -> None:
    """
    Record the outcome of a write that only its unit knows.

    BOOKING is the Appointment's id, as in `alarms`. Ask the unit first: clients show
    the resident what you state here.
    """
    if done is not_done:
        raise click.UsageError("Give --done or --not-done, and one of them only.")
    settings = _settings()
    with _explain_failures(settings), existing_journal(settings) as opened:
        try:
            record = settle_by_hand(opened, booking, done=done)
        except (NotFound, Conflict) as error:
            _fail([str(error)], CANNOT_RUN)
    click.echo(f"{record.id} is {record.state.value}.")


@journal.command()
def reseal() -> None:
    """
    Seal all personal data with the newest key; then you can remove the older keys.

    First add the new key and restart every process. The gateway goes on meanwhile; you
    can interrupt this command and start it again.
    """
    settings = _settings()
    with (
        _explain_failures(settings),
        existing_journal(settings) as opened,
        existing_audit(settings) as trail,
        Progress(console=Console(stderr=True)) as progress,
    ):
        total = opened.upkeep.count_sealed_rows() + trail.upkeep.count()
        task = progress.add_task("Resealing", total=total)
        resealed = sum(opened.upkeep.seal_booking_ids())
        for rows, changed in chain(opened.upkeep.reseal(), trail.upkeep.reseal()):
            resealed += changed
            progress.advance(task, rows)
    click.echo(f"{resealed} rows were sealed anew.")


class _MonthType(click.ParamType[Month]):
    """A month, like 2026-11."""

    name = "YYYY-MM"

    def convert(
        self,
        value: str | Month,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Month:
        """Return the month."""
        if isinstance(value, Month):
            return value
        try:
            return Month.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_MONTH: Final = _MonthType()
_OPTIONS_OF_REPORTS: Final = (
    click.option("--month", type=_MONTH, help="This month alone."),
    click.option("--from", "first", type=_MONTH, help="The first month."),
    click.option("--to", "last", type=_MONTH, help="The last month."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON, not tables."),
    click.option(
        "--html",
        "page",
        type=click.Path(path_type=Path, dir_okay=False, writable=True),
        help="Write a page with charts to this file; it needs nothing else.",
    ),
)


class _ReportOptions(TypedDict):
    """The values of those options."""

    month: Month | None
    first: Month | None
    last: Month | None
    as_json: bool
    page: Path | None


def _with_options_of_reports(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS_OF_REPORTS):
        command = option(command)
    return command


@main.group()
def report() -> None:
    """
    Count what this server did for residents, without showing any of them.

    Counts under five are hidden ("hidden", null in JSON), and so are others that would
    give them away; "≥" marks a sum in which a hidden count is missing. docs/reports.md
    explains each number. Without --month, --from and --to a report has this month and
    the eleven before it.
    """


@report.command("bookings")
@_with_options_of_reports
def report_bookings(**options: Unpack[_ReportOptions]) -> None:
    r"""
    Bookings, moves, cancellations and refusals.

    By month, source, unit, standard time type, channel (the client that asked), and the
    days from the booking to the visit.

    \b
    fhir-gateway report bookings --month 2026-11
    fhir-gateway report bookings --from 2026-01 --to 2026-06 --html report.html
    """
    _report(BOOKINGS, **options)


@report.command("coverage")
@_with_options_of_reports
def report_coverage(**options: Unpack[_ReportOptions]) -> None:
    r"""
    How much of residents' lists each way finds, and why not.

    For each source: the bookings that both ways found, those that only the aggregating
    service or only the source itself listed, and why the other way did not.

    \b
    fhir-gateway report coverage --json
    fhir-gateway report coverage --html coverage.html
    """
    _report(COVERAGE, **options)


def _months(
    month: Month | None, first: Month | None, last: Month | None
) -> tuple[Month, ...]:
    """Return the months that the options name."""
    if month is not None and (first is not None or last is not None):
        raise click.UsageError("Give --month, or --from and --to.")
    last = month or last or Month.of(now())
    first = month or first or last.plus(1 - _MONTHS_OF_REPORT)
    if not first <= last < first.plus(_MOST_MONTHS):
        raise click.UsageError(
            "The last month must not be before the first one, and a report has"
            f" {_MOST_MONTHS} months at most."
        )
    return tuple(first.until(last))


def _report(subject: Subject, **options: Unpack[_ReportOptions]) -> None:
    as_json, page = options["as_json"], options["page"]
    if as_json and page is not None:
        raise click.UsageError("Give --json or --html, and one of them only.")
    months = _months(options["month"], options["first"], options["last"])
    settings = _settings(with_sources=True)
    with _explain_failures(settings), existing_statistics(settings) as counts:
        configured, meanings = read_sources(
            settings.sources, Vocabulary(settings.canonical_base)
        )
        for each in configured:
            each.adapter.close()
        bookings, coverage = counts
        summary = Statistics(bookings.of_month, coverage.of_month, meanings).summary(
            subject, months
        )
        if page is not None:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(report_page(summary), encoding="utf-8")
    if page is not None:
        click.echo(f"{page}: {subject.title.lower()}, {summary.period}")
        return
    if as_json:
        click.echo(orjson.dumps(report_json(summary)))
        return
    if summary.is_empty:
        click.echo(f"Nothing was counted in {summary.period}.")
        return
    console = Console()
    for table in report_tables(summary):
        if table.rows:
            console.print(rich_table(table))


def _keep_private(settings: Settings) -> None:
    """Let others read nothing that this process writes, a core dump included."""
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    folder = settings.data_dir
    if is_open_to_others(folder):
        _log.warning("data folder is open to others", folder=str(folder.resolve()))


def _address(settings: Settings) -> str:
    """Return where to listen: an address, or the socket as it is configured."""
    if settings.socket is not None:
        free_socket(settings.socket, name="FHIR_GATEWAY_HOST")
        return settings.host
    return listening_address(
        settings.host, settings.port, host_name="FHIR_GATEWAY_HOST", port_name="PORT"
    )


@main.group()
def audit() -> None:
    """Check what is recorded of each access to a resident's data."""


@audit.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def outbox(*, as_json: bool) -> None:
    """
    Show how many log entries of staff access wait for the log service.

    Exits with 3 when the service refused an entry for good, or one has waited longer
    than 15 minutes. The numbers name nobody.
    """
    settings = _settings()
    with _explain_failures(settings), existing_outbox(settings) as opened:
        state = opened.state()
    oldest_s = None if state.oldest is None else int(state.oldest.total_seconds())
    refused = {result.value: count for result, count in state.refused.items()}
    if as_json:
        click.echo(
            orjson.dumps(
                {"waiting": state.waiting, "oldest_s": oldest_s, "refused": refused}
            )
        )
    else:
        click.echo(
            f"{state.waiting} log entries wait"
            + ("." if oldest_s is None else f", the oldest for {oldest_s} s.")
        )
        for result, count in sorted(refused.items()):
            click.echo(f"{count} were refused for good ({result}).")
    if refused or (state.oldest is not None and state.oldest > _LATE):
        sys.exit(_NOT_WELL)


@audit.command()
def resend() -> None:
    """
    Send the log entries again that the log service refused for good.

    First remove the reason: docs/running.md says what each result means.
    """
    settings = _settings()
    with _explain_failures(settings), existing_outbox(settings) as opened:
        count = opened.retry_refused()
    click.echo(f"{count} log entries will be sent again.")


@main.group()
def index() -> None:
    """Check what the engagement index has still to learn of our bookings."""


@contextmanager
def _index_outbox(settings: Settings) -> Iterator[IndexOutbox]:
    configured, _ = read_sources(
        settings.sources, Vocabulary(settings.canonical_base), is_rehearsal=True
    )
    for each in configured:
        each.adapter.close()
    with existing_index_outbox(
        settings, [each.source for each in configured]
    ) as opened:
        yield opened


@index.command("outbox")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def index_outbox(*, as_json: bool) -> None:
    """
    Show how many bookings wait for the engagement index.

    Exits with 3 when the index refused a booking's posts for good, or one has failed
    for longer than 15 minutes. The numbers name nobody.
    """
    settings = _settings(with_sources=True)
    with _explain_failures(settings), _index_outbox(settings) as opened:
        state = opened.state()
    failing_s = (
        None if state.failing_for is None else int(state.failing_for.total_seconds())
    )
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "waiting": state.waiting,
                    "failing_s": failing_s,
                    "refused": state.refused,
                }
            )
        )
    else:
        click.echo(
            f"{state.waiting} bookings wait for the engagement index"
            + ("." if failing_s is None else f"; it has failed for {failing_s} s.")
        )
        if state.refused:
            click.echo(f"{state.refused} were refused for good.")
    if state.refused or (state.failing_for is not None and state.failing_for > _LATE):
        sys.exit(_NOT_WELL)


@index.command("resend")
def index_resend() -> None:
    """
    Send the posts again that the engagement index refused for good.

    First remove the reason: docs/engagement-index.md says how.
    """
    settings = _settings(with_sources=True)
    with _explain_failures(settings), _index_outbox(settings) as opened:
        count = opened.retry_refused()
    click.echo(f"The posts of {count} bookings will be sent again.")


@audit.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a text.")
@click.option(
    "--expect",
    metavar="HEAD",
    help="The head of an earlier run, or of the worker's log.",
)
def verify_audit(expect: str | None, *, as_json: bool) -> None:
    """
    Walk the chain of audit rows, and name the first broken row.

    Exits with 1 when somebody changed, removed, moved or added a row. With --expect it
    also finds that somebody emptied the trail, or put back an older state of the whole
    database. Servers can run meanwhile. The report shows no person.
    """
    expected = None
    if expect is not None:
        try:
            expected = Link.parse(expect)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--expect") from error
    settings = _settings()
    with (
        _explain_failures(settings),
        existing_audit(settings) as trail,
        Progress(
            console=Console(stderr=True), disable=not sys.stderr.isatty()
        ) as progress,
    ):
        task = progress.add_task("Verifying", total=None)
        found = verify(
            trail.database,
            trail.seal,
            expected=expected,
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    fault = found.fault
    if as_json:
        click.echo(
            orjson.dumps(
                {
                    "holds": fault is None,
                    "rows": found.rows,
                    "start": str(found.start),
                    "head": str(found.head),
                    "broken_row": None if fault is None else fault.sequence,
                    "fault": None if fault is None else fault.text,
                }
            )
        )
    else:
        click.echo(f"{found.rows} rows are in order, up to {found.head}.")
        if fault is None and not found.head.sequence and expected is None:
            click.echo(
                "The trail is empty: nothing was recorded yet, or somebody emptied it."
                " --expect with a head of the worker's log distinguishes these."
            )
        if fault is not None:
            where = "An anchor" if fault.sequence is None else f"Row {fault.sequence}"
            click.echo(f"{where}: {fault.text}. See docs/running.md.")
    if fault is not None:
        sys.exit(CANNOT_RUN)


@audit.command("mend")
def mend_audit() -> None:
    """
    Sign new anchors, where somebody changed them and the gateway answers 503.

    First keep a copy of the database, as evidence. The chain goes on with a row that
    says so; `verify` still names broken rows before it.
    """
    settings = _settings()
    with _explain_failures(settings), existing_audit(settings) as trail:
        head = trail.upkeep.mend_anchors()
    click.echo(f"The audit trail goes on after {head}.")


def _live_losses(store: RedisSlotStore, source: SourceName) -> tuple[Loss, ...]:
    """Return the losses that searches reported of a live source's last answers."""
    keys = [key for key in store.block_keys() if key.source == source]
    blocks = (block for block in store.blocks(keys) if block is not None)
    return tuple(loss for block in blocks for loss in block.losses)


def _settings(*, with_sources: bool = False, serves: bool = False) -> Settings:
    """
    Return the settings of the environment, or end with every fault in them.

    Args:
        with_sources: Check the file of sources too.
        serves: Check whether it would be unsafe to serve.
    """
    with _explain_failures(None):
        return _settings_of_environment(with_sources=with_sources, serves=serves)


def _settings_of_environment(*, with_sources: bool, serves: bool) -> Settings:
    faults: list[str] = []
    settings = None
    if links := service_links(os.environ):
        _log.info("service links ignored", variables=links)
    try:
        settings = Settings.from_environment(os.environ)
    except WrongSettings as error:
        faults.extend(error.faults)
    if settings is not None and serves:
        faults.extend(settings.serving_faults())
    if with_sources:
        # With a wrong canonical base every ConceptMap would look wrong too.
        with suppress(WrongSettings):
            faults.extend(_faults_of_files())
    if settings is None or faults:
        fault = start_fault(WrongSettings(faults), None)
        _fail(fault.lines, fault.exit_code)
    return settings


def _faults_of_files() -> tuple[str, ...]:
    named = (
        "FHIR_GATEWAY_SOURCES",
        "FHIR_GATEWAY_STANDARD_TIME_TYPES",
        "FHIR_GATEWAY_ISSUERS",
        "FHIR_GATEWAY_LOG_SERVICE",
        "FHIR_GATEWAY_ENGAGEMENT_INDEX",
        "FHIR_GATEWAY_CANONICAL_BASE",
    )
    settings = Settings.from_environment(
        {name: os.environ[name] for name in named if name in os.environ}
        # A wrong data folder is another fault.
        | {"FHIR_GATEWAY_DATA_DIR": os.sep}
    )
    faults: list[str] = []
    try:
        read_standard_time_types(settings.standard_time_types)
    except WrongFiles as error:
        faults.extend(error.faults)
    try:
        configured, _ = read_sources(
            settings.sources, Vocabulary(settings.canonical_base), is_rehearsal=True
        )
        for each in configured:
            each.adapter.close()
        read_engagement_index(settings.engagement_index, configured)
        read_service_catalogues(settings.sources, configured)
    except WrongFiles as error:
        faults.extend(error.faults)
    issuers = None
    if settings.issuers is not None:
        try:
            issuers = read_issuers(settings.issuers, audience=settings.base_url)
        except WrongFiles as error:
            faults.extend(error.faults)
    try:
        read_log_service(settings.log_service, issuers)
    except WrongFiles as error:
        faults.extend(error.faults)
    return tuple(faults)


@contextmanager
def _explain_failures(settings: Settings | None) -> Iterator[None]:
    """Print an error that stops a command as lines, and exit with its code."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - a traceback may quote a secret
        fault = start_fault(error, settings)
        _fail(fault.lines, fault.exit_code)


def _fail(lines: Sequence[str], code: int) -> NoReturn:
    for line in lines:
        click.echo(f"fhir-gateway: {line}", err=True)
    sys.exit(code)
