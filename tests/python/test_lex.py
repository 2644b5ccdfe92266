"""The source splitter (src/lex) against `ast`, on this Python's whole library.

`ast` says what the blocks of a file are: its statements, those that `;` joins
on one line taken together.  The splitter must say the same, line by line, for
every suite at every depth, without knowing the grammar.
"""

import ast
import ctypes
import functools
import gc
import keyword
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tokenize
import unicodedata
import warnings
from io import BytesIO
from pathlib import Path

import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPILER = os.environ.get("CC") or next(
    filter(shutil.which, ["cc", "gcc", "clang"]), None
)
CHUNKS = 24
EXAMPLES = int(os.environ.get("LEX_EXAMPLES", "1000"))
MUTATED = settings(deadline=None, suppress_health_check=list(HealthCheck))
ANY = -1  # what `ast` does not tell

UNTERMINATED, INDENT, NUL = 2, 3, 5  # enum hr_lex_status


# --- the splitter ----------------------------------------------------------


class Block:
    """One line of lex_dump."""

    __slots__ = (
        "depth kind line end_line def_line name start end head_end body body_line "
        "flags hash head_hash raw_hash"
    ).split()

    def __init__(self, dumped):
        fields = dumped.split(" ")
        self.depth = int(fields[0])
        self.kind = fields[1]
        self.line, self.end_line, self.def_line = map(int, fields[2:5])
        self.name = fields[5]
        self.start, self.end, self.head_end = map(int, fields[6:9])
        self.body, self.body_line = map(int, fields[9:11])
        self.flags, self.hash, self.head_hash, self.raw_hash = fields[11:]

    def row(self):
        return (
            self.depth,
            self.kind,
            self.line,
            self.end_line,
            self.def_line,
            unicodedata.normalize("NFKC", self.name),
        )


