"""
The ImplementationGuide (FHIR R4, 5.9), and the package of the profiles.

A package is what FHIR tools install: a tarball as npm makes it, with an index. Its
bytes depend on nothing but its content.
"""

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from fhir_gateway.fhir.published import examples, own_definitions
from fhir_gateway.fhir.vocabulary import Vocabulary

__all__ = ["implementation_guide", "package"]

_PACKAGE: Final = "fhir-gateway.scheduling.r4"
_VERSION: Final = "0.1.0"
_DATE: Final = "2026-11-28"
_TITLE: Final = "Booking over the Swedish regions' RIV-TA contracts"
_DESCRIPTION: Final = (
    "The profiles, extensions, search parameters, operations and codes of fhir_gateway:"
    " free times and bookings of the Swedish regions as FHIR R4."
)
_LICENSE: Final = "Apache-2.0"
_FHIR_VERSION: Final = "4.0.1"
_CORE: Final = "hl7.fhir.r4.core"
_INDEXED: Final = ("resourceType", "id", "url", "version", "kind", "type")


def implementation_guide(
    definitions: Iterable[Mapping[str, Any]],
    shown: Iterable[Mapping[str, Any]],
    vocabulary: Vocabulary,
) -> dict[str, Any]:
    """
    Return the ImplementationGuide.

    Args:
        definitions: The definitions in it.
        shown: The examples in it.
        vocabulary: Our canonicals.
    """
    resources = [
        *(_listed(each, is_example=False) for each in definitions),
        *(_listed(each, is_example=True) for each in shown),
    ]
    return {
        "resourceType": "ImplementationGuide",
        "id": vocabulary.implementation_guide.rpartition("/")[2],
        "url": vocabulary.implementation_guide,
        "version": _VERSION,
        "name": "FhirGateway",
        "title": _TITLE,
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": "fhir_gateway",
        "description": _DESCRIPTION,
        "packageId": _PACKAGE,
        "license": _LICENSE,
        "fhirVersion": [_FHIR_VERSION],
        "definition": {"resource": resources},
    }


def package(vocabulary: Vocabulary) -> bytes:
    """Return the package of the profiles, as `package.tgz`."""
    definitions = list(own_definitions(vocabulary))
    shown = list(examples(vocabulary))
    guide = implementation_guide(definitions, shown, vocabulary)
    manifest = {
        "name": _PACKAGE,
        "version": _VERSION,
        "tools-version": 3,
        "type": "IG",
        "license": _LICENSE,
        "canonical": vocabulary.base,
        "url": vocabulary.base,
        "title": _TITLE,
        "description": _DESCRIPTION,
        "fhirVersions": [_FHIR_VERSION],
        "dependencies": {_CORE: _FHIR_VERSION},
        "author": "fhir_gateway",
        "directories": {"lib": "package", "example": "example"},
    }
    files = {
        "package/package.json": manifest,
        **_folder("package", [guide, *definitions]),
        **_folder("package/example", shown),
    }
    return _tarball(files)


def _listed(resource: Mapping[str, Any], *, is_example: bool) -> dict[str, Any]:
    reference = f"{resource['resourceType']}/{resource['id']}"
    return {
        "reference": {"reference": reference},
        "name": resource.get("title") or resource.get("name") or reference,
        "exampleBoolean": is_example,
    }


def _folder(path: str, resources: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return the files of a folder of a package, with its index."""
    named = {f"{each['resourceType']}-{each['id']}.json": each for each in resources}
    index = [
        {
            "filename": name,
            **{key: each[key] for key in _INDEXED if isinstance(each.get(key), str)},
        }
        for name, each in sorted(named.items())
    ]
    return {
        f"{path}/.index.json": {"index-version": 1, "files": index},
        **{f"{path}/{name}": each for name, each in named.items()},
    }


def _tarball(files: Mapping[str, object]) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            content = orjson.dumps(files[name], option=orjson.OPT_INDENT_2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    # Neither the time nor a name stands in the head: the same content, the same bytes.
    return gzip.compress(tar.getvalue(), mtime=0)
