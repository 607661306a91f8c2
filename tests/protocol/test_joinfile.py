from pathlib import Path

import pytest

from afterfact_protocol.joinfile import Join, JoinError, parse_join, read_join
from afterfact_protocol.transport import KeyPair

SERVER, OWN = KeyPair.generate(), KeyPair.generate()
JOIN = Join(kind="sensor", name="border", address="tcp://127.0.0.1:7736", server_key=SERVER.public,
            public_key=OWN.public, secret_key=OWN.secret)  # fmt: skip


def test_round_trip() -> None:
    assert parse_join(JOIN.to_toml(), "sensor", "x") == JOIN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "",
            "S.toml: not a usable join file: kind: Field required; make a new one with: afterfact-server sensor enrol",
        ),
        ("= 3", "S.toml: not a join file"),
        (JOIN.to_toml().replace('"sensor"', '"console"'), "made for a console, and a sensor's is needed"),
        (JOIN.to_toml().replace("tcp://127.0.0.1:7736", "127.0.0.1"), "address"),
        (JOIN.to_toml().replace(OWN.public, SERVER.public), "public_key does not belong to secret_key"),
        (JOIN.to_toml() + 'extra = "1"\n', "extra"),
    ],
)
def test_bad(text: str, says: str) -> None:
    with pytest.raises(JoinError) as caught:
        parse_join(text, "sensor", "S.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(JoinError, match="No such file"):
        read_join(tmp_path / "none", "sensor")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(JoinError, match="not text"):
        read_join(tmp_path / "binary", "sensor")
