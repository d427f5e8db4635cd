"""The script that draws: Plotly's, as one file beside the reports."""

import importlib
import os
from pathlib import Path
from urllib.parse import quote

from jaxcalc.reports import _files

NAME = "plotly.min.js"


def place(folder: Path, bundle: str | Path | None) -> tuple[str | None, str]:
    """Put the script where reports find it; an equal file is left as it is.

    Args:
        folder: Where the report is.
        bundle: The file to share with other reports; None for one in `folder`.

    Returns:
        The address relative to the report, None where there is no script, and a
        sentence that says why there is none.

    Raises:
        OSError: The file can't be written.
    """
    path = Path(bundle) if bundle is not None else folder / NAME
    address = quote(Path(os.path.relpath(path, folder)).as_posix())
    try:
        script = importlib.import_module("plotly.offline").get_plotlyjs()
    except ImportError:
        if path.is_file():
            return address, ""
        return None, (
            "The figures are still pictures: the package plotly was not there when "
            "this page was written (pip install 'jaxcalc[reports]')."
        )
    data = script.encode()
    if not (path.is_file() and path.read_bytes() == data):
        path.parent.mkdir(parents=True, exist_ok=True)
        _files.write(path, data)
    return address, ""