class Splitter:
    def __init__(self, folder):
        self.program = folder / "lex_dump"
        library = folder / "lex_dump.so"
        sources = [ROOT / "tests/c/lex_dump.c", *sorted(ROOT.glob("src/lex/*.c"))]
        command = [*COMPILER.split(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-fPIC"]
        command += ["-I", ROOT / "src/lex", *sources, "-o"]
        subprocess.run([*command, self.program], check=True)
        subprocess.run([*command, library, "-shared"], check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.lex_dump_text.restype = ctypes.c_void_p
        self.library.lex_dump_text.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_int,
        ]
        self.library.lex_resplit.restype = ctypes.c_long
        self.library.lex_resplit.argtypes = [ctypes.c_char_p, ctypes.c_size_t] * 2
        self.free = ctypes.CDLL(None).free
        self.free.argtypes = [ctypes.c_void_p]
        self.library.hr_lex_encoding.restype = ctypes.c_size_t
        self.library.hr_lex_encoding.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_char_p,
        ]

    def dump(self, text, everything=True):
        """The blocks of a text with all their members, and (status, line)."""
        address = self.library.lex_dump_text(text, len(text), everything)
        dumped = ctypes.string_at(address).decode("utf-8", "surrogateescape")
        self.free(address)
        *lines, status = dumped.split("\n")[:-1]
        return self.parse(lines), tuple(map(int, status.split()[1:]))

    def resplit(self, old, text):
        """How many blocks of text could not be taken over from old's."""
        result = self.library.lex_resplit(old, len(old), text, len(text))
        assert result != -1, (old, text)
        return result

    @staticmethod
    def parse(lines):
        for line in lines:
            assert line.count(" ") > 4, line  # "depth error status line"
        return [Block(line) for line in lines]

    def dump_files(self, paths):
        """{path: blocks} through the program, as a user of it would."""
        result = subprocess.run(
            [self.program, "-a"],
            input="\n".join(map(str, paths)) + "\n",
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=True,
        )
        blocks = {}
        for part in result.stdout.split("file /")[1:]:
            path, *lines, status = part.split("\n")[:-1]
            assert status == "status 0 0", (path, status)
            blocks["/" + path] = self.parse(lines)
        return blocks

    def encoding(self, text):
        name = ctypes.create_string_buffer(64)
        bom = self.library.hr_lex_encoding(text, len(text), name)
        return name.value.decode("ascii"), bom


@pytest.fixture(scope="session")
def splitter(tmp_path_factory):
    if COMPILER is None:
        pytest.skip("no C compiler")
    return Splitter(tmp_path_factory.mktemp("lex"))


# --- what ast says ----------------------------------------------------------

JOINED = re.compile(rb"(?:[ \t\f]|\\(?:\r\n|\r|\n))*;(?:[ \t\f]|\\(?:\r\n|\r|\n))*\Z")
LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
COMPOUND = tuple(
    getattr(ast, name)
    for name in "If For While Try TryStar With AsyncFor AsyncWith Match".split()
    if hasattr(ast, name)
)
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
WITH_BODY = COMPOUND + DEFINITION


def parse(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


class Expectation:
    def __init__(self, text, tree):
        body = text[3:] if text.startswith(b"\xef\xbb\xbf") else text
        self.lines = LINE.findall(body)
        self.rows = []
        self.add_suite(tree.body, 0)

    def joined(self, a, b):
        """Do a and b stand on one logical line?"""
        first = self.lines[a.end_lineno - 1]
        if a.end_lineno == b.lineno:
            between = first[a.end_col_offset : b.col_offset]
        elif b"\\" in first[a.end_col_offset :]:
            between = first[a.end_col_offset :]
            between += b"".join(self.lines[a.end_lineno : b.lineno - 1])
            between += self.lines[b.lineno - 1][: b.col_offset]
        else:
            return False
        return JOINED.match(between) is not None

    def add_suite(self, suite, depth):
        i = 0
        while i < len(suite):
            node = suite[i]
            i += 1
            if isinstance(node, WITH_BODY):
                self.add_compound(node, depth)
                continue
            last = node
            while i < len(suite) and self.joined(last, suite[i]):
                last = suite[i]
                i += 1
            kind, name = self.simple(node, last is not node)
            line = node.lineno
            self.rows.append((depth, kind, line, last.end_lineno, line, name))

    def simple(self, node, several):
        if isinstance(node, ast.ImportFrom):
            if node.module == "__future__" and node.level == 0:
                return "future", "-"
        if several:
            return "other", "-"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return "import", "-"
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and (
                (target.lineno, target.col_offset) == (node.lineno, node.col_offset)
            ):
                return "assign", target.id
        if isinstance(node, ast.AnnAssign) and node.simple:
            return "assign", node.target.id
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                return "string", "-"
        return "other", "-"

    def add_compound(self, node, depth):
        kind, name, line = "compound", "-", node.lineno
        if isinstance(node, DEFINITION):
            kind = "class" if isinstance(node, ast.ClassDef) else "def"
            name = node.name
            if node.decorator_list:
                line = self.walk_back(node.decorator_list[0].lineno, b"@")
        def_line = node.lineno if isinstance(node, DEFINITION) else line
        self.rows.append((depth, kind, line, node.end_lineno, def_line, name))
        if not hasattr(node, "cases"):
            self.add_suite(node.body, depth + 1)
            return
        for case in node.cases:
            line = self.walk_back(case.pattern.lineno, b"case")
            self.rows.append((depth + 1, "compound", line, ANY, line, "-"))
            self.add_suite(case.body, depth + 2)

    def walk_back(self, line, word):
        while not self.lines[line - 1].lstrip(b" \t\f").startswith(word):
            line -= 1
        return line


def check_rows(blocks, expected):
    found = [block.row() for block in blocks]
    if found != expected:
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            end = one[3] if other[3] == ANY else other[3]
            assert one == (*other[:3], end, *other[4:])


def check_offsets(text, blocks):
    """Offsets and lines say the same; the bytes at them are what they must."""
    base = 3 if text.startswith(b"\xef\xbb\xbf") else 0
    starts = [base]
    for line in LINE.findall(text[base:]):
        starts.append(starts[-1] + len(line))
    starts.append(starts[-1])
    parents = []
    for block in blocks:
        del parents[block.depth :]
        assert block.start < block.end <= len(text)
        if parents:
            parent = parents[-1]
            assert parent.body <= block.start and block.end <= parent.end
            inline = "i" in parent.flags
        else:
            inline = False
        if not inline and starts[block.line - 1] != block.start:
            # only white space and a backslash before the first token
            before = text[block.start : starts[block.line - 1]]
            assert before.lstrip(b" \t\f").startswith(b"\\"), before
        if starts[block.end_line] != block.end:
            after = text[starts[block.end_line - 1] : block.end]
            assert b"\\" in after or (b";" in after), after
        assert block.start < block.head_end <= block.end
        if block.kind in ("def", "class", "compound"):
            assert text[block.head_end - 1 : block.head_end] == b":"
            assert block.head_end <= block.body < block.end
            if "i" not in block.flags:
                assert block.body in starts
                assert starts[block.body_line - 1] == block.body
        else:
            assert block.head_end == block.end and block.body == 0
        if block.kind not in ("def", "class"):
            assert block.head_hash == block.hash
        parents.append(block)


# --- the library --------------------------------------------------------------


@functools.cache
def library_files():
    skipped = {"site-packages", "dist-packages", "__pycache__"}
    paths = []
    for folder, folders, files in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = [name for name in folders if name not in skipped]
        paths += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(paths)


def read_valid(path):
    """A file's text in UTF-8, its tree, and whether the file is UTF-8 itself;
    None when this Python does not take it (files that test errors)."""
    text = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(text).readline)
        if encoding in ("utf-8", "utf-8-sig"):
            return text, parse(text), True
        text = text.decode(encoding)
        return text.encode("utf-8"), parse(text), False
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@pytest.fixture
def no_gc():
    """Trees are large and hold no cycles: half the time goes into looking."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_library(splitter, chunk, no_gc):
    files, decoded = {}, {}
    for path in library_files()[chunk::CHUNKS]:
        valid = read_valid(path)
        if valid is not None:
            text, tree, as_is = valid
            (files if as_is else decoded)[str(path)] = text, tree
    assert len(files) > 5
    dumped = splitter.dump_files(files)
    for path, (text, _) in decoded.items():
        dumped[path] = splitter.dump(text)[0]
    for path, (text, tree) in {**files, **decoded}.items():
        try:
            check_offsets(text, dumped[path])
            check_rows(dumped[path], Expectation(text, tree).rows)
        except AssertionError as error:
            raise AssertionError(path) from error


# --- every corner of the syntax -------------------------------------------------

# Snippets are compared where this Python takes them; those for newer ones must only
# do no harm.  In the file, "----" stands between two of them and signs for what cannot
# be seen.  From here on "§" stands for a line's end, as the tests vary what it is.
SIGNS = {"␌": "\f", "␉": "\t", "␂": "\ufeff", "␄\n": "", "\n": "§"}
SNIPPETS = (HERE / "test_lex.txt").read_text(encoding="utf-8").split("----\n")
for sign, meaning in SIGNS.items():
    SNIPPETS = [snippet.replace(sign, meaning) for snippet in SNIPPETS]
PIECES = r"""
    § \§ : ; # , . = == := ( ) [ ] { } @ ' " \ f' f" f''' f'{ }' {x} rf' t' b' r' u'
    {{ }} ! !r % * -> + 1 0x 1e 1. x y match case type def class if elif else try except
    finally for in while with as async await lambda import from __future__ return pass
    yield not é _ match§x: x: def§f(): class§A: if§x: else: try: @x§ x§=§1 x:§int ;§x
    #§c #' §# 'doc' import§x case§_:
""".split()
PIECES += ["\f", "\t", "\r", "\r\n", "§\t", "'''", '"""', "def f(): ", "class A: "]
PIECES += [" ", "  ", "    ", "        ", "§    ", "match x:§ ", "case _: ", "else: "]


def text_of(snippet, newline="\n"):
    return snippet.replace("§", newline).encode("utf-8")


# Python 3.9 takes no notice of the indentation of a line that has nothing but a
# backslash on it; later ones do, and the splitter.
LONE_BACKSLASH = re.compile(rb"(?:\A|[\r\n])[ \t\f]*\\[\r\n]")
OLD_BACKSLASH = sys.version_info < (3, 10)


def agrees(splitter, text):
    """Does this Python take the text?  Then the blocks must be the same."""
    if OLD_BACKSLASH and LONE_BACKSLASH.search(text):
        splitter.dump(text)
        return False
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        splitter.dump(text)
        return False
    blocks, status = splitter.dump(text)
    assert status == (0, 0), text
    check_offsets(text, blocks)
    check_rows(blocks, Expectation(text, tree).rows)
    return True


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_snippets(splitter, newline):
    taken = 0
    for snippet in SNIPPETS:
        # Lines apart, so that one that is too new does not hide the others.
        taken += agrees(splitter, text_of(snippet, newline))
        for line in snippet.split("§"):
            agrees(splitter, text_of(line, newline))
    assert taken >= len(SNIPPETS) // 2


def test_snippets_are_hashed_alike_whatever_ends_lines(splitter):
    for snippet in SNIPPETS:
        dumps = [splitter.dump(text_of(snippet, end)) for end in ["\n", "\r\n", "\r"]]
        rows = [
            ([(*block.row(), block.hash, block.head_hash) for block in blocks], status)
            for blocks, status in dumps
        ]
        assert rows[0] == rows[1] == rows[2]


def test_every_two_snippets_in_a_row(splitter):
    taken = 0
    random.seed(1)
    for snippet in SNIPPETS:
        for other in random.sample(SNIPPETS, 8):
            inner = other.replace("§", "§    ")
            for joined in [snippet + other, f"class A:§    {inner}§{snippet}"]:
                taken += agrees(splitter, text_of(joined))
    assert taken > 100


def mutate(text, edits):
    for where, kind, size, piece in edits:
        at = int(where * (len(text) + 1))
        if kind == "insert":
            text = text[:at] + piece + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + size :]
        elif kind == "replace":
            text = text[:at] + piece + text[at + size :]
        elif kind == "repeat":
            text = text[: at + size] + text[at:]
        else:
            lines = text.split("§")
            i = int(where * len(lines)) % len(lines)
            j = (i + size) % len(lines)
            lines[i], lines[j] = lines[j], lines[i]
            text = "§".join(lines)
    return text


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["insert", "insert", "delete", "replace", "repeat", "swap"]),
        st.integers(1, 6),
        st.sampled_from(PIECES),
    ),
    max_size=4,
)


