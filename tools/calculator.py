"""Arithmetic, so that the model need not guess. Every number is bounded, so that no expression takes long."""

import ast
import math
import operator
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from tools.tool import Tool, tool

MAX_CHARACTERS = 1_000
MAX_BITS = 3_322  # a thousand decimal digits
MAX_FACTORIAL = 400
MAX_PLACES = 1_000

_SYMBOLS = str.maketrans({"^": "**", "×": "*", "÷": "/", "−": "-"})
_TOKEN = re.compile(
    r"(?P<number>(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[a-zA-Z_]\w*)|(?P<sign>\*\*|//|[-+*/%(),])",
    re.ASCII,
)


def calculator_tool() -> Tool:
    """Return the calculator as a tool."""
    return tool(calculator)


def calculator(expression: str) -> str:
    """Work out an arithmetic expression such as "2^10 / 3", "sqrt(2) * pi" or "max(3, 17 % 5)".

    Operators: + - * / // (whole division) % (remainder) ** and ^ (both power) and parentheses.
    Functions: sqrt sin cos tan log ln log10 exp floor ceil round abs min max factorial.
    Constants: pi e tau. Angles are in radians; log(x) is natural, log(x, base) is not.
    round(x, places) rounds halves to the even neighbour. Whole numbers are exact, others have 15 digits.
    Percentages and commas inside numbers are not understood: write 15 / 100 * 80 and 1234.5.

    Args:
        expression: The expression, with numbers such as 1234.5 or 1e6.

    Raises:
        ValueError: It is no such expression, has no real value or a value too large; the message is for the model.
    """
    text = _checked_text(expression)
    try:
        return _printed(_evaluator().eval(text, previously_parsed=ast.parse(text, mode="eval").body))
    except SyntaxError as error:
        raise ValueError(f"this is no expression: {error.msg}") from error
    except ZeroDivisionError as error:
        raise ValueError("division by zero") from error
    except OverflowError as error:
        raise ValueError("a number is too large; only whole numbers may exceed 1.8e308") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("the expression has too many parts; work it out in pieces") from error
    except (InvalidExpression, TypeError) as error:
        raise ValueError(str(error)) from error


# Reading. Python's own parser would take "15% + 3" and "max(1,000, 2)" to mean something nobody meant.


def _checked_text(expression: str) -> str:
    """Return the expression in Python's notation; raise ValueError where it might mean something else."""
    if len(expression) > MAX_CHARACTERS:
        raise ValueError(f"the expression has {len(expression):,} characters; {MAX_CHARACTERS:,} is the limit")
    tokens = _tokens(" ".join(expression.translate(_SYMBOLS).split()))
    if not tokens:
        raise ValueError("the expression is empty")
    for check in (_check_percent, _check_word, _check_gap):
        for left, right in pairwise([*tokens, ""]):
            check(left, right)
    return " ".join(tokens)


def _tokens(text: str) -> list[str]:
    tokens = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            raise ValueError(f'"{text[place]}" is not understood; use numbers, operators and functions only')
        tokens.append(found[0])
        place = found.end() + (text[found.end() : found.end() + 1] == " ")
    return tokens


def _check_percent(left: str, right: str) -> None:
    if left == "%" and not _begins_value(right):
        raise ValueError('"%" is the remainder, as in 17 % 5 or 17 % (-5); write 15 percent of 80 as 15 / 100 * 80')


def _check_word(left: str, right: str) -> None:
    if left.isidentifier() and not _is_known(left):
        raise ValueError(f'"{left}" is not known; there are {", ".join([*_FUNCTIONS, *_CONSTANTS])}')
    if left in _FUNCTIONS and right != "(":
        raise ValueError(f'"{left}" is a function: write {left}(...)')
    if re.match(r"0\d", left):
        raise ValueError(f'"{left}" begins with a zero; write numbers without commas, as 1000')


