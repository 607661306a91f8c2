"""What `afterfact-agent run --follow` does: read what other meters write as they write it, spool, deliver, until it is
told to stop."""

from collections.abc import Callable
from pathlib import Path

from afterfact_agent.delivery.livestream import LiveStream
from afterfact_agent.delivery.spool import Spool, SpoolFull
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.importing.follow import Follower
from afterfact_agent.importing.formats import FORMATS
from afterfact_agent.importing.journal import Journal
from afterfact_agent.importing.rejects import RejectsFile
from afterfact_agent.live import say_goodbye
from afterfact_protocol.stopping import Stop

POLL_SECONDS = 1.0
FULL_SECONDS = 0.2


def start_following(
    directory: Path, chosen: str | None, rejects: Path, spool: Path, log: Callable[[str], None]
) -> Follower:
    """Goes on where the last run with this spool was. ImportFailure if that cannot be known."""
    return Follower(directory, chosen, Journal(spool / "followed.json"), RejectsFile(rejects), log)


def deliver_followed(follower: Follower, spool: Spool, uplink: Uplink, stop: Stop, log: Callable[[str], None]) -> bool:
    """Until `stop`; whether all went well. SpoolError if the spool's disk fails, ImportFailure if the directory cannot
    be read, OutputError if the rejects file cannot be written."""
    meter = "follow " + ", ".join(sorted({f"{known.name} {known.version}" for known in FORMATS}))
    stream = LiveStream(spool, meter, uplink.spooled, log, "import")
    log(f"following {follower.directory}")
    while not stop.is_set() and uplink.failed is None:
        for taken in follower.step():
            stream.add(taken.records)
            stream.add_events(taken.events)
            for interval in taken.observed:
                stream.observe(interval)
            stream.put()
            while stream.is_full and not stop.wait(FULL_SECONDS) and uplink.failed is None:
                stream.put()
            if stop.is_set():
                break
        stream.put(everything=True)
        if stream.is_empty:
            follower.spooled()
        stop.wait(POLL_SECONDS)
    try:
        stream.end()
        follower.spooled()
    except SpoolFull:  # what is not spooled is not entered in the journal: it is read again
        log("the spool takes no more; what it did not take is read again at the next start")
    return say_goodbye(spool, uplink, stream.stream)