@settings(MUTATED, max_examples=EXAMPLES)
@given(
    st.lists(st.sampled_from(SNIPPETS), min_size=1, max_size=2),
    EDITS,
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)
def test_mutated_snippets(splitter, snippets, edits, newline):
    agrees(splitter, text_of(mutate("".join(snippets), edits), newline))


@pytest.fixture(scope="session")
def library_pieces():
    """Statements of the library, as they stand there."""
    pieces = []
    for path in library_files()[::29]:
        valid = read_valid(path)
        if valid is None:
            continue
        text, tree, _ = valid
        lines = text.decode("utf-8").splitlines(keepends=True)
        for node in tree.body:
            piece = "".join(lines[node.lineno - 1 : node.end_lineno])
            if len(piece) < 1500:
                pieces.append(piece.replace("\n", "§"))
    return pieces


@settings(MUTATED, max_examples=EXAMPLES // 2)
@given(st.lists(st.integers(0), min_size=1, max_size=3), EDITS)
def test_mutated_library(splitter, library_pieces, which, edits):
    pieces = [library_pieces[i % len(library_pieces)] for i in which]
    agrees(splitter, text_of(mutate("".join(pieces), edits)))


@settings(MUTATED, max_examples=EXAMPLES // 2)
@given(
    st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES)).map("".join))
)
def test_anything_at_all(splitter, text):
    if isinstance(text, str):
        text = text_of(text)
    if re.search(rb"coding[:=]", text) is None:
        agrees(splitter, text)


