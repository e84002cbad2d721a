"""Conversations out of whatever they are kept in: forms of rows, kinds of files, data sets on the hub."""

from mindscope.data.columns import parse_columns
from mindscope.data.conversations import Conversation, parse_conversation
from mindscope.data.data_file import DataFile
from mindscope.data.files import FILE_KINDS, SUFFIXES, FileKind, FileRecord
from mindscope.data.forms import FORMS, RowForm
from mindscope.data.messages import ChatMessage
from mindscope.data.reading import read_conversations, read_records
from mindscope.data.source import ConversationSource, Data, digest_data
from mindscope.data.survey import DataSurvey, survey_rows

__all__ = [
    "Conversation",
    "ChatMessage",
    "FileRecord",
    "parse_conversation",
    "read_conversations",
    "read_records",
    "Data",
    "DataFile",
    "DataSurvey",
    "ConversationSource",
    "FORMS",
    "FILE_KINDS",
    "SUFFIXES",
    "FileKind",
    "RowForm",
    "digest_data",
    "parse_columns",
    "survey_rows",
]
