"""Conversations out of the files they are kept in: JSON lines, CSV, Parquet, saved Hugging Face datasets."""

from mindscope.data.conversations import Conversation, parse_conversation
from mindscope.data.files import FileRecord, csv_header, read_conversations, read_records
from mindscope.data.messages import ChatMessage
from mindscope.data.source import ConversationSource, Data

__all__ = [
    "Conversation",
    "ChatMessage",
    "FileRecord",
    "parse_conversation",
    "read_conversations",
    "read_records",
    "Data",
    "ConversationSource",
    "csv_header",
]
