"""`assistant eval`: how well recall finds, and whether answers come about as expected, measured with known cases."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from assistant.app import App
from assistant.cli.import_ import embed
from assistant.cli.options import (
    count,
    file_path,
    first_few,
    json_option,
    mode_option,
    model_option,
    open_app,
    shortened,
)
from assistant.cli.terminal import Output
from memory import cases, evaluation
from memory.cases import CaseFile, Question
from memory.errors import BadInput
from memory.evaluation import Result
from memory.importers.parsed import Bad
from memory.manager import Recalled
from memory.store import Store

SCHEMA = "assistant.eval/1"
HITS = 60


@click.command()
@click.argument("files", metavar="[CASES]...", nargs=-1, type=file_path(exists=True))
@click.option("--inject", is_flag=True, help="Measure what would go into a prompt.")
@click.option("--smalltalk", type=file_path(exists=True), help="Lines that are to get nothing; with --inject.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=HITS, show_default=True, help="Hits asked for a question."
)
@mode_option
@click.option("--misses", metavar="N", type=click.IntRange(min=0), default=0, help="Show the N worst misses.")
@click.option("--trajectories", type=file_path(exists=True), help="Ask these questions instead; see below.")
@click.option("--only", metavar="ID", multiple=True, help="Only this trajectory; may be given again.")
@model_option
@json_option
def command(
    files: tuple[Path, ...],
    inject: bool,
    smalltalk: Path | None,
    limit: int,
    mode: str,
    misses: int,
    trajectories: Path | None,
    only: tuple[str, ...],
    model: str | None,
    as_json: bool,
) -> int:
    """Measure recall with cases of your own: JSON lines of questions, and of the messages that answer them.

    Where CASES hold sessions too, a memory of these is built in a temporary folder, and yours is not touched.
    Otherwise the questions are asked of your own memory, which is only read. See docs/eval.md for the form.

    With --trajectories the questions of that file are answered, each in a memory of its own, and it is told where the
    calls of tools or the answer differ from what is expected; the exit code is 1 if any does. A case with a script is
    answered by it, unless --model names a real one. See docs/trajectories.md.
    """
    if trajectories:
        if files or inject or smalltalk or misses:
            raise click.UsageError("--trajectories stands alone: it measures answers, and the rest measures recall.")
        from assistant.cli.trajectories import judged

        return judged(*open_app(model=model), trajectories, only, real=model is not None, as_json=as_json)
    if only or model:
        raise click.UsageError("--only and --model go with --trajectories.")
    if not (files or smalltalk):
        raise click.UsageError("Give files of cases, or --smalltalk FILE.")
    if smalltalk and not inject:
        raise click.UsageError("--smalltalk measures what goes into a prompt: add --inject.")
    app, output = open_app()
    read = [cases.read(path) for path in files]
    if told_bad(output, [(one.path, bad) for one in read for bad in one.bad]):
        return 1
    questions = asked(read, smalltalk)
    with memory_of(app, output, read, mode) as measured:
        if measured is None:
            return 1
        results = ask_all(measured, output, questions, limit, mode, inject)
        size = sizes(measured.memory.store)
    if as_json:
        output.json({"schema": SCHEMA, "mode": mode, "inject": inject, **size, **report(results, inject, misses)})
    else:
        output.note(f"Asked of {count(size['sessions'], 'session')}, {count(size['messages'], 'message')}.")
        show(output, results, inject, misses)
    return 0


def asked(files: Sequence[CaseFile], smalltalk: Path | None) -> list[Question]:
    """All questions. Raises BadInput where there are none, or two of one id."""
    found = [question for file in files for question in file.questions]
    found += cases.small_talk(smalltalk) if smalltalk else []
    if not found:
        raise BadInput("There is no question in these files.", f"Each is a JSON line of the schema {cases.SCHEMA}.")
    times = Counter(question.id for question in found)
    if len(times) < len(found):
        raise BadInput(f"Several questions have the id {times.most_common(1)[0][0]}.", "Give each its own.")
    return found


def told_bad(output: Output, bad: Sequence[tuple[Path, Bad]]) -> bool:
    """Tell of the lines that cannot be used, and whether there are any: figures without them would mean nothing."""
    for line in first_few([f"{path}, line {one.line}: {one.reason}." for path, one in bad]):
        output.error(line)
    return bool(bad)


@contextmanager
def memory_of(app: App, output: Output, files: Sequence[CaseFile], mode: str) -> Iterator[App | None]:
    """The owner's own memory, or one that is built of the files' sessions for the time being; None if they are bad."""
    if not any(file.sessions for file in files):
        yield app
        return
    with (
        tempfile.TemporaryDirectory(prefix="assistant-eval-") as folder,
        closing(App(app.settings._replace(home=Path(folder)), app.say)) as built,
    ):
        bad = [(file.path, one) for file in files if file.sessions for one in fill(built, output, file)]
        if told_bad(output, bad):
            yield None
            return
        if mode != "words":
            embed(built, output)
        yield built


def fill(app: App, output: Output, file: CaseFile) -> tuple[Bad, ...]:
    """Put the sessions of a file into a memory; returns the lines that cannot be used."""
    from memory.importers.run import import_file

    with output.progress(f"reading {file.path.name}", file.path.stat().st_size) as progress:
        return import_file(
            file.path,
            app.memory.store,
            app.counter,
            mine=True,
            owes=False,
            progress=lambda done, _total: progress.update(done),
            reader=file.conversations,
        ).bad


def ask_all(
    app: App, output: Output, questions: Sequence[Question], limit: int, mode: str, inject: bool
) -> list[Result]:
    """Ask what can be measured, and tell of the ids that the memory does not know."""
    wanted, problems = cases.wanted(app.memory.store, questions)
    for line in first_few(problems, "such ids"):
        output.note(line)
    left = [one for one in questions if one.id in wanted and (inject or wanted[one.id].sessions)]
    if not left:
        remedy = "Name ids of this memory; what wants nothing is measured with --inject."
        raise BadInput("No question is left to ask.", remedy)
    ask(app, left[0], limit, mode, inject)  # the first recall of a process loads what the others share
    results, trouble = [], ""
    with output.progress("asking", len(left)) as progress:
        for done, one in enumerate(left, 1):
            began = time.perf_counter()
            recalled = ask(app, one, limit, mode, inject)
            results.append(Result(one, wanted[one.id], recalled.hits, (time.perf_counter() - began) * 1000))
            trouble = trouble or recalled.trouble
            progress.update(done)
    if trouble:
        output.note(trouble)
    return results


def ask(app: App, question: Question, limit: int, mode: str, inject: bool) -> Recalled:
    """One recall, for the owner or as for a prompt."""
    if inject:
        return app.memory.recall_for_prompt(question.text, app.recall_budget(), mode=mode, at=question.at)
    return app.memory.recall(question.text, limit=limit, mode=mode, at=question.at)


def sizes(store: Store) -> dict[str, int]:
    """How large the memory is that was asked."""
    return {what: store.number(f"SELECT count(*) FROM {what}") for what in ("sessions", "messages")}


# ---------------------------------------------------------------------- what is shown


def report(results: Sequence[Result], inject: bool, misses: int) -> dict[str, Any]:
    """The figures as JSON."""
    figures = evaluation.of_prompts if inject else evaluation.of_recall
    categories = evaluation.by_category(results)
    return {
        "all": rounded(figures(results)),
        "categories": {name: rounded(figures(found)) for name, found in categories.items()},
        "misses": [miss(one) for one in worst(results, inject)[:misses]],
    }


def rounded(figures: evaluation.Figures) -> evaluation.Figures:
    """Figures with as many places as mean anything."""
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in figures.items()}


def worst(results: Sequence[Result], inject: bool) -> list[Result]:
    """What went wrong, the worst first."""
    return evaluation.misses_of_prompts(results) if inject else evaluation.misses_of_recall(results)


def miss(one: Result) -> dict[str, Any]:
    """A miss as JSON."""
    shown = [hit.text for hit in one.hits] if one.wants_nothing else []
    return {
        "id": one.question.id,
        "question": one.question.text,
        **evaluation.ranks(one),
        **({"shown": shown} if shown else {}),
    }


def show(output: Output, results: Sequence[Result], inject: bool, misses: int) -> None:
    """The figures for people: a table with a row for all and for each category, then the misses."""
    figures = report(results, inject, misses)
    rows = [("all", figures["all"]), *figures["categories"].items()]
    output.table(["", *figures["all"]], [[name, *map(cell, found, found.values())] for name, found in rows])
    for one in figures["misses"]:
        output.entry(f"{one['id']}  {one['question']}", "; ".join(places(one, inject)))


def cell(name: str, value: float | None) -> str:
    """A figure of a table: shares in per cent."""
    if value is None:
        return "-"
    share = name in {"any@1", "all@5", "recall@10", "right", "noise"}
    return f"{100 * value:.1f}" if share else f"{value:.1f}" if name.endswith("_ms") else f"{value:.0f}"


def places(one: dict[str, Any], inject: bool) -> Iterator[str]:
    """Where what is right stands among what was named, or what was shown for nothing."""
    yield from (f"shown for nothing: {shortened(text)}" for text in one.get("shown", ()))
    for kind in ("messages", "sessions"):
        for name, rank in one[kind].items():
            other = ", in other words" if inject and kind == "messages" else ""
            yield f"{kind[:-1]} {name} {f'is number {rank}{other}' if rank else 'is missing'}"
