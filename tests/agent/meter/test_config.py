"""The meter's settings and the identity that they give to a stream."""

from dataclasses import fields, replace

import pytest

from afterfact_agent.meter import METER_VERSION, MeterConfig
from afterfact_agent.meter.config import IP_ONLY


def test_every_setting_is_part_of_the_identity() -> None:
    base = MeterConfig()
    prints = {base.fingerprint()}
    for field in fields(base):
        other = IP_ONLY if field.name == "checksums" else getattr(base, field.name) + 1
        prints.add(replace(base, **{field.name: other}).fingerprint())
    assert len(prints) == 1 + len(fields(base))
    assert base.canonical().startswith(f"meter={METER_VERSION} tcp_idle=3600 ")


def test_small_differences_count() -> None:
    assert MeterConfig(tcp_idle=3600.0000001).fingerprint() == MeterConfig().fingerprint()  # less than a microsecond
    assert MeterConfig(tcp_idle=3600.00001).fingerprint() != MeterConfig().fingerprint()
    assert MeterConfig(max_sessions=1 << 26).canonical().endswith("max_sessions=67108864")


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e12])
def test_times_must_make_sense(value: float) -> None:
    with pytest.raises(ValueError, match="udp_idle must be "):
        MeterConfig(udp_idle=value)
