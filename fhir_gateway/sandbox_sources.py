"""
The sandbox as what surrounds a gateway: its regions as sources, its issuer, its log.
"""

from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Final

import orjson

from fhir_gateway.fhir.concept_map import concept_map_from_meanings
from fhir_gateway.fhir.vocabulary import Vocabulary
from fhir_gateway.model.ids import HsaId
from fhir_gateway.model.timeslot import StandardTimeType, TimeType
from fhir_gateway.sandbox.catalogue import SandboxRegion, regions
from fhir_gateway.sandbox.issuer.app import PATH
from fhir_gateway.sandbox.platform.engagement_index import INDEX_ADDRESS
from fhir_gateway.sandbox.platform.national import INDEX, PLATFORM
from fhir_gateway.sandbox.platform.notifier import NOTIFIER
from fhir_gateway.sandbox.server import LOG_RECEIVER

__all__ = [
    "COVID_VACCINATION",
    "SYSTEM_ID",
    "sources_toml",
    "time_types_map",
    "write_engagement_index",
    "write_issuers",
    "write_log_service",
    "write_sources",
    "write_time_types_map",
]

COVID_VACCINATION: Final = StandardTimeType(
    code="72791000052103", display="vaccination mot covid-19"
)

_MAP_VERSION: Final = "0.1.0"
_MAP_DATE: Final = "2026-11-23"
# Skatteverket's test number for Tolvan Tolvansson.
_REFRESH_SUBJECT: Final = "191212121212"
SYSTEM_ID: Final = "SE2321009900-GATEWAY"
"""The gateway's HSA-id: in each log entry, and for notifications."""


def time_types_map(region: SandboxRegion, vocabulary: Vocabulary) -> dict[str, object]:
    """Return the ConceptMap of a sandbox region's time types."""
    return concept_map_from_meanings(
        f"time-types-{region.name}",
        f"Time types of {region.title}",
        _mapped_time_types(region),
        version=_MAP_VERSION,
        date=_MAP_DATE,
        vocabulary=vocabulary,
    )


def sources_toml(
    described: Iterable[SandboxRegion],
    sandbox_url: str,
    map_path: Callable[[SandboxRegion], str],
    *,
    indexed: Container[str] = (),
    is_behind_platform: bool = False,
) -> str:
    """
    Return the file of sources that makes sandbox regions sources of a gateway.

    Args:
        described: The regions.
        sandbox_url: Where the sandbox listens.
        map_path: Where the ConceptMap of a region's time types is.
        indexed: The regions that leave the engagement index to the gateway.
        is_behind_platform: The gateway reaches them through the sandbox's national
            platform, and asks its aggregating service and its service catalogue.
    """
    tables = [
        "# The sandbox's simulated regions, as sources. See docs/configuration.md.\n"
    ]
    for region in described:
        lines: list[tuple[str, object]] = [
            ("adapter", "scheduling_1_1"),
            ("title", region.title),
            ("county", str(region.county)),
            ("prefixes", [region.hsa_prefix]),
            ("agent", str(region.agent)),
            ("refresh_subject", _REFRESH_SUBJECT),
            ("time_types", map_path(region)),
            # The sandbox has no limit on calls; a region has one.
            ("calls_per_second", 20),
            ("calls_in_flight", 4),
        ]
        if region.aggregated_address is not None and not is_behind_platform:
            lines.append(("schedule_address", str(region.aggregated_address)))
        if region.name == "mitt":
            # The TakeCare adapter cuts off a longer reason silently.
            lines.append(("reason_limit", 300))
        tables.append(f"[sources.{region.name}]\n" + _settings(lines))
        options: list[tuple[str, object]] = [
            ("endpoint", f"{sandbox_url}/rivta/{region.name}")
        ]
        if is_behind_platform:
            options = [
                ("endpoint", f"{sandbox_url}/rivta/{PLATFORM}"),
                ("consumer", SYSTEM_ID),
            ]
        if region.name == "mitt":
            # TakeCare answers refusals as faults: "resultCode: 3010 resultText: …".
            options.append(("refusal_faults", ["^resultCode: 30[0-9]{2} "]))
        tables.append(f"[sources.{region.name}.options]\n" + _settings(options))
        if region.name in indexed:
            tables.append(
                f"[sources.{region.name}.engagement_index]\n"
                + _settings(
                    [
                        ("source_system", f"{region.hsa_prefix}SYSTEM"),
                        ("data_controller", region.hsa_prefix.rstrip("-")),
                    ]
                )
            )
        for sandbox_unit in region.units:
            unit = sandbox_unit.care_unit
            fields: list[tuple[str, object]] = [
                ("hsa_id", str(unit.hsa_id)),
                ("name", unit.name),
            ]
            fields.extend(
                (name, str(value))
                for name in (
                    "organization",
                    "organization_name",
                    "phone",
                    "street",
                    "postal_code",
                    "city",
                )
                if (value := getattr(unit, name)) is not None
            )
            if unit.position is not None:
                fields.append(("latitude", unit.position.latitude))
                fields.append(("longitude", unit.position.longitude))
            tables.append(f"[[sources.{region.name}.units]]\n" + _settings(fields))
    if is_behind_platform:
        tables.extend(_national(sandbox_url))
    return "\n".join(tables)


