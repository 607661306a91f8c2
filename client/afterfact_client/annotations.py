"""Annotations from Python: what is said of hosts, ports and sessions. What a row has is state/marks.py's."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from afterfact_client.link import Link
from afterfact_client.state.marks import Marks
from afterfact_protocol.messages import (
    Annotation,
    AnnotationChanged,
    Annotations,
    AnnotationSaved,
    AskAnnotations,
    AskCases,
    PutAnnotation,
)


class AnnotationList:
    """RequestFailed for what cannot be, is not allowed, or was changed by somebody else meanwhile; LinkLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self) -> tuple[Annotation, ...]:
        """Those that changed last first."""
        found: Annotations = self._link.request(AskAnnotations).result()
        return found.annotations

    def marks(self) -> Marks:
        """All of them, to be looked up for rows: `marks.of_rows(rows, sensors)`."""
        return Marks(self.all())

    def subscribe(self, on_change: Callable[[AnnotationChanged], None]) -> tuple[Annotation, ...]:
        """The annotations now, and a call of `on_change` for every change from then on, on the link's thread. After a
        lost connection it must be called again."""
        self._link.on_annotation = on_change
        self._link.request(partial(AskCases, status="open", subscribe="on")).result()
        return self.all()

    def host(self, address: str, text: str, case: int = 0) -> Annotation:
        """Say something of an address."""
        return self.put(Annotation(0, "host", address, text, case))

    def port(self, port: int, text: str, case: int = 0) -> Annotation:
        return self.put(Annotation(0, "port", str(port), text, case))

    def session(self, sensor: str, start: int, session_id: int, text: str, case: int = 0) -> Annotation:
        """Say something of a session; its start in microseconds since 1970."""
        return self.put(Annotation(0, "session", f"{sensor}/{start}/{session_id}", text, case))

    def put(self, annotation: Annotation) -> Annotation:
        """Add one (number 0), or change one as it was shown."""
        return self._put(annotation, remove=False)

    def change(self, annotation: Annotation, text: str) -> Annotation:
        return self.put(replace(annotation, text=text))

    def remove(self, annotation: Annotation) -> None:
        """Take one away, as it was shown."""
        self._put(annotation, remove=True)

    def _put(self, annotation: Annotation, remove: bool) -> Annotation:
        make = partial(PutAnnotation, annotation=annotation, remove=remove)
        saved: AnnotationSaved = self._link.request(make).result()
        return saved.annotation
