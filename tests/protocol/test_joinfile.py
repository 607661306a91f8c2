from pathlib import Path

import pytest

from afterfact_protocol.joinfile import Join, JoinError, parse_join, read_join, split_address
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
        (JOIN.to_toml().replace("127.0.0.1", "*"), "address: '*' is no host name and no IP address; make"),
        (JOIN.to_toml().replace("127.0.0.1", "[::1"), "is no tcp://HOST:PORT"),
        (JOIN.to_toml().replace("127.0.0.1", "::1"), "is no tcp://HOST:PORT"),
        (JOIN.to_toml().replace("127.0.0.1", "[::g]"), "'::g' is no host name"),
        (JOIN.to_toml().replace("127.0.0.1", "300.1.1.1"), "'300.1.1.1' is no host name"),
        (JOIN.to_toml().replace("127.0.0.1", "-a.example"), "'-a.example' is no host name"),
        (JOIN.to_toml().replace("127.0.0.1", "ä.example"), "'\\xe4.example' is no host name"),
        (JOIN.to_toml().replace("7736", "99999"), "address: there is no port 99999"),
        (JOIN.to_toml().replace("7736", "0"), "there is no port 0"),
        (JOIN.to_toml().replace(SERVER.public, "~" * 40), "server_key: not a key; make a new one"),
        (JOIN.to_toml().replace(SERVER.public, "#" * 40), "server_key: not a key"),
        (JOIN.to_toml().replace(SERVER.public, SERVER.public + "00000"), "server_key: not a key"),
        (JOIN.to_toml().replace(OWN.secret, "é" * 40), "secret_key: not a key"),
        (JOIN.to_toml().replace('"border"', '"b\\u001b[2J"'), "name"),
    ],
)
def test_bad(text: str, says: str) -> None:
    with pytest.raises(JoinError) as caught:
        parse_join(text, "sensor", "S.toml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("tcp://127.0.0.1:1", ("127.0.0.1", 1)),
        ("tcp://[::1]:65535", ("::1", 65535)),
        ("tcp://[fe80::1%eth0]:7736", ("fe80::1%eth0", 7736)),
        ("tcp://server:7736", ("server", 7736)),
        ("tcp://my_server-1.example.:7736", ("my_server-1.example.", 7736)),
    ],
)
def test_addresses(address: str, parts: tuple[str, int]) -> None:
    assert split_address(address) == parts
    assert parse_join(JOIN.to_toml().replace(JOIN.address, address), "sensor", "x").address == address


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(JoinError, match="No such file"):
        read_join(tmp_path / "none", "sensor")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(JoinError, match="not text"):
        read_join(tmp_path / "binary", "sensor")
