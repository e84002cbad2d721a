"""The tables of the monitor's log."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("started", Float, nullable=False),  # seconds since 1970
)

TURNS = Table(
    "turns",
    METADATA,
    Column("id", String(64), primary_key=True),  # of the reply, with the number of the choice
    Column("conversation", String(128), ForeignKey("conversations.id"), nullable=False),
    Column("created", Float, nullable=False),
    Column("model", String(512), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("finish", String(16), nullable=False),  # stop, length, halted
    Column("prompt_tokens", Integer, nullable=False),
    Column("answer_tokens", Integer, nullable=False),
    Column("first_seconds", Float),  # to the first token
    Column("seconds", Float, nullable=False),
    Column("policy", String(16)),
    Column("pushed_tokens", Integer, nullable=False),
    Column("steering", Text, nullable=False),  # JSON: what was asked for, and what was measured
    Column("prompt", Text),  # only where texts are kept
    Column("answer", Text),
    Index("turns_by_conversation", "conversation"),
    Index("turns_by_time", "created"),
)

READINGS = Table(
    "readings",
    METADATA,
    Column("turn", String(64), ForeignKey("turns.id"), primary_key=True),
    Column("feature", String(512), primary_key=True),
    Column("before", Float),  # at the prompt's last token
    Column("mean", Float),
    Column("tokens", Text, nullable=False),  # JSON: one reading a token, to four digits
)

EVENTS = Table(
    "events",
    METADATA,
    Column("turn", String(64), ForeignKey("turns.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("feature", String(512), nullable=False),
    Column("token", Integer),
    Column("value", Float, nullable=False),
    Column("level", Float, nullable=False),
)

TABLES = (CONVERSATIONS, TURNS, READINGS, EVENTS)
"""In an order in which each refers only to those before it."""
