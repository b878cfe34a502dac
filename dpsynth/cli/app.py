"""Entry point: the command tree, and the one boundary where errors become exit codes.

Exit codes: 0 ok or ship, 1 error, 2 usage, 3 regenerate, 4 reject, 5 verification failed, 6 budget refused, 7 a review
or approval is missing, 130 interrupted. Commands live in `dpsynth/cli/commands`; nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from dpsynth.cli.commands import (
    budget,
    card,
    compare,
    console,
    data,
    demo,
    draft,
    drift,
    governance,
    judge,
    keys,
    ledger,
    plan,
    procedure,
    report,
    run,
    sample,
    text,
    verify,
    workspace,
)
from dpsynth.cli.exit_codes import exit_code
from dpsynth.cli.typed_secrets import WARNING, Typed
from dpsynth.core.errors import DpsynthError

HELP = """Private tables in, synthetic tables out: with a budget, an attack report and a signature.

Nothing synthetic leaves a workspace without an epsilon budget entry and a passing attack report, and whoever
receives it can check both with a public key: dpsynth verify BUNDLE --key release.pub

Start with: dpsynth demo
"""

app = typer.Typer(
    name="dpsynth",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    demo,
    workspace,
    data,
    text,
    sample,
    compare,
    plan,
    budget,
    draft,
    drift,
    judge,
    governance,
    procedure,
    report,
    run,
    verify,
    card,
    console,
    ledger,
    keys,
):
    module.add_to(app)


def _whole_sentences(group: typer.Typer) -> None:
    """List each command with the whole first sentence of its help, which would else be cut at 45 characters."""
    for command in group.registered_commands:
        command.short_help = (command.callback.__doc__ or "").partition("\n")[0]
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _whole_sentences(inner.typer_instance)


_whole_sentences(app)


def main() -> None:
    """Run the command line and leave with the documented exit code.

    Arrow takes its memory from the system's allocator unless the user chose another: the one it comes with keeps 37 MiB
    more (Adult, `mst`: 259 against 222 MiB at the same time). Arrow reads the variable when it is first imported.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command in this process; returns the exit code and never raises."""
    as_json = "--json" in arguments
    typed = Typed.of(arguments)
    if typed:
        print(f"warning: {WARNING}", file=sys.stderr)  # noqa: T201
    try:
        left = app(arguments, standalone_mode=False)
    except TyperException as wrong:
        return _usage(wrong, typed, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        stopped = DpsynthError("Interrupted before anything was reserved or written.")
        return _report(stopped, typed, as_json=as_json, code=130)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader has gone; nothing is left to say
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary: every error leaves as a sentence and a code
        return _report(error, typed, as_json=as_json)
    return left if isinstance(left, int) else 0


def _usage(error: TyperException, typed: Typed, *, as_json: bool) -> int:
    """A command line that cannot be understood, as typer shows it, and as JSON if asked for; exit code 2."""
    import json

    show = getattr(error, "show", None)
    if show is not None and not typed:
        show()
    else:
        print(f"error: {typed.without(error.format_message())}", file=sys.stderr)  # noqa: T201
    if as_json:
        message = typed.without(error.format_message())
        told = {"type": "UsageError", "message": message, "remedy": "See: dpsynth COMMAND --help"}
        print(json.dumps({"error": told}))  # noqa: T201
    return error.exit_code


def _report(error: Exception, typed: Typed, *, as_json: bool, code: int | None = None) -> int:
    """Print an error for a person or a machine; returns its exit code, or `code`."""
    import json

    from dpsynth.cli.terminal import printable

    known = _as_ours(error)
    if known is None:
        if os.environ.get("DPSYNTH_DEBUG"):
            raise error
        # The text of a foreign exception may hold a cell value, so only its type is shown.
        known = DpsynthError(
            f"An unexpected {type(error).__name__} stopped the command; this is a defect of dpsynth.",
            "Nothing was released. Run again with DPSYNTH_DEBUG=1 to see where, and report it without the data.",
        )
    if as_json:
        facts = known.to_json() | {"type": type(error).__name__}
        print(json.dumps({"error": {name: typed.without(text) for name, text in facts.items()}}))  # noqa: T201
    print(f"error: {printable(typed.without(known.message), 1500)}", file=sys.stderr)  # noqa: T201
    if known.remedy:
        print(f"  -> {printable(typed.without(known.remedy), 1500)}", file=sys.stderr)  # noqa: T201
    return exit_code(error) if code is None else code


def _as_ours(error: Exception) -> DpsynthError | None:
    """`error` if a user is meant to read it: ours, or of one of the two leaves; otherwise None."""
    if isinstance(error, DpsynthError):
        return error
    from accounting.errors import AccountingError
    from attacks.errors import AttackError

    if isinstance(error, AccountingError | AttackError):
        return DpsynthError(error.message, error.remedy)
    if isinstance(error, OSError):
        return DpsynthError(
            f"{error.strerror or type(error).__name__}: {error.filename}.", "Check path and permissions."
        )
    return None
