"""From a measured file to a device file and a picture: `python -m utils.measured`.

Modules that take seconds to import are imported late, so that --help and mistakes in flags are
answered at once.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from devices import device_file
from devices.built_in import look_up
from utils.console import log
from utils.errors import RecordError, UserError
from utils.flags import Once, Parser, add, check_writable, flags_of
from utils.measured.options import READING, ReadingOptions

DESCRIPTION = """\
Read measured curves (CSV, TSV, other text, XLSX), fit the falling and the rising branch, print the
results, and write a device file for `main.py --field` and a picture of the fit (PDF, SVG, PNG).

example: python -m utils.measured my-curve.csv --name my-device
"""
FAMILIES = ("linear", "exponential", "table")
PICTURES = ("pdf", "svg", "png")
RESULT = {  # flags and what they say of themselves
    "name NAME": "name of the device (default: that of the measured file)",
    "output_dir DIR": "folder of the device file and the picture, made where there is none "
    "(default: this folder)",
    "output FILE": "instead of --output_dir, the path of the device file (default: NAME.json)",
    "relaxes_to DEVICE": "its response when the field is switched: a built-in device or another "
    "device file (default: none)",
}


def make_parser() -> Parser:
    parser = Parser("python -m utils.measured", DESCRIPTION)
    parser.add_argument("file", type=Path, metavar="FILE", help="the measured curves")
    result = parser.add_argument_group("device file")
    for flag, text in RESULT.items():
        name, metavar = flag.split()
        result.add_argument(f"--{name}", action=Once, metavar=metavar, help=text)
    text = "family of the response (default: the one that fits best)"
    result.add_argument("--family", action=Once, choices=FAMILIES, help=text)
    reading = parser.add_argument_group(READING)
    for name, (option, default) in flags_of(ReadingOptions).items():
        add(reading, name, option, default)
    return parser


def main(args: list[str] | None = None) -> int:
    parser = make_parser()
    flags = parser.parse_args(args)
    try:
        run(flags)
    except UserError as error:
        parser.error(str(error))
    except RecordError as error:
        log(f"{parser.prog}: error: {error}")
        return 1
    return 0


def run(flags: Namespace) -> None:
    given = vars(flags)
    options = ReadingOptions(**{k: given[k] for k in flags_of(ReadingOptions) if k in given})
    name = name_of(given.get("name"), flags.file)
    output = output_of(given.get("output"), given.get("output_dir"), name)
    relaxes_to = partner_of(given.get("relaxes_to"), output)

    from utils.measured.reading import describe, read

    measurement = read(flags.file, options)
    check_replaceable(output, measurement.file, measurement.sha256)
    show(describe(measurement), "")

    from utils.measured.device_fit import fit_device
    from utils.measured.picture import draw, rendered
    from utils.measured.report import report
    from utils.measured.sanity import sane_device_file

    fitted = fit_device(measurement, given.get("family"))
    device = sane_device_file(fitted, name, relaxes_to)
    show(*report(fitted, device))
    write(output, device, rendered(draw(fitted)))
    show(f"\ndevice file: {output}", f"picture: {output.with_suffix('.png')} (and .pdf, .svg)")


def show(*lines: str) -> None:
    """Print lines. Once the reader of a pipe has ended, as `| head` does, output is dropped."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # or Python fails again when it flushes at the end
        os.close(nowhere)


def name_of(given: str | None, file: Path) -> str:
    """The given name, or that of the measured file. Raises UserError where it is not valid."""
    try:
        device_file.check_name(name := file.stem if given is None else given)
    except ValueError as error:
        raise UserError(f"{error}; give another with --name") from None
    return name


def output_of(given: str | None, folder: str | None, name: str) -> Path:
    """The path of the device file, from --output or --output_dir.

    Raises UserError if both are given, or if no device file can be written there.
    """
    if folder is not None:
        if given is not None:
            raise UserError("--output_dir: leave it out, since --output names the folder, too")
        check_writable("--output_dir", Path(folder))
        return Path(folder, f"{name}.json")
    output = Path(f"{name}.json" if given is None else given)
    if output.suffix != ".json":
        raise UserError(f"--output {output}: the name must end in .json")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}; make it first")
    return output


def partner_of(given: str | None, output: Path) -> str | None:
    """The entry `relaxes_to`: a built-in name, or a path relative to the folder of the device file.

    Raises UserError for a name that is unknown, and for a file that is no device file. A file that
    does not exist yet is accepted with a note, since two devices that relax to each other cannot
    both be written first.
    """
    if given is None:
        return None
    try:
        if not device_file.is_path(given):
            return look_up(given)[0]
        if Path(given).resolve() == output.resolve():
            raise ValueError(f"{given}: this is the device file itself; name another")
        if Path(given).exists():
            device_file.read(given)
        else:
            log(f"note: {given} does not exist yet; make it before you train")
    except ValueError as error:
        raise UserError(f"--relaxes_to {error}") from None
    return Path(os.path.relpath(given, output.parent)).as_posix()


def check_replaceable(output: Path, file: str, sha256: str) -> None:
    """Raise UserError where writing would destroy files that were not made from this measured file.

    A device file that was made from a file of the same name or of the same content is replaced with
    its picture, since a repeated fit is meant to do that.
    """
    existing = [path for path in paths(output).values() if path.exists()]
    if not existing:
        return
    try:
        source = device_file.read(output).source
    except ValueError:
        source = None
    if source is None or (source.file != file and source.sha256 != sha256):
        raise UserError(
            f"{existing[0]}: the file exists and was not made from {file}; move it away, or choose "
            "another --output"
        )
    log(f"note: {output}, made from {source.file}, is replaced")


def paths(output: Path) -> dict[str, Path]:
    return {ending: output.with_suffix(f".{ending}") for ending in ("json", *PICTURES)}


def write(output: Path, device: device_file.DeviceFile, pictures: dict[str, bytes]) -> None:
    """All files or none, each whole. Raises RecordError where that fails."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
            for ending, content in pictures.items():
                Path(folder, ending).write_bytes(content)
            device_file.write(output, device)
            for ending in pictures:
                Path(folder, ending).replace(paths(output)[ending])
    except OSError as error:
        raise RecordError(
            f"cannot write {output}: {error.strerror}; choose another --output"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
