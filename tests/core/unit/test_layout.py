"""What CONTRIBUTING asks of folders, files and class names, counted over the whole package."""

import ast
from collections import Counter
from pathlib import Path

import mindscope

PACKAGE = Path(mindscope.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def test_no_folder_holds_more_than_fifteen_modules():
    modules = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert len(modules) > 50
    assert {str(folder.relative_to(PACKAGE)): n for folder, n in modules.items() if n > 15} == {}


def test_no_file_is_longer_than_can_be_read_at_once():
    lengths = {file: len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert {str(file.relative_to(PACKAGE)): n for file, n in lengths.items() if n > 350} == {}


def test_a_class_name_occurs_once():
    names = Counter(
        node.name
        for file in FILES
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert len(names) > 300
    assert [name for name, n in names.items() if n > 1] == []