def write_sources(
    folder: Path,
    sandbox_url: str,
    slots: int,
    vocabulary: Vocabulary,
    *,
    indexed: Container[str] = (),
    is_behind_platform: bool = False,
) -> Path:
    """Write a file of sources and its ConceptMaps; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    described = regions(slots)
    for region in described:
        write_time_types_map(folder, region, vocabulary)
    path = folder / "sources.toml"
    path.write_text(
        sources_toml(
            described,
            sandbox_url,
            lambda region: f"ConceptMap-time-types-{region.name}.json",
            indexed=indexed,
            is_behind_platform=is_behind_platform,
        ),
        encoding="utf-8",
    )
    return path


def write_issuers(folder: Path, sandbox_url: str, audience: str) -> Path:
    """
    Write the file of issuers that trusts the sandbox's issuer; return the file.

    Args:
        folder: Where to write it.
        sandbox_url: Where the sandbox listens.
        audience: The FHIR base of the gateway.
    """
    folder.mkdir(parents=True, exist_ok=True)
    issuer = f"{sandbox_url}{PATH}"
    norr = next(region for region in regions() if region.name == "norr")
    tables: list[tuple[str, list[tuple[str, object]]]] = [
        (
            "issuer",
            [
                ("issuer", issuer),
                ("jwks_uri", f"{issuer}/jwks"),
                ("audience", audience),
                ("roles", ["resident", "staff", "system", "operator"]),
                ("authorization_endpoint", f"{issuer}/authorize"),
                ("token_endpoint", f"{issuer}/token"),
                ("introspection_endpoint", f"{issuer}/introspect"),
            ],
        ),
        (
            "client",
            [
                ("issuer", issuer),
                ("id", "region-norr"),
                ("role", "system"),
                ("units", [norr.hsa_prefix]),
                ("organisation", f"{norr.hsa_prefix}0000"),
            ],
        ),
        ("client", [("issuer", issuer), ("id", "operator"), ("role", "operator")]),
    ]
    path = folder / "issuers.toml"
    path.write_text(
        "# The sandbox's issuer gives anybody a token: trust it in a demo only.\n"
        + "\n".join(f"[[{name}]]\n{_settings(lines)}" for name, lines in tables),
        encoding="utf-8",
    )
    return path


def write_log_service(folder: Path, sandbox_url: str) -> Path:
    """Write the file that makes the sandbox's log service ours; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "log-service.toml"
    path.write_text(
        "# The sandbox's log service. See docs/configuration.md.\n"
        + _settings(
            [
                ("endpoint", f"{sandbox_url}/rivta/{LOG_RECEIVER}"),
                ("system_id", SYSTEM_ID),
                ("system_name", "fhir-gateway"),
            ]
        ),
        encoding="utf-8",
    )
    return path


def write_engagement_index(folder: Path, sandbox_url: str) -> Path:
    """Write the file that makes the sandbox's index ours; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "engagement-index.toml"
    path.write_text(
        "# The sandbox's engagement index. See docs/engagement-index.md.\n"
        + _settings(
            [
                ("endpoint", f"{sandbox_url}/rivta/{INDEX}"),
                ("logical_address", INDEX_ADDRESS),
                ("consumer", SYSTEM_ID),
                ("finds_content", True),
                # A demo shows soon what has changed.
                ("asked_again_after_s", 5),
                ("notified_as", SYSTEM_ID),
                ("notifiers", [NOTIFIER]),
            ]
        ),
        encoding="utf-8",
    )
    return path


def write_time_types_map(
    folder: Path, region: SandboxRegion, vocabulary: Vocabulary
) -> Path:
    """Write the ConceptMap of a region's time types; return the file."""
    path = folder / f"ConceptMap-time-types-{region.name}.json"
    path.write_bytes(
        orjson.dumps(
            time_types_map(region, vocabulary),
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
    )
    return path


def _national(sandbox_url: str) -> Iterable[str]:
    endpoint = ("endpoint", f"{sandbox_url}/rivta/{PLATFORM}")
    consumer = ("consumer", SYSTEM_ID)
    yield "[aggregates.national]\n" + _settings(
        [("title", "Nationella tjänsteplattformen (sandlåda)")]
    )
    yield "[aggregates.national.options]\n" + _settings([endpoint, consumer])
    yield "[service_catalogues.national]\n" + _settings(
        # A demo shows soon what has changed.
        [endpoint, consumer, ("asked_every_s", 10)]
    )


def _mapped_time_types(region: SandboxRegion) -> Iterable[tuple[HsaId, TimeType]]:
    for unit in region.units:
        offered = unit.covid_vaccination
        if offered is not None:
            yield (
                unit.hsa_id,
                TimeType(
                    id=offered.id, name=offered.name, standard=(COVID_VACCINATION,)
                ),
            )


def _settings(lines: Iterable[tuple[str, object]]) -> str:
    # Strings, numbers and lists of strings have the same form in JSON and TOML.
    return "".join(
        f"{name} = {orjson.dumps(value).decode()}\n" for name, value in lines
    )
