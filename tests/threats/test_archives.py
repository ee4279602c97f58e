"""Archives that lie: refused in one clear line or read safely; nothing lands outside."""

import io
import os
import struct
import warnings
import zipfile
import zlib

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0


def info(name, *, mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    entry.create_system = 3
    return entry


@pytest.fixture(scope="module")
def archive(toy, notebook_text, solution):
    """archive(name, fill) -> a zip of a right answer; `fill` adds to it."""
    notebook = notebook_text(solution("right"))

    def write(name, fill=lambda a, mark: None):
        path = toy.handed_in / f"{name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as it:
            it.writestr("toy.ipynb", notebook)
            fill(it, toy.mark)
        return path

    return write


def named(name):
    return lambda a, mark: a.writestr(info(name.replace("MARK", mark)), b"evil")


def special(mode, content=b"/etc/passwd"):
    return lambda a, mark: a.writestr(info(f"{mark}-special", mode=mode), content)


def many(a, mark):
    for n in range(20_000):
        a.writestr(f"f{n}", b"")


def bomb(a, mark):
    chunk = bytes(1 << 20)
    with a.open(info("bomb.csv"), "w", force_zip64=True) as out:
        for _ in range(700):
            out.write(chunk)


def encrypted(a, mark):
    a.writestr("secret.py", b"x")
    a.filelist[-1].flag_bits |= 1


def deep(a, mark):
    a.writestr("d/" * 200 + "x.py", b"x = 1")


REFUSED = {
    "a name above its folder": (named("../../../../../../tmp/MARK-up"), "outside"),
    "a name above, in the middle": (named("a/../../../MARK-up"), "outside"),
    "a name above, with backslashes": (named("..\\..\\MARK-up"), "outside"),
    "an absolute name": (named("/tmp/MARK-absolute"), "outside"),
    "a name with a drive": (named("C:\\MARK-drive"), "outside"),
    "a share": (named("\\\\server\\MARK"), "outside"),
    "twenty thousand files": (many, "more than 10,000 files"),
    "a bomb": (bomb, "MiB|bomb"),
    "an encrypted entry": (encrypted, "encrypted"),
    "two hundred folders deep": (deep, "deep"),
    "a name of a thousand bytes": (named("x" * 1000), "bytes"),
}


SAFE = {
    "a link": special(0o120777),
    "a link that is called a notebook": lambda a, mark: a.writestr(
        info("a.ipynb", mode=0o120777), b"/etc/passwd"
    ),
    "a device": special(0o060666),
    "a character device": special(0o020666),
    "a pipe": special(0o010666),
    "a socket": special(0o140666),
    "a folder that is a link": lambda a, mark: (
        a.writestr(info("dir", mode=0o120777), b"/tmp"),
        a.writestr(f"dir/{mark}", b"evil"),
    ),
    "a program with set user id": lambda a, mark: a.writestr(info("su", mode=0o104755), b"x"),
    "names that differ by case": lambda a, mark: (
        a.writestr("Toy.IPYNB", b"{}"),
        a.writestr("TOY.ipynb", b"{}"),
    ),
    "names in another code page": lambda a, mark: a.writestr("M\xfcller \u2591.txt", b"x"),
    "names with control characters": lambda a, mark: a.writestr("a\x1b[31m\x07\u202eb.txt", b"x"),
    "names that Windows keeps for itself": lambda a, mark: (
        a.writestr("CON", b"x"),
        a.writestr("aux.txt", b"x"),
        a.writestr("nul.py", b""),
    ),
    "what macOS adds": lambda a, mark: (
        a.writestr("__MACOSX/._toy.ipynb", b"\x00\x05\x16\x07"),
        a.writestr("._toy.ipynb", b"\x00\x05\x16\x07"),
        a.writestr(".DS_Store", b"x"),
    ),
    "a zip in it that holds a zip": lambda a, mark: a.writestr("data.zip", nested(4)),
}  # fmt: skip


def nested(levels):
    content = b"evil"
    for _ in range(levels):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("../up.zip" if levels > 9 else "in.zip", content)
        content = inner.getvalue()
    return content


DAMAGED = {
    "cut in half": lambda raw: raw[: len(raw) // 2],
    "its end missing": lambda raw: raw[:-22],
    "its first bytes missing": lambda raw: raw[300:],
    "a bit turned in its content": lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    "a directory that claims 4 GiB": lambda raw: (
        raw[:-22] + raw[-22:-10] + struct.pack("<II", 2**32 - 2, 0) + b"\0\0"
    ),
    "nothing but noise": lambda raw: b"PK\x03\x04" + os.urandom(4000),
    "a gzip": lambda raw: b"\x1f\x8b" + zlib.compress(raw),
    "a RAR": lambda raw: b"Rar!\x1a\x07\x01\x00" + raw,
    "a tar": lambda raw: bytes(257) + b"ustar\x0000" + bytes(250),
    "nothing at all": lambda raw: b"",
}


def quine(a, mark):
    """A zip in a zip in a zip ...: one level is opened, the rest is a file."""
    a.writestr("inner.zip", nested(50))


def twice(notebook):
    """A name that comes twice: the first one counts."""
    return lambda a, mark: a.writestr("toy.ipynb", notebook)


def overlapping(path):
    """David Fifield's bomb: many names for one compressed kernel."""
    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = zeros.compress(bytes(100 << 20)) + zeros.flush()
    crc = zlib.crc32(bytes(100 << 20))
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(packed), 100 << 20, 1, 0)
    body = local + b"k" + packed
    entries = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(packed), 100 << 20,
                    5, 0, 0, 0, 0, 0, 0) + f"k{n:04}".encode()
        for n in range(900)
    )  # fmt: skip
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 900, 900, len(entries), len(body), 0)
    path.write_bytes(body + entries + end)


