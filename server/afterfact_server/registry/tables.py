"""Tables of the relational store. Every change here is a numbered step in migrations/versions as well."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
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
