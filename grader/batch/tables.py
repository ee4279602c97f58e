"""The tables of the file of results, and the steps that update a file of an earlier version.

STEPS[n] updates a file from version n - 1 to version n. A released step never changes: files of
users have gone through it.

Version 1 has runs, results and the submissions of each run. Version 2 adds judgements by people:

| table | a row |
|---|---|
| answers | a submission's answer to an exercise in a run: the student, the answer's fingerprint |
| rubric_items | a line of a rubric, with its points; shared by all answers |
| rubrics | whether an exercise starts at 0 or at all of its points; how many % are graded twice |
| gradings | a person's judgement of an answer: comment, points beside the rubric, done or not |
| marks | a rubric item that applies to an answer |
| overrides | a check's verdict that a person has changed, for one answer or for all with a trace |
| phrases | comments to use again |
| group_names | the name that a person gave to a group of similar answers |
| tasks | the exercises and students of a grader |
| graders | a grader's settings of the pages |
| history | who changed what, and when: one row for each change |

In version 3, a verdict that a person has changed can belong to an answer, as a mark does, and can
be a floor: the least that a check gives.

Version 4 renames two columns of `results` as in cache_key.py: input_hash, cache_key.

Version 5 adds `about` to runs: where the submissions were, what the checks were, why the run was
graded again and by whom.

Version 6 adds `kept_answers`: the replies of a submission's processes to the checks, as bytes, for
a result. session_key is the fingerprint of everything else that they depend on.

The key of an answer is (assignment, subject, exercise, answer): the subject is the student, the
answer is the fingerprint of its content. So marks stay if a later run has the same answer, and a
changed answer must be judged again. round is 1, or 2 for the second grader of an answer that is
graded twice.
"""

from __future__ import annotations