# --- splitting again ----------------------------------------------------------


@settings(MUTATED, max_examples=EXAMPLES)
@given(
    st.lists(st.sampled_from(SNIPPETS), min_size=1, max_size=3),
    EDITS,
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)
def test_resplit_is_split(splitter, snippets, edits, newline):
    old = text_of("".join(snippets), newline)
    text = text_of(mutate("".join(snippets), edits), newline)
    splitter.resplit(old, text)
    splitter.resplit(text, old)


@settings(MUTATED, max_examples=EXAMPLES // 2)
@given(st.lists(st.integers(0), min_size=1, max_size=9), EDITS)
def test_resplit_of_library(splitter, library_pieces, which, edits):
    pieces = [library_pieces[i % len(library_pieces)] for i in which]
    old = text_of("".join(pieces))
    text = text_of(mutate("".join(pieces), edits))
    splitter.resplit(old, text)
    splitter.resplit(text, old)


def test_resplit_keeps_what_is_far(splitter):
    lines = [f"def f{i}():§    return {i}§§" for i in range(1000)]
    old = text_of("".join(lines))
    for i in [0, 1, 500, 998, 999]:
        changed = lines[:i] + [lines[i].replace("return", "return  -")] + lines[i + 1 :]
        assert splitter.resplit(old, text_of("".join(changed))) <= 3
        changed = lines[:i] + ["import x§", *lines[i:]]
        assert splitter.resplit(old, text_of("".join(changed))) <= 3
        changed = lines[:i] + lines[i + 1 :]
        assert splitter.resplit(old, text_of("".join(changed))) <= 3
        changed = lines[:i] + ["# c§", *lines[i:]]
        assert splitter.resplit(old, text_of("".join(changed))) <= 3
    assert splitter.resplit(old, old) == 0


# --- hashes -----------------------------------------------------------------------


def tokens_of(text):
    """(type, string, start, end) of what counts, f-strings whole."""
    lines = text.splitlines(keepends=True)
    start = getattr(tokenize, "FSTRING_START", None)
    end = getattr(tokenize, "FSTRING_END", None)
    nesting, first = 0, None
    for token in tokenize.generate_tokens(iter([*lines, ""]).__next__):
        if start is not None and token.type == start:
            nesting += 1
            first = first or token
        elif start is not None and token.type == end:
            nesting -= 1
            if nesting == 0:
                part = lines[first.start[0] - 1 : token.end[0]]
                part[-1] = part[-1][: token.end[1]]
                part[0] = part[0][first.start[1] :]
                yield tokenize.STRING, "".join(part), first.start, token.end
                first = None
        elif nesting == 0 and token.type not in (tokenize.COMMENT, tokenize.NL):
            yield token.type, token.string, token.start, token.end


def reformat(text, dice, level=0, prefix=""):
    """The same tokens in another dress."""
    unit = dice.choice([" ", "   ", "\t", "     "])
    noise = ["", "", "", "  # noise", " \f "]
    between = ["", "", "§", "    § # noise§", "#§"]
    out, depth, begin = [prefix], 0, True
    for kind, string, _, _ in tokens_of(text):
        if kind == tokenize.INDENT:
            level += 1
        elif kind == tokenize.DEDENT:
            level -= 1
        elif kind == tokenize.NEWLINE:
            out += [dice.choice(noise), "\n", dice.choice(between).replace("§", "\n")]
            begin = True
        elif kind != tokenize.ENDMARKER:
            if begin:
                out.append(unit * level)
            elif depth > 0 and dice.random() < 0.1:
                out.append(dice.choice(["\n", " # noise\n", "\n\n   "]))
            else:
                out.append(dice.choice([" ", "  ", " \\\n  "]))
            out.append(string)
            depth += (string in "([{") - (string in ")]}")
            begin = False
    return "".join(out)


@pytest.fixture(scope="session")
def sample():
    """Some middle-sized files of the library, as text."""
    texts = []
    for path in library_files()[::11]:
        valid = read_valid(path) if 500 < path.stat().st_size < 12000 else None
        if valid is not None and b"\f" not in valid[0] and b"\r" not in valid[0]:
            texts.append(valid[0].decode("utf-8-sig"))
    assert len(texts) > 20
    return texts


def hashes(blocks):
    return [(block.depth, block.kind, block.hash, block.head_hash) for block in blocks]


def test_another_dress_hashes_alike(splitter, sample):
    dice = random.Random(2)
    for text in sample:
        blocks, _ = splitter.dump(text.encode("utf-8"))
        other = reformat(text, dice)
        assert ast.dump(parse(text)) == ast.dump(parse(other)), "the test is wrong"
        found, status = splitter.dump(other.encode("utf-8"))
        assert status == (0, 0)
        assert hashes(found) == hashes(blocks)
        # ... and all of it as members of a class, however deep.
        inner = reformat(text, dice, 1, "class A:\n")
        found, status = splitter.dump(inner.encode("utf-8"))
        assert [(d - 1, *rest) for d, *rest in hashes(found[1:])] == hashes(blocks)


def logical_lines(text):
    """[(line, level, tokens)]"""
    lines, level, first, tokens = [], 0, None, []
    for kind, string, start, _ in tokens_of(text):
        if kind in (tokenize.INDENT, tokenize.DEDENT):
            level += 1 if kind == tokenize.INDENT else -1
        elif kind == tokenize.NEWLINE:
            lines.append((first, level, tuple(tokens)))
            first, tokens = None, []
        elif kind != tokenize.ENDMARKER:
            first = first or start[0]
            tokens.append(string)
    return lines


def test_hashes_are_equal_exactly_when_tokens_are(splitter, sample):
    """Over all blocks of all files, at every depth."""
    tokens_by_hash, hash_by_tokens = {}, {}
    for text in sample:
        blocks, _ = splitter.dump(text.encode("utf-8"))
        lines = logical_lines(text)
        parents = []
        for block in blocks:
            del parents[block.depth :]
            parents.append(block)
            if any("i" in parent.flags for parent in parents[:-1]):
                continue  # not a logical line of its own
            own = [row for row in lines if block.line <= row[0] <= block.end_line]
            base = own[0][1]
            tokens = tuple((level - base, found) for _, level, found in own)
            assert tokens_by_hash.setdefault(block.hash, tokens) == tokens
            assert hash_by_tokens.setdefault(tokens, block.hash) == block.hash
    assert len(tokens_by_hash) > 2000


SWAPS = {"+": "-", "==": "!=", ".": ",", "*": "**", "<": ">=", "and": "or", "is": "in"}
SWAPS.update({"True": "False", "return": "raise", "=": "+=", "pass": "break"})


def change(kind, string):
    """Another token in the place of this one, that leaves lines as they are."""
    if string in SWAPS:
        return SWAPS[string]
    if kind == tokenize.NUMBER:
        return string + "1" if string[-1] in "0123456789" else "1"
    if kind == tokenize.NAME and not keyword.iskeyword(string) and len(string) > 5:
        return string[:-1] + "é"
    if kind == tokenize.STRING and len(string) > 5 and string[-4].isalpha():
        return string[:-4] + chr(ord(string[-4]) ^ 1) + string[-3:]
    return None


def test_any_other_token_hashes_differently(splitter, sample):
    dice = random.Random(3)
    changes = 0
    for text in sample:
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        blocks = [b for b in splitter.dump(text.encode("utf-8"))[0] if b.depth == 0]
        tokens = list(tokens_of(text))
        for kind, string, start, end in dice.sample(tokens, min(15, len(tokens))):
            other = change(kind, string)
            if other is None:
                continue
            before = text[: starts[start[0] - 1] + start[1]]
            changed = before + other + text[starts[end[0] - 1] + end[1] :]
            found, status = splitter.dump(changed.encode("utf-8"))
            if status != (0, 0):
                continue  # a string that does not end there any more
            found = [block for block in found if block.depth == 0]
            assert len(found) == len(blocks)
            for old, new in zip(blocks, found):
                touched = old.line <= start[0] <= old.end_line
                assert (old.hash != new.hash) == touched, (string, other)
                assert (old.raw_hash != new.raw_hash) == touched
                if touched and old.kind in ("def", "class"):
                    body = text.encode("utf-8")[: old.body].decode("utf-8")
                    in_body = len(before) >= len(body)
                    assert (old.head_hash == new.head_hash) == in_body
            changes += 1
    assert changes > 100


# One text per line; none may hash like another.
DIFFERENT = r"""
x = 1
x = 2
x = 1;
x == 1
x: 1
x = 1.0
x = 'a'
x = "a"
x = b'a'
x = 'A'
x = 'a' 'b'
x = 'ab'
x = 'a b'
x = 'a  b'
x = '''a'''
x = '''a§'''
x = '''a§ '''
x = '''§a'''
x = '''a\§'''
x = f'{a}'
x = f'{ a}'
x = (a)
x = a,
x = 1 .e5
x = 1.e5
x = 1e-5
x = 1e -5
if a:§  b§c
if a:§  b§  c
if a:§  b; c
if a: b; c
if a: b
if a:§  b
if a:§  if b:§    c§    d
if a:§  if b:§    c§  d
if a:§  if b:§    c§d
if a:§  b§else:§  c
if a:§  if b:§    c§else:§  d
if a:§  if b:§    c§  else:§    d
@a§def f(): pass
@b§def f(): pass
def f(): pass
async def f(): pass
def g(): pass
def f():§  'a'
def f():§  'b'
def f():§  '''a§b'''
def f():§  '''a§  b'''
ab; c
a; bc
abc
abcdefgh; i
abcdefghi
abcdefgh.i
abcdefgh§i
import abcdefghi
from . import x
from .. import x
x = a if b else c
x = a if belse, c
"""

# Texts of one line hash alike.
SAME = r"""
x = 1 | x=1 | x  =  1 | x = 1 # c | x = \§ 1 | x = 1§§§ | # c§x = 1 | x = 1§# c
x = 1if b else c | x = 1 if b else c | x=1if b else c
f(a, b) | f( a,b ) | f(a,§b) | f(a, # c§b) | f (a, b) | f(§§a§,b)
if a:§  b§  c | if a:§	b§	c | if a: # c§    b§§  # c§    c | if a:§ b§# c§ c§
@a§def f():§  b | @ a # c§§# c§def f( ) :§    b§ | @a§def f():§ # c§ b
x = 1.e5 + .5 . real | x=1.e5+.5.real
x = 0xfor y | x = 0xf or y
x = '''a§b''' 'c' | x = '''a§b''''c' | x='''a§b'''\§  'c'
from ... import x | from...import x | from . . . import x
"""


def test_different_texts_hash_differently(splitter):
    seen = {}
    for snippet in DIFFERENT.strip("\n").split("\n"):
        blocks, status = splitter.dump(text_of(snippet))
        assert status == (0, 0)
        key = tuple(block.hash for block in blocks if block.depth == 0)
        assert seen.setdefault(key, snippet) == snippet


def test_equal_texts_hash_alike(splitter):
    for row in SAME.strip("\n").split("\n"):
        keys = set()
        for text in row.split(" | "):
            blocks, status = splitter.dump(text_of(text))
            assert status == (0, 0)
            keys.add(tuple((block.hash, block.head_hash) for block in blocks))
        assert len(keys) == 1, row


def test_raw_hash_is_of_every_byte(splitter):
    texts = [b"x = 1", b"x = 1 ", b"x  = 1", b"x = 1 # a", b"x = 1 # b", b"x = 1\n"]
    texts.append(b"x = 1\r\n")
    found = {splitter.dump(text)[0][0].raw_hash for text in texts}
    assert len(found) == len(texts)
    a = splitter.dump(b"\n\n\nx = 1\n")[0][0]
    b = splitter.dump(b"# c\nx = 1\ny = 2\n")[0][0]
    assert (a.raw_hash, a.hash) == (b.raw_hash, b.hash)


# --- errors and encodings -----------------------------------------------------


@pytest.mark.parametrize(
    "snippet, status, line, complete",
    [
        ("a = 1§b = (§c = 2§", UNTERMINATED, 2, 1),
        ("a = 1§b = '''§c = 2§", UNTERMINATED, 2, 1),
        ("a = 1§b = 2§c = 'd§e = 3", UNTERMINATED, 3, 2),
        ("a = f'{§§", UNTERMINATED, 1, 0),
        ("a = f'{x:'", UNTERMINATED, 1, 0),
        ("  a = 1§", INDENT, 1, 0),
        ("a = 1§  b = 2§", INDENT, 2, 1),
        ("a§def f():§    b§  c§", INDENT, 4, 1),
        ("def f():§        b§\tc§", INDENT, 3, 0),
        ("def f():§b§", INDENT, 2, 0),
        ("a§def f():§§# c§", INDENT, 5, 1),
        ("a§b\0§", NUL, 2, 0),
    ],
)
def test_errors(splitter, snippet, status, line, complete):
    blocks, found = splitter.dump(text_of(snippet))
    assert found == (status, line)
    assert len(blocks) == complete


COOKIES = [
    b"",
    b"# coding: utf-8",
    b"#coding=UTF_8",
    b"# -*- coding: latin-1 -*-",
    b" \t\f# vim: set fileencoding=cp1252 :",
    b"# coding:ascii # coding: cp1250",
    b"#!/usr/bin/python\n# -*- coding:iso-8859-15 -*-",
    b"\n\f#coding: cp1252\n",
    b"\r\n# coding: cp1252\r\n",
    b"x = 1\n# coding: cp1252",
    b"x = 1 # coding: cp1252",
    b"#\n#\n# coding: cp1252",
    b"# coding : cp1252\n# coding= cp1252",
    b"# coding:\n# encoding:\tISO_8859_1-unix",
    b"# coding: utf-8-sig",
    b"# coding: utf-8x\n",
    b"# coding",
    b"# coding:",
    b"'''\n# coding: cp1252\n'''",
]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("text", COOKIES)
def test_encodings(splitter, text, bom):
    found, found_bom = splitter.encoding(bom + text)
    assert found_bom == len(bom)
    try:
        expected, _ = tokenize.detect_encoding(BytesIO(bom + text).readline)
    except SyntaxError:  # no such encoding, or not UTF-8 in spite of a BOM
        assert found != "utf-8"
        return
    assert found == expected.replace("utf-8-sig", "utf-8")


def test_encoding_behind_a_lone_cr(splitter):
    assert splitter.encoding(b"#\r# coding: cp1252\r") == ("cp1252", 0)
    assert splitter.encoding(b"#\r#\r# coding: cp1252") == ("utf-8", 0)
    assert splitter.encoding(b"# coding: " + b"x" * 100) == ("x" * 63, 0)
