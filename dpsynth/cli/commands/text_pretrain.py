"""`text pretrain`: a small language model from public text, for tests, teaching and places without a model hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import AsJson

if TYPE_CHECKING:
    from dpsynth.text.backends.pretraining import Recipe


def pretrain(
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="public texts: .txt (a line each), .jsonl, .csv, .parquet; may be repeated. Without it: Python's help "
            "topics and docstrings of installed packages",
        ),
    ] = None,
    text_column: Annotated[str | None, typer.Option("--text-column", "-t", help="column or field of the texts")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="of the optimizer, 1,024 tokens each; default 2,000")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="stop after so many")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="a new folder; default, for the embedded text, this machine's cache"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a small GPT-2 on public text; `--model FOLDER` uses it. Never give it private text: it has no privacy."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.core.errors import ParameterError

    terminal = Terminal(as_json=as_json)
    own = source or steps is not None or minutes is not None
    if own and output is None:
        raise typer.BadParameter("a recipe or text of your own needs a folder to go to", param_hint="--output")
    if output is not None and output.exists():
        raise ParameterError(f"{output} is there already, and nothing is overwritten.", "Name a new folder with -o.")
    from dpsynth.text.backends.tiny import ensured, trained

    with terminal.progress() as progress:
        if output is None:
            told = trained(ensured("tiny", progress=progress))
        else:
            from dpsynth.text.backends.embedded_text import documents
            from dpsynth.text.backends.tiny import train_into

            texts = _read(source, text_column) if source else documents()
            train_into(output, texts, _recipe(steps, minutes), progress=progress)
            told = trained(output)
    model = "tiny" if output is None else str(output)
    terminal.say(f"Wrote {told['folder']}: {told['parameters']:,} parameters, {told['tokens']:,} tokens read.")
    bits, perplexity = told["bits_per_character"], told["perplexity"]
    terminal.say(f"Held-out text: {bits:.2f} bits a character, perplexity {perplexity:.0f} a token.")
    terminal.say(f"Use it with --model {model}. The text it learned counts as public: no budget paid for it.")
    terminal.result({"model": model, **told})


def _recipe(steps: int | None, minutes: float | None) -> Recipe:
    from dataclasses import replace

    from dpsynth.text.backends.pretraining import TINY

    if minutes is not None:
        return replace(TINY, minutes=minutes, steps=steps or 10_000_000)
    return replace(TINY, steps=steps or TINY.steps)


def _read(paths: list[Path], column: str | None) -> list[str]:
    from dpsynth.cli.commands.texts import read_texts

    return [text for path in paths for text in read_texts("public", path, column)]