_FIRST = (
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        begun REAL NOT NULL,
        ended REAL,
        assignment TEXT NOT NULL,
        title TEXT NOT NULL,
        submissions INTEGER NOT NULL,
        isolation TEXT NOT NULL DEFAULT '',
        settings TEXT NOT NULL
    )""",
    """
    CREATE TABLE results (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        content TEXT NOT NULL,
        circumstances TEXT NOT NULL,
        status TEXT NOT NULL,
        percent REAL NOT NULL,
        verdict BLOB NOT NULL,
        evidence BLOB NOT NULL
    )""",
    "CREATE INDEX results_by_key ON results (content, circumstances)",
    """
    CREATE TABLE items (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        path BLOB NOT NULL,
        result INTEGER NOT NULL REFERENCES results (id),
        kept INTEGER NOT NULL,
        PRIMARY KEY (run, number)
    )""",
    "CREATE INDEX items_by_result ON items (result)",
)

_ANSWER = """
        assignment TEXT NOT NULL,
        subject TEXT NOT NULL,
        exercise TEXT NOT NULL,
        answer TEXT NOT NULL,
        round INTEGER NOT NULL DEFAULT 1"""

_REVIEW = (
    """
    CREATE TABLE answers (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        exercise TEXT NOT NULL,
        subject TEXT NOT NULL,
        answer TEXT NOT NULL,
        answered INTEGER NOT NULL DEFAULT 1,
        text TEXT NOT NULL DEFAULT '',
        figures TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (run, number, exercise)
    )""",
    "CREATE INDEX answers_by_subject ON answers (subject)",
    """
    CREATE TABLE rubrics (
        assignment TEXT NOT NULL,
        exercise TEXT NOT NULL,
        start TEXT NOT NULL DEFAULT 'none' CHECK (start IN ('none', 'full')),
        twice REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (assignment, exercise)
    )""",
    """
    CREATE TABLE rubric_items (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        assignment TEXT NOT NULL,
        exercise TEXT NOT NULL,
        position INTEGER NOT NULL,
        words TEXT NOT NULL,
        points REAL NOT NULL,
        source TEXT NOT NULL DEFAULT '',
        retired INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 1
    )""",
    "CREATE INDEX rubric_items_by_exercise ON rubric_items (assignment, exercise)",
    f"""
    CREATE TABLE gradings ({_ANSWER},
        done INTEGER NOT NULL DEFAULT 0,
        adjustment REAL NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        comment TEXT NOT NULL DEFAULT '',
        grader TEXT NOT NULL DEFAULT '',
        changed REAL NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        PRIMARY KEY (assignment, subject, exercise, answer, round)
    )""",
    f"""
    CREATE TABLE marks ({_ANSWER},
        item INTEGER NOT NULL REFERENCES rubric_items (id),
        PRIMARY KEY (assignment, subject, exercise, answer, round, item)
    )""",
    """
    CREATE TABLE overrides (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        assignment TEXT NOT NULL,
        exercise TEXT NOT NULL,
        check_name TEXT NOT NULL,
        subject TEXT NOT NULL DEFAULT '',
        trace TEXT NOT NULL DEFAULT '',
        credit REAL NOT NULL,
        reason TEXT NOT NULL,
        grader TEXT NOT NULL,
        changed REAL NOT NULL,
        withdrawn INTEGER NOT NULL DEFAULT 0
    )""",
    """
    CREATE TABLE phrases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        assignment TEXT NOT NULL,
        exercise TEXT NOT NULL DEFAULT '',
        words TEXT NOT NULL,
        UNIQUE (assignment, exercise, words)
    )""",
    """
    CREATE TABLE group_names (
        assignment TEXT NOT NULL,
        exercise TEXT NOT NULL,
        likeness TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (assignment, exercise, likeness)
    )""",
    """
    CREATE TABLE tasks (
        assignment TEXT NOT NULL,
        grader TEXT NOT NULL,
        exercise TEXT NOT NULL DEFAULT '',
        subject TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (assignment, grader, exercise, subject)
    )""",
    """
    CREATE TABLE graders (
        name TEXT PRIMARY KEY,
        settings TEXT NOT NULL DEFAULT '{}'
    )""",
    """
    CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        changed REAL NOT NULL,
        grader TEXT NOT NULL,
        assignment TEXT NOT NULL,
        subject TEXT NOT NULL DEFAULT '',
        exercise TEXT NOT NULL DEFAULT '',
        what TEXT NOT NULL,
        before TEXT NOT NULL DEFAULT '',
        after TEXT NOT NULL DEFAULT ''
    )""",
    "CREATE INDEX history_by_assignment ON history (assignment, subject)",
)

# In version 2, points kept by `--only-up` also applied to later work of the student. They become a
# floor, as intended, for the student's answer in the latest run at that time.
_FLOORS = (
    "ALTER TABLE overrides ADD COLUMN answer TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE overrides ADD COLUMN floor INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE overrides SET floor = 1, answer = coalesce((
        SELECT answers.answer FROM answers JOIN runs ON runs.id = answers.run
        WHERE runs.assignment = overrides.assignment AND runs.begun <= overrides.changed
        AND answers.subject = overrides.subject AND answers.exercise = overrides.exercise
        ORDER BY runs.id DESC LIMIT 1), '')
    WHERE subject != '' AND reason GLOB '* (as in run [0-9]*)'""",
)

_NAMES = (
    "ALTER TABLE results RENAME COLUMN content TO input_hash",
    "ALTER TABLE results RENAME COLUMN circumstances TO cache_key",
)

_ABOUT = (
    "ALTER TABLE runs ADD COLUMN about TEXT NOT NULL DEFAULT '{}'",
    # A feedback page finds its evidence by the path; without this index it reads the whole run.
    "CREATE INDEX items_by_path ON items (run, path)",
)

_KEPT_ANSWERS = (
    """
    CREATE TABLE kept_answers (
        result INTEGER PRIMARY KEY REFERENCES results (id) ON DELETE CASCADE,
        session_key TEXT NOT NULL,
        size INTEGER NOT NULL,
        answers BLOB NOT NULL
    )""",
)

STEPS: dict[int, tuple[str, ...]] = {
    1: _FIRST,
    2: _REVIEW,
    3: _FLOORS,
    4: _NAMES,
    5: _ABOUT,
    6: _KEPT_ANSWERS,
}
SCHEMA = max(STEPS)
# The other tables with personal data, each with a column `subject`.
OF_SUBJECTS = ("gradings", "marks", "overrides", "tasks", "history")
