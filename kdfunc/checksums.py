"""Manifests: sizes and checksums of finished files, by which damage is detected.

A manifest is written last, so a folder without an intact one is unfinished.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from kdfunc import system
from kdfunc.writing import write_json

MANIFEST = "manifest.json"


def seal(
    folder: pathlib.Path, files: Iterable[str], manifest: str = MANIFEST, **facts: Any
) -> None:
    """Marks a folder as finished by writing the sizes and checksums of its files.

    Args:
      folder: the folder of the files.
      files: their names.
      manifest: the manifest's name.
      **facts: further entries of the manifest.
    """
    entries = {}
    for name in sorted(files):
        system.sync(folder / name)
        size = (folder / name).stat().st_size
        entries[name] = {"bytes": size, "sha256": sha256(folder / name)}
    content = {"files": entries, **facts}
    write_json(folder / manifest, {**content, "sha256": digest(content)})


def read_manifest(folder: pathlib.Path, manifest: str = MANIFEST) -> dict[str, Any]:
    """The manifest of a folder, or an empty dict if it is missing or damaged.

    Args:
      folder: the record's folder.
      manifest: the file's name.
    """
    try:
        content = json.loads((folder / manifest).read_text("utf-8"))
        whole = content.pop("sha256") == digest(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return content if whole else {}


def damages(folder: pathlib.Path, manifest: str = MANIFEST) -> list[str]:
    """What is wrong with a sealed folder, one clause per file; empty if it is intact.

    Args:
      folder: the record's folder.
      manifest: the file's name.
    """
    entries = read_manifest(folder, manifest).get("files")
    if entries is None:
        return [f"{manifest} is missing or damaged"]
    found = []
    for name, entry in entries.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != entry["bytes"]:
                found.append(f"{name} has {size} bytes, not {entry['bytes']}")
            elif sha256(path) != entry["sha256"]:
                found.append(f"{name} has changed since it was written (checksum)")
        except (OSError, KeyError, TypeError):
            found.append(f"{name} cannot be read")
    return found


def sha256(path: pathlib.Path) -> str:
    """Checksum of a file's content.

    Args:
      path: the file.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest(content: Mapping[str, Any]) -> str:
    """Checksum of the content of JSON, whatever its layout.

    Args:
      content: anything that JSON can represent.
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
