"""Archives that lie: refused in one clear line or read safely; nothing lands outside."""

import io
import os
import struct
import zipfile
import zlib

import pytest

MAX = 8.0


def info(name, *, mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    entry.create_system = 3
    return entry


class Archive:
    """Writes one archive of a right answer and something hostile."""

    def __init__(self, host, notebook, name="hostile"):
        self.path = host.handed_in / f"{name}.zip"
        self.notebook = notebook
        self.mark = host.mark

    def write(self, fill, *, work=True):
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            if work:
                archive.writestr("toy.ipynb", self.notebook)
            fill(archive)
        return self.path


@pytest.fixture
def archive(host, notebook_text, solution):
    return Archive(host, notebook_text(solution("right")))


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


@pytest.mark.parametrize("hostile", REFUSED)
def test_it_is_refused_in_one_line_and_the_next_one_goes_on(host, archive, hostile):
    fill, words = REFUSED[hostile]
    path = archive.write(lambda a: fill(a, host.mark))
    verdict = host.grade(path, host.right(name="honest"))
    refused = verdict["hostile"]
    assert refused["status"] == "refused"
    assert any(word in refused["message"] for word in words.split("|")), refused["message"]
    assert "\n" not in refused["message"]
    assert verdict["honest"]["score"] == MAX


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


@pytest.mark.parametrize("hostile", SAFE)
def test_what_is_odd_about_it_is_left_out_and_the_work_is_graded(host, archive, hostile):
    path = archive.write(lambda a: SAFE[hostile](a, host.mark))
    assert host.grade(path)["hostile"]["score"] == MAX


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_counts_once(host, archive, notebook_text, solution):
    wrong = notebook_text(solution("wrong"))
    path = archive.write(lambda a: a.writestr("toy.ipynb", wrong))
    assert host.grade(path)["hostile"]["score"] == MAX


def test_a_quine_is_opened_once(host, archive):
    """A zip in a zip in a zip ...: one level is opened, the rest is a file."""
    path = archive.write(lambda a: a.writestr("inner.zip", nested(50)))
    assert host.grade(path)["hostile"]["score"] == MAX


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


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_refused_in_one_line(host, archive, damage):
    path = archive.write(lambda a: None)
    path.write_bytes(DAMAGED[damage](path.read_bytes()))
    verdict = host.grade(path, host.right(name="honest"))
    assert verdict["hostile"]["status"] == "refused"
    assert 10 < len(verdict["hostile"]["message"]) < 300
    assert "\n" not in verdict["hostile"]["message"]
    assert verdict["honest"]["score"] == MAX


def test_an_archive_whose_entries_share_their_bytes_is_no_way_around_the_limit(host, archive):
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
    archive.path.write_bytes(body + entries + end)
    assert host.grade(archive.path, host.right(name="honest"))["hostile"]["status"] == "refused"


def test_a_folder_with_links_pipes_and_devices_is_read_safely(host, notebook_text, solution):
    folder = host.handed_in / "folder"
    folder.mkdir()
    (folder / "toy.ipynb").write_text(notebook_text(solution("right")))
    (folder / "link.ipynb").symlink_to(host.home / "notes.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to("/")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "locked").mkdir()
    assert host.grade(folder)["folder"]["score"] == MAX
