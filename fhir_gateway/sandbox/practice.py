"""
The kinds of simulated units, with their staff and their time types.

It is a table, and therefore longer than 400 lines.

A time type has a different name in each region, as in real systems. None has a standard
code: the consumer maps them.
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = [
    "FIRST_NAMES",
    "KINDS",
    "LAST_NAMES",
    "PATTERN",
    "PRACTICES",
    "CareGroup",
    "Kind",
    "OpeningHours",
    "Practice",
    "Staff",
]


class CareGroup(Enum):
    """How norr groups its time types (care types: id and name)."""

    VACCINATION = ("VACC", "Vaccination")
    VISIT = ("BESOK", "Mottagningsbesök")
    SAMPLING = ("PROV", "Provtagning")


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """
    A bookable practice, before a region has given it an id.

    Attributes:
        places: The number of residents for one time.
        info: The text of norr when it has been booked, or None.
    """

    key: str
    norr: str
    mitt: str
    syd: str
    minutes: int
    group: CareGroup = CareGroup.VISIT
    is_covid_vaccination: bool = False
    may_change: bool = True
    may_message: bool = True
    places: int = 1
    info: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A post at a unit: its title, its room, and the practices that it alternates."""

    title: str
    room: str
    practices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHours:
    """Weekday hours as minutes after midnight, with a lunch break."""

    opens: int = 8 * 60
    lunch: int = 12 * 60
    back: int = 13 * 60
    closes: int = 16 * 60 + 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of unit.

    Attributes:
        in_groups: Practices that norr has for several residents at once.
    """

    name: str
    staff: tuple[Staff, ...]
    hours: OpeningHours = OpeningHours()
    in_groups: tuple[str, ...] = ()


_VACCINATION: Final = CareGroup.VACCINATION
_SAMPLING: Final = CareGroup.SAMPLING

_ALL: Final = (
    Practice(
        key="covid",
        norr="Covid-vaccination distriktssköterska",
        mitt="Covid 19 vaccin dos",
        syd="Vaccination mot covid-19, drop-in tid",
        minutes=15,
        group=_VACCINATION,
        is_covid_vaccination=True,
    ),
    Practice(
        key="influensa",
        norr="Influensavaccination",
        mitt="Vaccin influensa säsong",
        syd="Vaccination mot influensa",
        minutes=15,
        group=_VACCINATION,
    ),
    Practice(
        key="grupp",
        norr="Gruppvaccination TBE",
        mitt="TBE grupp",
        syd="Gruppvaccination mot TBE",
        minutes=30,
        group=_VACCINATION,
        may_message=False,
        places=5,
    ),
    Practice(
        key="tbe",
        norr="TBE-vaccination",
        mitt="Vaccin TBE",
        syd="Vaccination mot TBE, fästing",
        minutes=15,
        group=_VACCINATION,
    ),
    Practice(
        key="pneumo",
        norr="Vaccination pneumokocker",
        mitt="Pneumokock vaccin 65+",
        syd="Vaccination mot pneumokocker",
        minutes=15,
        group=_VACCINATION,
    ),
    Practice(
        key="resa",
        norr="Resevaccination med rådgivning",
        mitt="Resevaccin nybesök",
        syd="Vaccination inför utlandsresa",
        minutes=30,
        group=_VACCINATION,
    ),
    Practice(
        key="lakare",
        norr="Läkarbesök",
        mitt="Läkare besök 30",
        syd="Besök hos läkare",
        minutes=30,
    ),
    Practice(
        key="halsosamtal",
        norr="Hälsosamtal",
        mitt="Hälsosamtal riktat",
        syd="Hälsosamtal 40, 50 och 60 år",
        minutes=45,
        may_change=False,
    ),
    Practice(
        key="dsk",
        norr="Distriktssköterska",
        mitt="Dsk mottagning",
        syd="Besök hos distriktssköterska",
        minutes=30,
    ),
    Practice(
        key="fasteprov",
        norr="Provtagning fastande",
        mitt="Blodprov fasta",
        syd="Provtagning, fastande",
        minutes=15,
        group=_SAMPLING,
        may_message=False,
        info="Kom fastande.",
    ),
    Practice(
        key="blodprov",
        norr="Provtagning",
        mitt="Blodprov",
        syd="Provtagning, ej fastande",
        minutes=15,
        group=_SAMPLING,
        may_message=False,
    ),
    Practice(
        key="blodtryck",
        norr="Blodtryckskontroll",
        mitt="BT kontroll",
        syd="Kontroll av blodtryck",
        minutes=15,
    ),
    Practice(
        key="ekg",
        norr="EKG",
        mitt="EKG vila",
        syd="Vilo-EKG",
        minutes=30,
        group=_SAMPLING,
        may_message=False,
    ),
    Practice(
        key="glukos",
        norr="Glukosbelastning",
        mitt="Glukosbelastning OGTT",
        syd="Sockerbelastning",
        minutes=120,
        group=_SAMPLING,
        may_change=False,
        may_message=False,
    ),
    Practice(
        key="inskrivning",
        norr="Inskrivning graviditet",
        mitt="Inskrivning BMM",
        syd="Inskrivning hos barnmorska",
        minutes=60,
    ),
    Practice(
        key="preventiv",
        norr="Preventivmedelsrådgivning",
        mitt="Preventivmedel",
        syd="Rådgivning om preventivmedel",
        minutes=30,
    ),
    Practice(
        key="cellprov",
        norr="Gynekologisk cellprovskontroll",
        mitt="Cellprov screening",
        syd="Cellprovtagning",
        minutes=15,
        group=_SAMPLING,
        may_message=False,
    ),
    Practice(
        key="efterkontroll",
        norr="Efterkontroll förlossning",
        mitt="Efterkontroll",
        syd="Besök efter förlossning",
        minutes=30,
    ),
    Practice(
        key="sti",
        norr="Provtagning könssjukdom",
        mitt="STI prov",
        syd="Test för könssjukdomar",
        minutes=15,
        group=_SAMPLING,
        may_message=False,
    ),
    Practice(
        key="kurator",
        norr="Samtal kurator",
        mitt="Kurator nybesök",
        syd="Samtal med kurator",
        minutes=45,
        may_change=False,
    ),
    Practice(
        key="barnmorska",
        norr="Barnmorska ungdom",
        mitt="BM ungdom",
        syd="Besök hos barnmorska på ungdomsmottagning",
        minutes=30,
    ),
    Practice(
        key="halsobesok",
        norr="Hälsobesök barn",
        mitt="BVC hälsobesök",
        syd="Hälsobesök på barnavårdscentral",
        minutes=30,
    ),
    Practice(
        key="barnvaccin",
        norr="Vaccination barn",
        mitt="BVC vaccin",
        syd="Barnvaccination",
        minutes=15,
        group=_VACCINATION,
    ),
    Practice(
        key="foraldragrupp",
        norr="Föräldrasamtal",
        mitt="BVC föräldrasamtal",
        syd="Enskilt föräldrasamtal",
        minutes=45,
        may_change=False,
    ),
    Practice(
        key="barnlakare",
        norr="Läkarundersökning barn",
        mitt="BVC läkare",
        syd="Barnläkare",
        minutes=30,
    ),
)

PRACTICES: Final = MappingProxyType({practice.key: practice for practice in _ALL})

_HEALTH_CENTRE: Final = Kind(
    name="Vårdcentralen",
    staff=(
        Staff(
            title="Distriktssköterska",
            room="Sköterskemottagning",
            practices=("covid", "dsk", "influensa"),
        ),
        Staff(
            title="Specialistläkare",
            room="Läkarmottagning",
            practices=("lakare", "halsosamtal"),
        ),
        Staff(
            title="Undersköterska",
            room="Provtagning",
            practices=("fasteprov", "covid", "blodtryck"),
        ),
    ),
)
_VACCINATION_CLINIC: Final = Kind(
    name="Vaccinationsmottagningen",
    staff=(
        Staff(
            title="Sjuksköterska", room="Vaccinationsrum", practices=("covid", "tbe")
        ),
        Staff(
            title="Sjuksköterska",
            room="Vaccinationsrum",
            practices=("influensa", "covid", "pneumo"),
        ),
        Staff(title="Distriktssköterska", room="Reserum", practices=("resa", "covid")),
    ),
    in_groups=("grupp",),
)
_MIDWIFERY: Final = Kind(
    name="Barnmorskemottagningen",
    staff=(
        Staff(
            title="Barnmorska",
            room="Barnmorskerum",
            practices=("inskrivning", "preventiv"),
        ),
        Staff(
            title="Barnmorska",
            room="Barnmorskerum",
            practices=("cellprov", "efterkontroll"),
        ),
        Staff(title="Barnmorska", room="Provrum", practices=("covid", "cellprov")),
    ),
)
_YOUTH_CLINIC: Final = Kind(
    name="Ungdomsmottagningen",
    staff=(
        Staff(
            title="Barnmorska",
            room="Barnmorskerum",
            practices=("preventiv", "sti", "barnmorska"),
        ),
        Staff(title="Kurator", room="Samtalsrum", practices=("kurator",)),
        Staff(title="Läkare", room="Läkarrum", practices=("lakare", "sti")),
    ),
    hours=OpeningHours(opens=9 * 60, closes=17 * 60),
)
_LABORATORY: Final = Kind(
    name="Laboratoriet",
    staff=(
        Staff(
            title="Biomedicinsk analytiker",
            room="Provtagning",
            practices=("fasteprov", "blodprov"),
        ),
        Staff(
            title="Biomedicinsk analytiker",
            room="Undersökning",
            practices=("ekg", "glukos"),
        ),
        Staff(
            title="Undersköterska", room="Provtagning", practices=("covid", "blodprov")
        ),
    ),
    hours=OpeningHours(opens=7 * 60 + 30, lunch=11 * 60 + 30, back=12 * 60 + 30),
)
_CHILD_CENTRE: Final = Kind(
    name="Barnavårdscentralen",
    staff=(
        Staff(
            title="Barnsjuksköterska",
            room="Barnmottagning",
            practices=("halsobesok", "barnvaccin"),
        ),
        Staff(
            title="Barnsjuksköterska",
            room="Barnmottagning",
            practices=("foraldragrupp", "barnvaccin"),
        ),
        Staff(
            title="Specialistläkare",
            room="Läkarmottagning",
            practices=("barnlakare", "influensa"),
        ),
    ),
)

KINDS: Final = (
    _HEALTH_CENTRE,
    _VACCINATION_CLINIC,
    _MIDWIFERY,
    _YOUTH_CLINIC,
    _LABORATORY,
    _CHILD_CENTRE,
)

# The kinds of sixteen consecutive units. Thirteen of them vaccinate against covid-19;
# the two smallest sizes of the sandbox have only such units.
PATTERN: Final = (0, 1, 0, 4, 2, 1, 0, 3, 1, 0, 4, 5, 1, 0, 2, 3)

FIRST_NAMES: Final = (
    "Anna",
    "Erik",
    "Maria",
    "Lars",
    "Karin",
    "Johan",
    "Sara",
    "Amir",
    "Elin",
    "Björn",
    "Leila",
    "Nils",
    "Åsa",
    "Mikael",
    "Zainab",
    "Gunilla",
    "Per",
    "Ylva",
    "Henrik",
)
LAST_NAMES: Final = (
    "Provberg",
    "Testlund",
    "Exempelström",
    "Mallgren",
    "Övningsson",
    "Provkvist",
    "Testander",
    "Låtsasberg",
    "Mönsterfors",
    "Provén",
    "Testmark",
    "Exempelin",
    "Skissholm",
)
