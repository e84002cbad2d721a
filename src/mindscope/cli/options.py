"""Options and arguments that several commands share."""

from typing import Annotated

import typer

ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A Hugging Face name or folder, or `organism`, the bundled model."),
]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, or auto.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
BaseUrl = Annotated[str | None, typer.Option(help="The address of an OpenAI-compatible endpoint.")]