def _check_gap(left: str, right: str) -> None:
    ends_value = left == ")" or (left not in _FUNCTIONS and _begins_value(left) and left != "(")
    if ends_value and _begins_value(right):
        raise ValueError(f'an operator is missing between "{left}" and "{right}"')


def _begins_value(part: str) -> bool:
    return part == "(" or part[:1].isdigit() or part[:1] == "." or _is_known(part)


def _is_known(word: str) -> bool:
    return word in _FUNCTIONS or word in _CONSTANTS


# Working out. Operands are bounded before each operation, so a product is at most twice as long as allowed.


def _evaluator() -> Any:
    """Return an evaluator that knows numbers, our operators and our functions, and nothing else of Python."""
    evaluator = SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names=_CONSTANTS)
    kept = {kind: evaluator.nodes[kind] for kind in (ast.Name, ast.UnaryOp, ast.BinOp, ast.Call)}
    evaluator.nodes = {**kept, ast.Constant: lambda node: _bounded(node.value), ast.Tuple: _refuse_comma}
    return evaluator


def _refuse_comma(_node: ast.AST) -> Any:
    raise ValueError("a comma only parts the arguments of a function; write 1234.5, not 1,234.5 or 1234,5")


def _bounded(value: Any) -> Any:
    if isinstance(value, complex):
        # A negative number to a broken power: right in type, but no value the caller can use.
        raise ValueError("the value is not a real number")  # noqa: TRY004
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise ValueError("a whole number has more than 1,000 digits, which is the limit")
    elif not math.isfinite(value):
        raise ValueError("a number is too large; only whole numbers may exceed 1.8e308")
    return value


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *numbers: _bounded(function(*numbers))


def _defined(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of the math module say where it has no value; its own words differ from Python to Python."""

    def called(*numbers: Any) -> Any:
        try:
            return _bounded(function(*numbers))
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f"{name}({', '.join(map(_printed, numbers))}) has no real value") from error

    return called


def _ln(number: float) -> float:
    return math.log(number)


def _divide(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int) and right and left % right == 0:
        return left // right  # exact, where a float would lose digits
    return left / right


def _power(base: float, exponent: float) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and (abs(base).bit_length() - 1) * exponent > MAX_BITS:
        raise ValueError("a power has more than 1,000 digits, which is the limit")
    return base**exponent


def _round(number: float, places: int | None = None) -> float:
    if places is not None and abs(places) > MAX_PLACES:
        raise ValueError(f"round takes at most {MAX_PLACES:,} places")
    return round(number, places)


def _factorial(number: int) -> int:
    if number > MAX_FACTORIAL:
        raise ValueError(f"factorial goes up to {MAX_FACTORIAL}")
    return math.factorial(number)


def _printed(value: float) -> str:
    """Return ints in full and floats with up to 15 digits: the 16th is mostly noise, as in 0.1 + 0.2."""
    if isinstance(value, int):
        return str(value)
    return f"{value or 0.0:.15g}"


_OPERATORS = {
    ast.Add: _checked(operator.add),
    ast.Sub: _checked(operator.sub),
    ast.Mult: _checked(operator.mul),
    ast.Div: _checked(_divide),
    ast.FloorDiv: _checked(operator.floordiv),
    ast.Mod: _checked(operator.mod),
    ast.Pow: _checked(_power),
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = {
    "sqrt": _defined("sqrt", math.sqrt),
    "sin": _defined("sin", math.sin),
    "cos": _defined("cos", math.cos),
    "tan": _defined("tan", math.tan),
    "log": _defined("log", math.log),
    "ln": _defined("ln", _ln),
    "log10": _defined("log10", math.log10),
    "exp": _defined("exp", math.exp),
    "floor": _checked(math.floor),
    "ceil": _checked(math.ceil),
    "round": _checked(_round),
    "abs": _checked(abs),
    "min": _checked(lambda *numbers: min(numbers)),
    "max": _checked(lambda *numbers: max(numbers)),
    "factorial": _checked(_factorial),
}
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
