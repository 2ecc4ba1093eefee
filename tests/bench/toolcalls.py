"""How many of 18 questions a model answers with the right tool, or without one: `python tests/bench/toolcalls.py`.

Outside the test run: it takes minutes with a model on this machine. Each question is a conversation of its own, with
three tools, or with `--all` that a conversation has. It counts if the tools called are those expected and the answer
holds what their results say. `--calls schema` offers the tools through a schema, where the model table does not say so
anyway; `--model` is any that the program finds.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from assistant.app import App
from assistant.settings import load
from memory.errors import Failure
from memory.records import Message
from tools.toolbox import Toolbox

FILES = {
    "notes.txt": "Dentist: 3 December, 14:30.\nThe wifi password is heron-42.\n",
    "shopping.txt": "- oat milk\n- six lemons\n- candles\n",
    "guests.txt": "1. Marta\n2. Olu\n3. Jin\n4. Priya\n",
    "bill.txt": "Electricity 83.40 EUR\nWater 41.75 EUR\n",
}


OFFERED = ("calculator", "current_time", "read_file")


class ThreeTools(App):
    """The program with as few tools as the questions need."""

    def toolbox(self, *given: Any) -> Toolbox:
        """Those of its tools."""
        tools = [one for one in super().toolbox(*given).tools if one.name in OFFERED]
        return Toolbox(tools, self.counter.text, self.settings.tool_tokens)


@dataclass(frozen=True)
class Case:
    """A question, the tools that it needs in any order, and what its answer must hold; {time}: the clock's result."""

    question: str
    tools: tuple[str, ...]
    answer: str


CASES = (
    Case("What is 17 * 23?", ("calculator",), r"391"),
    Case("How much is 15 % of 249.90?", ("calculator",), r"37[.,](49|48)"),
    Case("What is the square root of 2025, plus 7.5?", ("calculator",), r"52[.,]5"),
    Case("I buy 3 coffees at 4.35 each and a cake for 12.80. How much is that?", ("calculator",), r"25[.,]85"),
    Case("Please work out 2 to the power of 31.", ("calculator",), r"2,?147,?483,?648"),
    Case("What time is it in Tokyo right now?", ("current_time",), "{time}"),
    Case("What time is it now?", ("current_time",), "{time}"),
    Case("Is it already evening in New York? Tell me the time there.", ("current_time",), "{time}"),
    Case("Tell me the present time in UTC.", ("current_time",), "{time}"),
    Case("Read the file notes.txt and tell me when the dentist appointment is.", ("read_file",), r"14[:.]30|2:30"),
    Case("What is the wifi password? It is in notes.txt.", ("read_file",), r"heron-42"),
    Case("What does the file shopping.txt say that I should buy?", ("read_file",), r"lemons"),
    Case("Who is the second guest in guests.txt?", ("read_file",), r"Olu"),
    Case("What is the sum of the two amounts in bill.txt?", ("calculator", "read_file"), r"125[.,]15"),
    Case("Hello!", (), r"\w"),
    Case("Thanks, that helped.", (), r"\w"),
    Case("What is the capital of France?", (), r"Paris"),
    Case("Give me an example of a JSON object with a name and an age.", (), r'"name"'),
)


def as_said(result: str) -> str:
    """A pattern of the clock's time of day in an answer: to the minute, in 24 or 12 hours."""
    found = re.search(r"T(\d\d):(\d\d)", result)
    if not found:
        return r"(?!)"
    hour, minute = int(found[1]), found[2]
    half, other = "ap" if hour < 12 else "pa"
    in_24 = rf"(?<!\d)0?{hour}[:.]{minute}(?!(:\d\d)? ?{other}\.?m)"
    return rf"{in_24}|(?<!\d)0?{hour % 12 or 12}[:.]{minute}(:\d\d)? ?{half}\.?m"


def judged(case: Case, messages: Iterable[Message]) -> tuple[str, str, str]:
    """What a turn was worth: what is wrong with it ("" is nothing), the calls, and the answer."""
    results = [one for one in messages if one.role == "tool"]
    said = [one for one in messages if one.role == "assistant"]
    calls = [call for one in said for call in one.tool_calls]
    told = "; ".join(f"{call.name} {call.arguments}" for call in calls)
    answer = said[-1].content if said else ""
    wanted = case.answer.replace("{time}", "|".join(as_said(one.content) for one in results) or "(?!)")
    if {call.name for call in calls} != set(case.tools):
        return "tool", told, answer
    return ("" if re.search(wanted, answer, re.IGNORECASE) else "answer"), told, answer


def main() -> None:
    """Ask all questions and print a line for each, and the share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="as of `assistant --model`; else what the settings choose")
    parser.add_argument("--calls", choices=["auto", "schema"], default="auto")
    parser.add_argument("--all", action="store_true", help="offer all tools that a conversation has")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files, home = Path(folder, "files"), Path(folder, "home")
        files.mkdir()
        for name, text in FILES.items():
            (files / name).write_text(text, encoding="utf-8")
        chosen, _ = load({"model": given.model, "tool_calls": given.calls})
        settings = chosen._replace(
            home=home, folders=(str(files),), recall_tokens=0, models_dir=str(chosen.weights), max_steps=6
        )
        with closing((App if given.all else ThreeTools)(settings, print)) as app:
            right = sum(asked(app, case) for case in CASES)
    print(f"{right} of {len(CASES)} with {app.choice.name}, {given.calls}")


def asked(app: App, case: Case) -> bool:
    """Ask one question; prints how it went."""
    chat, began, messages = app.chat(), time.monotonic(), list[Message]()
    try:
        messages += (event for event in chat.turn(case.question) if isinstance(event, Message))
        wrong, calls, answer = judged(case, messages)
    except Failure as error:
        wrong, calls, answer = type(error).__name__, judged(case, messages)[1], error.message
    chat.end()
    print(f"{wrong or 'right':8} {time.monotonic() - began:5.0f} s  {case.question}")
    print(f"          {calls or '-'}\n          {' '.join(answer.split())[:200]}", flush=True)
    return not wrong


if __name__ == "__main__":
    main()
