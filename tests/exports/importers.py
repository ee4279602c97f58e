"""What the platforms do with a file that comes back, by the rules of their own sources.

Each reads the bytes as the platform would, and returns the marks that it would then show; what it
would pass over in silence is not in them.
"""

import csv
import io
import re
import zipfile


def rows_of(content, delimiter=","):
    return list(csv.reader(io.StringIO(content), delimiter=delimiter))


def moodle(content, *, maximum, known, words=("Identifier", "Grade", "Last modified (grade)")):
    """{participant: grade}. known : participants of the assignment"""
    header, *rows = rows_of(content.decode("utf-8-sig"))
    identifier, grade, modified = (header.index(word) for word in words)
    marks = {}
    for row in rows:
        number = re.search(r"(\d+)$", row[identifier])[1]
        text = row[grade]
        assert len(row) > modified
        if number not in known or text in ("", "-"):
            continue
        if not 0 <= float(text) <= maximum:
            continue
        marks[number] = float(text)
    return marks


def moodle_feedback(content, *, known):
    """{participant: {file: page}}"""
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            folder, _, file = name.partition("/")
            parts = folder.split("_", 4)
            if len(parts) < 4 or not parts[1].isdecimal() or parts[1] not in known:
                continue
            if (parts[2], parts[3]) != ("assignsubmission", "file") or file[:1] in ".~":
                continue
            assert file not in found.setdefault(parts[1], {})
            found[parts[1]][file] = archive.read(name)
    return found


def canvas(content, *, assignment):
    """{user: grade} of the assignment with that number."""
    text = content.decode("utf-8-sig")
    first = text.splitlines()[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    header, *rows = rows_of(text, delimiter)
    assert "Student" in header[0] or header[0] == "LastName"
    assert "ID" in header
    end = header.index("Section")
    numbers = {n: re.search(r"\((\d+)\)$", cell) for n, cell in enumerate(header) if n > end}
    keys = {found[1]: n for n, found in numbers.items() if found}
    column = keys[assignment]
    marks = {}
    for row in rows:
        if "Points Possible" in row[0] or not any(row):
            continue
        user, cell = row[header.index("ID")], row[column].strip()
        if not user or cell in ("", "-"):
            continue
        if re.fullmatch(r"\d{1,3}(\.\d{3})*,\d+", cell):
            cell = cell.replace(".", "").replace(",", ".")
        marks[user] = round(float(cell), 2)
    return marks


def canvas_comments(content, *, attachments):
    """{user: page}. attachments : {user: the numbers that are that user's}"""
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            numbers = [part for part in name.split("_") if part.isdecimal()][:2]
            if len(numbers) == 2 and numbers[1] in attachments.get(numbers[0], ()):
                assert numbers[0] not in found
                found[numbers[0]] = archive.read(name)
    return found


def blackboard(content, *, column):
    """{username: grade} of the column with that number."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    header, *rows = rows_of(content.decode(encoding), "\t")
    place = next(n for n, cell in enumerate(header) if cell.rpartition("|")[2] == column)
    user = header.index("Username")
    return {row[user]: float(row[place]) for row in rows if row[place].strip()}
