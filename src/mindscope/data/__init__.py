"""Conversations out of the files they are kept in: JSON lines, CSV, Parquet, saved Hugging Face datasets."""

from mindscope.data.conversations import Conversation, Message, parse_conversation
from mindscope.data.files import read_conversations

__all__ = ["Conversation", "Message", "parse_conversation", "read_conversations"]
