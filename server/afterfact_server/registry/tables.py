"""Tables of the relational store. Every change here is a numbered step in migrations/versions as well."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Times are naive UTC: SQLite keeps no zone."""


class Sensor(Base):
    """One tap. `number` stands for its name in the session store and is never given again."""

    __tablename__ = "sensors"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    net: Mapped[str] = mapped_column(String(64))
    enrolled: Mapped[datetime]
    revoked: Mapped[datetime | None]
    keys: Mapped[list["SensorKey"]] = relationship(back_populates="sensor")

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's own declaration


class SensorKey(Base):
    """A CURVE public key of a sensor; rotation lets two be valid for a while."""

    __tablename__ = "sensor_keys"

    public_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    sensor_number: Mapped[int] = mapped_column(ForeignKey("sensors.number"))
    created: Mapped[datetime]
    revoked: Mapped[datetime | None]
    sensor: Mapped[Sensor] = relationship(back_populates="keys")


class ConsoleKey(Base):
    """A CURVE public key that may reach the consoles' port, where a login is then asked for."""

    __tablename__ = "console_keys"

    public_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Account(Base):
    """A person who may log in. Never deleted: what they did must stay attributable."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(String(255))
    created: Mapped[datetime]
    disabled: Mapped[datetime | None]
    bounds: Mapped[str] = mapped_column(Text(), default="", server_default="")
    """What of the sessions it may see (bounds.py), as JSON; empty: all."""


class SetVersion(Base):
    """A named result set as somebody saved it. The highest number of a name is what counts; older ones are its
    history, and one whose action is "delete" says that there is none any more."""

    __tablename__ = "set_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    token: Mapped[int] = mapped_column(BigInteger, unique=True)
    """Random: what the session store calls the values, whatever registry it was used with before."""
    action: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    live: Mapped[bool]
    query: Mapped[str] = mapped_column(Text)
    field: Mapped[str] = mapped_column(String(32))
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[datetime]
    count: Mapped[int]
    networks: Mapped[int]
    coverage: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Its values, packed and compressed; of live ones, and of old versions, none."""
    comments: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (UniqueConstraint("name", "number"),)


class ExclusionVersion(Base):
    """A shared exclusion as somebody made it; of a name the highest number counts."""

    __tablename__ = "exclusion_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    number: Mapped[int]
    condition: Mapped[str] = mapped_column(Text)
    by_default: Mapped[bool]
    expires: Mapped[datetime | None]
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[datetime]
    note: Mapped[str] = mapped_column(Text)
    removed: Mapped[bool]

    __table_args__ = (UniqueConstraint("name", "number"),)


class SavedVersion(Base):
    """A query or a view as somebody saved it for the team; of kind, folder and name the highest number counts."""

    __tablename__ = "saved_versions"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    folder: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(String(128))
    text: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text)
    number: Mapped[int]
    made_by: Mapped[str] = mapped_column(String(64))
    made: Mapped[datetime]
    removed: Mapped[bool]

    __table_args__ = (UniqueConstraint("kind", "folder", "name", "number"),)


class Token(Base):
    """What a script logs in with, in an account's name. Never deleted either."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the token, in hex: it has 256 random bits, so a slow hash would add nothing."""
    scopes: Mapped[str] = mapped_column(String(255))
    """permissions.SCOPES, apart by blanks."""
    created: Mapped[datetime]
    expires: Mapped[datetime]
    revoked: Mapped[datetime | None]
    used: Mapped[datetime | None]
    """When it last logged in."""
    account: Mapped[Account] = relationship()