def strange_folder(toy, notebook):
    """A folder with links, pipes, and a loop."""
    folder = toy.handed_in / "folder"
    folder.mkdir()
    (folder / "toy.ipynb").write_text(notebook)
    (folder / "link.ipynb").symlink_to(toy.home / "notes.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to("/")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "locked").mkdir()
    return folder


@pytest.fixture(scope="module")
def verdicts(toy, archive, notebook_text, solution, graded_together):
    """The verdicts on all of them, of one run of the command."""
    paths = {h: archive(f"refused-{n}", fill) for n, (h, (fill, _)) in enumerate(REFUSED.items())}
    paths |= {h: archive(f"safe-{n}", fill) for n, (h, fill) in enumerate(SAFE.items())}
    for n, (damage, do) in enumerate(DAMAGED.items()):
        paths[damage] = archive(f"damaged-{n}")
        paths[damage].write_bytes(do(paths[damage].read_bytes()))
    paths["quine"] = archive("quine", quine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile itself takes it for a mistake
        paths["twice"] = archive("twice", twice(notebook_text(solution("wrong"))))
    paths["overlapping"] = archive("overlapping")
    overlapping(paths["overlapping"])
    paths["folder"] = strange_folder(toy, notebook_text(solution("right")))
    return graded_together(toy, paths)


@pytest.mark.parametrize("hostile", REFUSED)
def test_what_lies_about_its_place_or_size_is_refused_in_one_line(verdicts, hostile):
    words = REFUSED[hostile][1].split("|")
    assert verdicts[hostile]["status"] == "refused"
    assert any(word in verdicts[hostile]["message"] for word in words), verdicts[hostile]
    assert "\n" not in verdicts[hostile]["message"]


@pytest.mark.parametrize("hostile", SAFE)
def test_what_is_odd_about_it_is_left_out_and_the_work_is_graded(verdicts, hostile):
    assert verdicts[hostile]["score"] == MAX


def test_a_name_that_comes_twice_counts_once(verdicts):
    assert verdicts["twice"]["score"] == MAX


def test_a_quine_is_opened_once(verdicts):
    assert verdicts["quine"]["score"] == MAX


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_refused_in_one_line(verdicts, damage):
    assert verdicts[damage]["status"] == "refused"
    assert 10 < len(verdicts[damage]["message"]) < 300
    assert "\n" not in verdicts[damage]["message"]


def test_an_archive_whose_entries_share_their_bytes_is_no_way_around_the_limit(verdicts):
    assert verdicts["overlapping"]["status"] == "refused"


def test_a_folder_with_links_and_pipes_is_read_safely(verdicts):
    assert verdicts["folder"]["score"] == MAX
