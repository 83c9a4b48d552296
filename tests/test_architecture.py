"""The rules of docs/architecture.md, read from its list of rooms and held against the source."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import interpkit

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "interpkit"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

BODY, MODULE, POSITIONAL = 40, 400, 3
WITHOUT_TORCH = ("counts", "results", "metrics", "location", "comparison", "plot", "report", "cli")
PICTURES = ("matplotlib", "jinja2")
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "numpy", "cv2", "sklearn")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Room:
    """One line of the list: a module or a folder of modules."""

    name: str
    ending: str
    planned: bool


@cache
def rooms() -> tuple[Room, ...]:
    """The rooms in their order, from the first listing under `## Rooms` of the architecture page."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listing = page.partition("\n## Rooms\n")[2].partition("```text\n")[2].partition("```")[0]
    found = re.finditer(r"^(\w+)(\.py|/) +(\[planned\] )?\S", listing, flags=re.MULTILINE)
    return tuple(Room(match[1], match[2], bool(match[3])) for match in found)


@cache
def order() -> dict[str, int]:
    return {room.name: number for number, room in enumerate(rooms())}


def verbs() -> tuple[str, ...]:
    """The rooms whose functions do not call each other."""
    names = list(order())
    return tuple(names[names.index("dissection") : names.index("comparison") + 1])


def room_of(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def imported(module: str, nodes: Iterator[ast.AST] | None = None) -> Iterator[str]:
    """Dotted names that a module imports: at its top, inside functions, and for the type checker alone."""
    home = ["interpkit", *Path(module).parent.parts]
    for node in nodes or ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            start = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: all but the bodies of functions."""
    yield node
    if not isinstance(node, Function):
        for child in ast.iter_child_nodes(node):
            yield from at_import(child)


def functions(module: str) -> Iterator[Function]:
    return (node for node in ast.walk(tree(module)) if isinstance(node, Function))


def rooms_imported(module: str) -> set[str]:
    """Rooms that a module imports; the package itself counts as its last room, `__init__`."""
    inside = [name.split(".")[1:] for name in imported(module) if name.split(".")[0] == "interpkit"]
    return {parts[0] if parts and parts[0] in order() else "__init__" for parts in inside} - {room_of(module)}


def test_the_list_is_read():
    assert [room.name for room in rooms()][:2] == ["errors", "_plugins"]
    assert rooms()[-1].name == "__init__"
    assert len(order()) == len(rooms()), "a room stands twice in the list"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_room(module):
    assert room_of(module) in order(), f"{module} is not in docs/architecture.md"


@pytest.mark.parametrize("room", rooms(), ids=lambda room: room.name)
def test_the_list_says_what_is_there(room):
    assert (PACKAGE / f"{room.name}{room.ending}").exists() is not room.planned


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_rooms_above(module):
    own = order().get(room_of(module), 0)
    below = {name for name in rooms_imported(module) if order()[name] >= own}
    assert not below, f"{module} imports {', '.join(sorted(below))}, which stand below it in the list"


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) in verbs()])
def test_verbs_do_not_call_each_other(module):
    assert not rooms_imported(module) & set(verbs())


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) in WITHOUT_TORCH])
def test_results_are_read_without_torch(module):
    # The commands import what is heavy when they run; every other room here does without torch altogether.
    nodes = at_import(tree(module)) if room_of(module) == "cli" else None
    assert "torch" not in {name.split(".")[0] for name in imported(module, nodes)}


@pytest.mark.parametrize("module", [module for module in MODULES if order().get(room_of(module), 0) < order()["plot"]])
def test_computing_does_not_draw(module):
    assert not {name.split(".")[0] for name in imported(module)} & set(PICTURES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short(module):
    assert len((PACKAGE / module).read_text(encoding="utf-8").splitlines()) <= MODULE


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module):
    for function in functions(module):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lines = (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert lines <= BODY, f"the body of {function.name} has {lines} lines"


@pytest.mark.parametrize("module", MODULES)
def test_few_arguments_by_position_and_none_unnamed(module):
    for function in functions(module):
        positional = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        # Who calls a special method decides its form: `__torch_function__` has four.
        if not re.fullmatch(r"__(?!init__)\w+__", function.name):
            assert len([name for name in positional if name not in {"self", "cls"}]) <= POSITIONAL, function.name
        unnamed = function.args.kwarg
        # A wrapper that hands on another function's arguments has them named there: `**kwargs: P.kwargs`.
        handed_on = unnamed and isinstance(unnamed.annotation, ast.Attribute) and unnamed.annotation.attr == "kwargs"
        assert unnamed is None or handed_on, f"{function.name} takes **{unnamed.arg}"


@pytest.mark.parametrize("module", MODULES)
def test_no_global_state_and_no_print(module):
    nodes = list(ast.walk(tree(module)))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Global)]
    calls = [node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert "print" not in calls


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_described(module):
    public = [
        node
        for owner in ast.walk(tree(module))
        if isinstance(owner, ast.Module | ast.ClassDef) and not getattr(owner, "name", "").startswith("_")
        for node in owner.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert ast.get_docstring(tree(module)), f"{module} has no docstring"
    assert not [node.name for node in public if ast.get_docstring(node) is None]


def test_there_is_no_drawer_for_everything():
    assert not [module for module in MODULES if re.search(r"(^|/)_?(utils?|helpers?|common|misc)(\.py|/)", module)]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after ``code``."""
    program = f"{code}\nimport sys; print('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.rpartition("LOADED ")[2].split()}


def test_import_is_light():
    assert not loaded_by("import interpkit") & set(HEAVY)


def test_help_is_light():
    pytest.importorskip("interpkit.cli")
    code = "import sys; sys.argv = ['interpkit', '--help']\nfrom interpkit.cli import main\n"
    assert not loaded_by(f"{code}try:\n    main()\nexcept SystemExit: pass") & set(HEAVY)


@pytest.mark.parametrize("room", [room.name for room in rooms() if room.name in WITHOUT_TORCH and not room.planned])
def test_works_where_torch_is_not_installed(room):
    loaded_by(f"import sys; sys.modules['torch'] = None\nimport interpkit.{room}")


@pytest.mark.parametrize("name", interpkit.__all__)
def test_public_names_are_there(name):
    assert getattr(interpkit, name).__doc__
    assert name in dir(interpkit)
