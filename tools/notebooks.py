"""Run the notebooks of examples/notebooks and keep what they print: `make notebooks`. A test runs them again.

They run on the bundled model, on a CPU, in an empty folder; counts of execution and times are left out, so
that a notebook changes only where what it shows does.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "examples" / "notebooks"
SECONDS = 300
"""The most that a cell may take."""


def run_notebook(path: Path) -> Any:
    """The notebook as it is after all its cells have run, from the first to the last.

    Raises:
        CellExecutionError: a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.metadata = {}
            cell.outputs = [output for output in cell.outputs if not is_aside(output)]
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = None
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def is_aside(output: Any) -> bool:
    """Whether this was said on the side: warnings and progress."""
    return output.output_type == "stream" and output.name == "stderr"


def read_texts(notebook: Any) -> list[str]:
    """What each cell of code shows, as text."""
    return [
        "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb")):
        nbformat.write(run_notebook(path), path)
        print(path.relative_to(ROOT), flush=True)
