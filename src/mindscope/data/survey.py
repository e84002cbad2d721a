"""A look through all rows before anything expensive is done: forms, what is not read, what is malformed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mindscope.data.files import FileRecord
from mindscope.data.remarks import REJECTED, UNREAD, list_remarks
from mindscope.errors import DataError

SHOWN_FORMS = 4


@dataclass(frozen=True)
class DataSurvey:
    """What was found in the rows of a file.

    Attributes:
        rows: how many there are, malformed ones included.
        forms: how many rows have each form.
        remarks: what was not read or written otherwise, with the number of rows; see `data/remarks.py`.
        malformed: how many rows cannot be read.
        first_malformed: file, line and reason of the first of them.
    """

    rows: int
    forms: Mapping[str, int] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)
    malformed: int = 0
    first_malformed: str | None = None

    def describe(self, name: str, *, read: Sequence[str] = ()) -> str:
        """One line for people; `read` are columns that this command reads too, and `rejected` answers."""
        forms = sorted(self.forms.items(), key=lambda item: -item[1])
        kinds = ", ".join(f"{count} {form}" for form, count in forms[:SHOWN_FORMS])
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        parts = [f"{name}: {rows}" + (f" ({kinds})" if kinds else "")]
        if self.malformed:
            parts.append(f"malformed: {self.malformed}, the first: {self.first_malformed}")
        quiet = [REJECTED if column == "rejected" else f"{UNREAD}: {column}" for column in read]
        unread = {remark: rows for remark, rows in self.remarks.items() if remark not in quiet}
        return "; ".join([*parts, *list_remarks(unread)])

    def require_whole(self) -> None:
        """Refuse data with a malformed row.

        Raises:
            DataError: file, line and reason of the first.
        """
        if self.first_malformed is not None:
            raise DataError(self.first_malformed)


def survey_rows(records: Iterable[FileRecord], label: str, *, refuse: bool = False) -> DataSurvey:
    """Read every row as a conversation, and keep the counts alone.

    Args:
        records: of a file.
        label: of the file, for what is said of its rows.
        refuse: stop at the first malformed row.

    Raises:
        DataError: the file cannot be read, or with `refuse` the first malformed row.
    """
    rows = malformed = 0
    forms, remarks, first = Counter[str](), Counter[str](), None
    for record in records:
        rows += 1
        try:
            conversation = record.conversation()
        except DataError as error:
            located = f"{label}, {record.place}: {error}"
            if refuse:
                raise DataError(located) from None
            malformed, first = malformed + 1, first or located
        else:
            forms[conversation.form] += 1
            remarks.update(conversation.remarks)
    return DataSurvey(rows, dict(forms), dict(remarks), malformed, first)
