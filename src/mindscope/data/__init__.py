"""Conversations out of the files they are kept in: JSON lines, CSV, Parquet, saved Hugging Face datasets."""

from mindscope.data.conversations import Conversation, Message, parse_conversation
from mindscope.data.files import Record, csv_header, read_conversations, read_records
from mindscope.data.source import Data, Source

__all__ = [
    "Conversation",
    "Message",
    "Record",
    "parse_conversation",
    "read_conversations",
    "read_records",
    "Data",
    "Source",
    "csv_header",
]
