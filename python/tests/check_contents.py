"""Looks into a wheel and an sdist: ``python check_contents.py WHEEL SDIST``. Both must hold what the package promises."""

import pathlib
import sys
import tarfile
import zipfile
from email.parser import Parser

LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")


def the_only(names, ending):
    [name] = [name for name in names if name.endswith(ending)]
    return name


def check(names, read, licences, metadata):
    """The licences are the project's own, in full, and the metadata names them and what users look for."""
    root = pathlib.Path(__file__).parents[2]
    for licence in LICENCES:
        assert read(the_only(names, f"{licences}/{licence}")) == (root / licence).read_bytes(), licence
    about = Parser().parsestr(read(metadata).decode())
    assert about.get_all("License-File") == list(LICENCES)
    assert about["License-Expression"] == "Apache-2.0 OR MIT" and about["Requires-Python"] == ">=3.9"
    assert {url.split(",")[0] for url in about.get_all("Project-URL")} >= {"Repository", "Changelog"}
    assert "Typing :: Typed" in about.get_all("Classifier")
    assert about["Summary"] and "pip install sluicegate" in about.get_payload()


def main():
    wheel, sdist = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        check(names, archive.read, ".dist-info/licenses", the_only(names, ".dist-info/METADATA"))
        assert {"sluicegate/py.typed", "sluicegate/_sluicegate.pyi"} <= set(names)
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        top = names[0].split("/")[0]
        check(names, lambda name: archive.extractfile(name).read(), top, f"{top}/PKG-INFO")
    print(f"{wheel}: {pathlib.Path(wheel).stat().st_size / 1e6:.1f} MB, licences and metadata are inside")


main()
