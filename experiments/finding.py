"""What an experiment hands to the page that gathers them all."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One picture and one sentence.

    Attributes:
        sentence: What was found, with its figures, computed by this run.
        picture: The PNG that shows it.
        page: A report with more, if there is one.
    """

    sentence: str
    picture: Path
    page: Path | None = None
