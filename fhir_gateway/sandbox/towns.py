"""
The places of the simulated units: real towns, invented houses.

Telephone numbers are from the series that PTS (Post- och telestyrelsen) reserves for
books and films: 0980-319 200 to 299, 08-465 004 00 to 99, 040-628 04 00 to 99.
"""

from dataclasses import dataclass
from typing import Final

from fhir_gateway.model.care_unit import Position

__all__ = ["HOUSES", "MITT", "NORR", "SYD", "Town"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town and the street of its first unit."""

    name: str
    position: Position
    street: str
    postal_code: str


def _town(
    name: str, latitude: float, longitude: float, street: str, postal_code: str
) -> Town:
    return Town(
        name=name,
        position=Position(latitude=latitude, longitude=longitude),
        street=street,
        postal_code=postal_code,
    )


NORR: Final = (
    _town("Umeå", 63.8258, 20.2630, "Björkgatan", "903 26"),
    _town("Luleå", 65.5848, 22.1547, "Stormgatan", "972 31"),
    _town("Skellefteå", 64.7507, 20.9528, "Älvgatan", "931 31"),
    _town("Kiruna", 67.8558, 20.2253, "Malmvägen", "981 31"),
    _town("Piteå", 65.3173, 21.4794, "Strandgatan", "941 31"),
    _town("Örnsköldsvik", 63.2909, 18.7153, "Fjällgatan", "891 31"),
    _town("Boden", 65.8252, 21.6887, "Fästningsgatan", "961 31"),
    _town("Gällivare", 67.1339, 20.6528, "Tallvägen", "982 31"),
    _town("Lycksele", 64.5954, 18.6735, "Skogsgatan", "921 31"),
    _town("Kalix", 65.8530, 23.1564, "Nygatan", "952 31"),
    _town("Haparanda", 65.8355, 24.1368, "Torggatan", "953 31"),
    _town("Arvidsjaur", 65.5903, 19.1657, "Storgatan", "933 31"),
    _town("Vilhelmina", 64.6247, 16.6554, "Volgsjövägen", "912 32"),
    _town("Jokkmokk", 66.6066, 19.8235, "Köpmangatan", "962 31"),
    _town("Storuman", 65.0958, 17.1117, "Järnvägsgatan", "923 31"),
    _town("Älvsbyn", 65.6770, 21.0030, "Forsgatan", "942 31"),
)

MITT: Final = (
    _town("Stockholm", 59.3293, 18.0686, "Hantverkargatan", "112 21"),
    _town("Uppsala", 59.8586, 17.6389, "Svartbäcksgatan", "753 32"),
    _town("Västerås", 59.6099, 16.5448, "Kopparbergsvägen", "722 13"),
    _town("Gävle", 60.6749, 17.1413, "Nygatan", "803 20"),
    _town("Örebro", 59.2753, 15.2134, "Drottninggatan", "702 22"),
    _town("Falun", 60.6065, 15.6355, "Åsgatan", "791 71"),
    _town("Södertälje", 59.1955, 17.6253, "Järnagatan", "151 73"),
    _town("Eskilstuna", 59.3666, 16.5077, "Kungsgatan", "632 20"),
    _town("Norrtälje", 59.7580, 18.7050, "Estunavägen", "761 30"),
    _town("Borlänge", 60.4858, 15.4371, "Borganäsvägen", "784 33"),
    _town("Nyköping", 58.7530, 17.0079, "Västra Storgatan", "611 32"),
    _town("Sandviken", 60.6216, 16.7755, "Odengatan", "811 30"),
    _town("Enköping", 59.6361, 17.0777, "Kyrkogatan", "745 31"),
    _town("Mora", 61.0070, 14.5430, "Vasagatan", "792 30"),
    _town("Karlskoga", 59.3267, 14.5239, "Bergsmansgatan", "691 31"),
    _town("Köping", 59.5140, 15.9926, "Hultgrensgatan", "731 31"),
)

SYD: Final = (
    _town("Malmö", 55.6050, 13.0038, "Bergsgatan", "214 22"),
    _town("Lund", 55.7047, 13.1910, "Bredgatan", "222 21"),
    _town("Helsingborg", 56.0465, 12.6945, "Södergatan", "252 25"),
    _town("Kristianstad", 56.0294, 14.1567, "Östra Boulevarden", "291 31"),
    _town("Växjö", 56.8777, 14.8091, "Linnégatan", "352 33"),
    _town("Kalmar", 56.6634, 16.3568, "Kaggensgatan", "392 32"),
    _town("Halmstad", 56.6745, 12.8578, "Brogatan", "302 42"),
    _town("Karlskrona", 56.1612, 15.5869, "Ronnebygatan", "371 33"),
    _town("Ystad", 55.4295, 13.8200, "Stora Östergatan", "271 34"),
    _town("Trelleborg", 55.3751, 13.1569, "Algatan", "231 42"),
    _town("Landskrona", 55.8708, 12.8302, "Järnvägsgatan", "261 31"),
    _town("Hässleholm", 56.1591, 13.7664, "Första Avenyen", "281 31"),
    _town("Ängelholm", 56.2428, 12.8622, "Storgatan", "262 32"),
    _town("Eslöv", 55.8393, 13.3039, "Västerlånggatan", "241 30"),
    _town("Simrishamn", 55.5565, 14.3505, "Hamngatan", "272 31"),
    _town("Varberg", 57.1056, 12.2508, "Kungsgatan", "432 41"),
)

# A town has one unit for each house; the default size uses only the first house.
HOUSES: Final = (
    "Tallbacken",
    "Kvarnen",
    "Svalan",
    "Lindgården",
    "Solrosen",
    "Källan",
    "Måsen",
    "Enbacken",
    "Fyren",
    "Åkern",
)
