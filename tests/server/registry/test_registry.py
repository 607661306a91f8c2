"""The relational store: the steps lead to the tables, and enrolment and accounts hold their rules."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

from afterfact_protocol.transport import KeyPair
from afterfact_server.errors import RegistryError
from afterfact_server.registry import enrolment as enrolment_module
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.database import MIGRATIONS, NEWEST, open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.registry.tables import Base
from afterfact_server.registry.tokens import Tokens


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    yield made
    made.dispose()


def test_migrations_make_the_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_the_newest_step_is_the_one_named() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST


def test_opening_again_keeps_everything(engine: Engine, tmp_path: Path) -> None:
    Enrolment(engine).enrol_sensor("border", "dmz")
    again = open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    assert [sensor.name for sensor in Enrolment(again).sensors()] == ["border"]
    again.dispose()


def test_unusable_database() -> None:
    with pytest.raises(RegistryError, match="cannot open the accounts' database"):
        open_database("sqlite:////nonexistent/folder/registry.sqlite")


def test_admission_follows_enrolment(engine: Engine) -> None:
    enrolment = Enrolment(engine)
    admission = Admission(enrolment)
    border, console = enrolment.enrol_sensor("border", "dmz"), enrolment.add_console("desk")
    assert admission.sensor(border.public) is None, "only what was loaded counts"
    admission.reload()
    sensor = admission.sensor(border.public)
    assert sensor is not None and (sensor.name, sensor.net) == ("border", "dmz")
    assert admission.console(console.public) == "desk"
    assert admission.sensor(console.public) is None and admission.console(border.public) is None
    enrolment.revoke_sensor("border")
    admission.reload()
    assert admission.sensor(border.public) is None
    assert admission.sensors()[sensor.number].revoked is not None, "its rows still have a name"


def test_a_rotated_key_takes_the_place_of_the_old_one_once_it_is_used(engine: Engine) -> None:
    enrolment = Enrolment(engine)
    admission = Admission(enrolment)

    def admitted(*keys: KeyPair) -> list[bool]:
        admission.reload()
        return [admission.sensor(key.public) is not None for key in keys]

    first = enrolment.enrol_sensor("border", "dmz")
    assert enrolment.retire(first.public) is None and enrolment.sensors()[0].new_key is None
    lost = enrolment.rotate_sensor("border")
    assert admitted(first, lost) == [True, True] and enrolment.sensors()[0].new_key == lost.public
    second = enrolment.rotate_sensor("border")
    assert admitted(first, lost, second) == [True, False, True], "one that was never used is void"
    assert enrolment.retire(first.public) is None and admitted(first, second) == [True, True]
    assert enrolment.retire(second.public) == "border"
    assert admitted(first, second) == [False, True] and enrolment.sensors()[0].new_key is None
    assert enrolment.retire(second.public) is None and enrolment.retire(first.public) is None
    enrolment.revoke_sensor("border")
    for name, problem in (("border", "sensor border is revoked"), ("inside", "no sensor 'inside'")):
        with pytest.raises(RegistryError, match=problem):
            enrolment.rotate_sensor(name)


def test_a_clock_set_back_does_not_turn_rotation_round(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    enrolment = Enrolment(engine)
    first = enrolment.enrol_sensor("border", "dmz")
    monkeypatch.setattr(enrolment_module, "utc_now", lambda: datetime(2001, 1, 1))
    second = enrolment.rotate_sensor("border")
    assert enrolment.sensors()[0].new_key == second.public
    assert enrolment.retire(first.public) is None and enrolment.retire(second.public) == "border"


def test_numbers_and_names_are_never_given_again(engine: Engine) -> None:
    enrolment = Enrolment(engine)
    enrolment.enrol_sensor("border", "dmz")
    enrolment.revoke_sensor("border")
    with pytest.raises(RegistryError, match="enrolled already"):
        enrolment.enrol_sensor("border", "dmz")
    enrolment.enrol_sensor("border2", "dmz")
    assert [sensor.number for sensor in enrolment.sensors()] == [1, 2]


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "ä", "a/b", "'; --"])
def test_names(engine: Engine, name: str) -> None:
    with pytest.raises(RegistryError, match="cannot name a sensor"):
        Enrolment(engine).enrol_sensor(name, "dmz")


def test_accounts(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("admin", "admin", "first password")
    accounts.add("ana", "analyst", "second password")
    logged_in = accounts.login("ana", "second password")
    assert logged_in is not None and logged_in.role == "analyst"
    assert accounts.login("ana", "first password") is None
    assert accounts.login("nobody", "first password") is None
    accounts.set_password("ana", "third password")
    assert accounts.login("ana", "second password") is None and accounts.login("ana", "third password")
    accounts.disable("ana")
    assert accounts.login("ana", "third password") is None and not accounts.enabled("ana")
    assert [account.name for account in accounts.accounts()] == ["admin", "ana"]


def test_passwords_are_not_kept(engine: Engine, tmp_path: Path) -> None:
    Accounts(engine).add("admin", "admin", "a telling password")
    engine.dispose()
    for file in tmp_path.iterdir():
        assert b"telling" not in file.read_bytes()


def test_refusals(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("admin", "admin", "first password")
    for call, says in (
        (lambda: accounts.add("admin", "admin", "first password"), "exists already"),
        (lambda: accounts.add("ana", "queen", "first password"), "roles are viewer, analyst, lead, admin"),
        (lambda: accounts.add("ana", "analyst", "short"), "5 characters; 12 to 1024 are needed"),
        (lambda: accounts.add("ana", "analyst", "Password123456789!"), "little more than"),
        (lambda: accounts.add("anastasia", "analyst", "Anastasia-2026"), "little more than"),
        (lambda: accounts.add("ana", "analyst", "ababababababab"), "2 different characters"),
        (lambda: accounts.set_role("admin", "lead"), "last enabled administrator"),
        (lambda: accounts.set_bounds("admin", Bounds(networks=("10.0.0.0/8",))), "who sees everything"),
        (lambda: accounts.disable("admin"), "last enabled administrator"),
        (lambda: accounts.disable("nobody"), "no account 'nobody'"),
        (lambda: accounts.set_password("nobody", "first password"), "no account 'nobody'"),
    ):
        with pytest.raises(RegistryError, match=says):
            call()


def test_limits_are_kept_and_checked(engine: Engine) -> None:
    Enrolment(engine).enrol_sensor("border", "dmz")
    accounts = Accounts(engine)
    accounts.add("ana", "analyst", "second password")
    kept = accounts.set_bounds("ana", Bounds(("border", "border"), ("10.1.2.3", "dmz"), 1, 2, 30))
    assert kept == Bounds(("border",), ("10.1.2.3/32", "dmz"), 1, 2, 30)
    logged_in = Accounts(engine).login("ana", "second password")
    assert logged_in is not None and logged_in.bounds == kept and accounts.changes("ana") == 1
    for bounds, says in (
        (Bounds(sensors=("inside",)), "no sensor 'inside'"),
        (Bounds(networks=("10.1.2.3/8",)), "has host bits set"),
        (Bounds(networks=("a b",)), "neither a CIDR nor a network's name"),
        (Bounds(first=2, last=1), "ends before it begins"),
    ):
        with pytest.raises(RegistryError, match=says):
            accounts.set_bounds("ana", bounds)
    with engine.begin() as connection:
        connection.execute(text("UPDATE accounts SET bounds = '{}'"))
    with pytest.raises(RegistryError, match="cannot be read"):
        accounts.login("ana", "second password")


def test_tokens(engine: Engine, tmp_path: Path) -> None:
    accounts, tokens = Accounts(engine), Tokens(engine)
    accounts.add("ana", "analyst", "second password")
    secret = tokens.add("nightly", "ana", frozenset({"query"}), 1)
    found = tokens.login(secret)
    assert found is not None and found[0].name == "nightly" and found[1].name == "ana"
    assert tokens.tokens()[0].used is not None and tokens.login(secret + "x") is None
    for call, says in (
        (lambda: tokens.add("nightly", "ana", frozenset({"query"}), 1), "exists already"),
        (lambda: tokens.add("other", "nobody", frozenset({"query"}), 1), "no enabled account 'nobody'"),
        (lambda: tokens.add("other", "ana", frozenset({"root"}), 1), "no scope 'root'"),
        (lambda: tokens.add("other", "ana", frozenset(), 1), "say what the token is for"),
        (lambda: tokens.revoke("other"), "no token 'other'"),
    ):
        with pytest.raises(RegistryError, match=says):
            call()
    with engine.begin() as connection:
        connection.execute(text("UPDATE tokens SET expires = '2020-01-01 00:00:00.000000'"))
    assert tokens.login(secret) is None, "expired"
    other = tokens.add("other", "ana", frozenset({"query"}), 1)
    tokens.revoke("other")
    assert tokens.login(other) is None and not tokens.live("other") and not Tokens(engine).live("other")
    third = tokens.add("third", "ana", frozenset({"query"}), 1)
    accounts.add("boss", "admin", "first password")
    accounts.disable("ana")
    assert tokens.login(third) is None, "its account is disabled"
    engine.dispose()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


def test_who_is_enabled_is_known_without_the_database(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.add("admin", "admin", "first password")
    accounts.add("ana", "analyst", "second password")
    accounts.add("bob", "analyst", "third password")
    accounts.disable("bob")
    again = Accounts(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE accounts RENAME TO gone"))
    for known in (accounts, again):
        assert known.enabled("ana") and not known.enabled("bob") and not known.enabled("nobody")


def test_a_failing_database_is_one_clear_line(engine: Engine) -> None:
    accounts, enrolment = Accounts(engine), Enrolment(engine)
    accounts.add("admin", "admin", "first password")
    accounts.add("ana", "analyst", "second password")
    with engine.begin() as connection:
        for table in ("accounts", "sensors", "console_keys"):
            connection.execute(text(f"ALTER TABLE {table} RENAME TO gone_{table}"))
    for call in (
        lambda: accounts.login("ana", "second password"),
        lambda: accounts.add("bob", "analyst", "third password"),
        lambda: accounts.disable("ana"),
        accounts.accounts,
        lambda: enrolment.enrol_sensor("border", "dmz"),
        lambda: enrolment.add_console("desk"),
        enrolment.keys,
    ):
        with pytest.raises(RegistryError) as caught:
            call()
        assert "no such table" in str(caught.value) and "\n" not in str(caught.value)
    assert accounts.enabled("ana"), "what was not disabled in the database is not locked out either"


def test_a_read_only_database(tmp_path: Path) -> None:
    """By its mode at the driver, since root may write whatever a file's mode says."""
    made = open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    Accounts(made).add("admin", "admin", "first password")
    made.dispose()
    engine = create_engine(f"sqlite:///file:{tmp_path / 'registry.sqlite'}?mode=ro&uri=true")
    with pytest.raises(RegistryError, match="readonly database"):
        Accounts(engine).set_password("admin", "other password")
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "says"), [("nonsense", "parse"), ("sqlight:///x", "sqlight"), ("postgresql+nodriver://h/d", "nodriver")]
)
def test_urls_that_are_none(url: str, says: str) -> None:
    with pytest.raises(RegistryError, match=says) as caught:
        open_database(url)
    assert "\n" not in str(caught.value)


def test_a_database_of_a_later_version(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryError, match=r"was made by a newer Afterfact \(.*9999.*\): update this program"):
        open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
