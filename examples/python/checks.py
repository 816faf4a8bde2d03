"""Counts what holds and what does not."""

import traceback
from collections.abc import Callable


class Checks:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def that(self, what: str, holds: bool, *facts: object) -> None:
        if holds:
            self.passed += 1
            print(f"ok    {what}")
        else:
            self.failed += 1
            print(f"FAIL  {what}", *facts)

    def run(self, part: Callable[[], None]) -> None:
        """A part that stops with an error counts as one failure; the others go on."""
        try:
            part()
        except Exception:
            self.failed += 1
            traceback.print_exc()
            print(f"FAIL  {part.__name__}")
