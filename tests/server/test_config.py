"""server.toml says what was asked for; what cannot be used is told in one line that names it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.transport import KeyPair
from afterfact_server.config import Config, Limits, RoleLimits, Roles
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.health_config import AlarmsConfig, HealthConfig, MetricsConfig


@pytest.fixture
def directory(tmp_path: Path) -> ServerDir:
    made = ServerDir(tmp_path)
    made.config_file.write_text(Config().to_toml())
    return made


def test_round_trip(directory: ServerDir) -> None:
    config = Config(address="server.example", store='https://u:"\\p@h/d', registry="postgresql://ä\n\x7f\x00/d")
    directory.config_file.write_text(config.to_toml(), encoding="utf-8")
    assert directory.config() == config


@given(st.text(st.characters(codec="utf-8")).filter(lambda text: "://" not in text))
def test_any_text(text: str) -> None:
    Config(store=text).to_toml()  # it looks itself whether it reads back


def test_what_is_no_text() -> None:
    with pytest.raises(ConfigError, match="is not text"):
        Config(store="\udcff").to_toml()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("address = 'a\"b'", "server.toml: address: 'a\"b' is no host name"),
        ("address = '[::1]'", "server.toml: address: '[::1]' is no host name"),
        ("address = ''", "server.toml: address: '' is no host name"),
        ("sensors = 'tcp://127.0.0.1:99999'", "server.toml: sensors: there is no port 99999"),
        ("consoles = 'tcp://*:*'", "server.toml: consoles: "),
        ("query = 5", "server.toml: query: "),
    ],
)
def test_broken(directory: ServerDir, line: str, says: str) -> None:
    directory.config_file.write_text(line + "\n")
    with pytest.raises(ConfigError) as caught:
        directory.config()
    assert says in str(caught.value) and "\n" not in str(caught.value) and "Value error" not in str(caught.value)


def test_changes_from_the_command_line(directory: ServerDir) -> None:
    assert directory.config(sensors="tcp://*:1").sensors == "tcp://*:1"
    with pytest.raises(ConfigError) as caught:
        directory.config(sensors="bogus")
    assert str(caught.value) == "--sensors: 'bogus' is no tcp://HOST:PORT (an IPv6 address in brackets)"


KEYS, OTHER = KeyPair.generate(), KeyPair.generate()


def test_keys(directory: ServerDir) -> None:
    directory.keys_file.write_text(f"{KEYS.public}\n{KEYS.secret}\n")
    assert directory.keys() == KEYS


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "garbage two", f"{KEYS.public}\n", f"{KEYS.public}\n{OTHER.secret}\n", f"{KEYS.public} {'~' * 40}",
     "ä ö", f"{KEYS.public}\n{KEYS.secret}\n{KEYS.secret}\n"],
    ids=("empty", "one word", "two words", "no secret", "of two pairs", "no key", "no ASCII", "three lines"),
)  # fmt: skip
def test_damaged_keys(directory: ServerDir, text: str) -> None:
    directory.keys_file.write_text(text)
    with pytest.raises(ConfigError, match=r"server\.keys: damaged") as caught:
        directory.keys()
    assert "\n" not in str(caught.value)


def test_missing_keys(directory: ServerDir) -> None:
    with pytest.raises(ConfigError, match=r"server\.keys: cannot read the server's keys: No such file"):
        directory.keys()


def test_health_alarms_and_metrics_round_trip(directory: ServerDir) -> None:
    config = Config(
        health=HealthConfig(loss_percent=2.5, keep_days=7),
        alarms=AlarmsConfig(syslog="[::1]:514", webhook="https://hook.example/a?b=c"),
        metrics=MetricsConfig(listen="127.0.0.1:9736"),
        roles=Roles(analyst=RoleLimits(query_depth=5, query_seconds=9)),
    )
    directory.config_file.write_text(config.to_toml())
    assert directory.config() == config


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("[health]\nloss_percent = 0", "server.toml: health.loss_percent: "),
        ("[health]\nblind = 5", "server.toml: health.blind: "),
        (
            "[alarms]\nsyslog = 'loghost'",
            "server.toml: alarms.syslog: 'loghost' is neither a socket's path nor HOST:PORT",
        ),
        ("[alarms]\nwebhook = 'ftp://x/'", "server.toml: alarms.webhook: 'ftp://x/' is no http:// or https:// address"),
        ("[alarms]\nclear_seconds = -1", "server.toml: alarms.clear_seconds: "),
        ("[roles.viewer]\nquery_depth = 51", "server.toml: roles.viewer.query_depth: "),
        ("[roles.guest]\nquery_depth = 5", "server.toml: roles.guest: "),
        ("[metrics]\nlisten = '9736'", "server.toml: metrics.listen: '9736' is no HOST:PORT"),
        ("[metrics]\nlisten = 'localhost:99999'", "server.toml: metrics.listen: there is no port 99999"),
    ],
)
def test_broken_sections(directory: ServerDir, lines: str, says: str) -> None:
    directory.config_file.write_text(lines + "\n")
    with pytest.raises(ConfigError) as caught:
        directory.config()
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_roles_never_get_more_than_everybody_may() -> None:
    limits = Limits(result_rows=500, query_seconds=20)
    roles = Roles(admin=RoleLimits(result_rows=1_000, query_depth=7), viewer=RoleLimits(query_seconds=5))
    assert (roles.allowed("admin", limits).rows, roles.allowed("admin", limits).caps.depth) == (500, 7)
    assert (roles.allowed("viewer", limits).seconds, roles.allowed("viewer", limits).rows) == (5, 500)
    assert roles.allowed("analyst", limits) == roles.allowed("", limits)
    assert roles.where("viewer", "query_seconds") == "query_seconds of [roles.viewer]"
    assert roles.where("analyst", "query_seconds") == "query_seconds"
