"""Tells `.npz` files from others by their content."""

import os
import zipfile


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a file is a `.npz` file, by its content.

    Args:
      path: The file.

    Raises:
      ValueError: It begins like one, but its end is missing.
    """
    if zipfile.is_zipfile(path):
        return True
    with open(path, "rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError("it is an archive that is cut short; copy it again")
    return False
