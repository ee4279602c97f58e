"""A process that speaks to the grader in its own way gets no points by it, and holds nothing up."""

import pytest

pytestmark = pytest.mark.any_user

HALF = 5.0

# The student's code answers the first call of `mean_square` itself; all other checks are honest.
ANSWERING = r"""
import json, os, pickle, struct, time
import numpy as np
from grader.in_kernel import operations

honest = operations.Check.serve

class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/MARK-unpickled /var/tmp/MARK-unpickled",)

def frame(text, *buffers, lengths=None):
    if not isinstance(text, bytes):
        text = json.dumps(text).encode()
    sizes = [len(b) for b in buffers] if lengths is None else lengths
    head = struct.pack("<4sHHII", b"GRDF", 1, 0, len(sizes), len(text))
    return head + struct.pack(f"<{len(sizes)}Q", *sizes) + text + b"".join(buffers)

def npy(descr, shape, data=b""):
    text = "{'descr': %s, 'fortran_order': False, 'shape': %s, }" % (descr, shape)
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data

def serve(check):
    number, operation, base, path, *rest = check._stream.receive(check._object)
    if path != "mean_square":
        check._stream.send(check._answer(number, operation, [base, path, *rest]))
        return honest(check)
    send = check._stream._socket.sendall
    value = lambda it, *buffers, **k: send(frame([number, "value", it], *buffers, **k))
    ACT
    while True:
        pass

operations.Check.serve = serve
"""
ACTS = {
    "noise": "send(bytes(range(256)) * 64)",
    "another protocol": "send(b'HTTP/1.1 200 OK\\r\\n\\r\\n' * 9)",
    "nothing": "pass",
    "the end of the stream": "check._stream.close()",
    "half a frame": "send(frame([number, 'value', 1.0])[:-3])",
    "half a frame, then the end": "send(frame([1, 'value', 1.0])[:9]); check._stream.close()",
    "endless zeros": "while True: send(bytes(1 << 16))",
    "a frame of 4 GiB": "send(struct.pack('<4sHHII', b'GRDF', 1, 0, 0, 2**32 - 1))\n"
    "    while True: send(b' ' * (1 << 16))",
    "a buffer of 2**63 bytes": "value({'a': 0}, b'', lengths=[2**63])",
    "4 billion buffers": "send(struct.pack('<4sHHII', b'GRDF', 1, 0, 2**32 - 1, 10))\n"
    "    while True: send(bytes(1 << 16))",
    "a trickle": "while True: send(b'G'); sum(range(10**5))",
    "no JSON": "send(frame(b'[1, value'))",
    "JSON nested a million deep": "send(frame(b'[' * 10**6 + b']' * 10**6))",
    "JSON of ten million zeros": "send(frame(b'[' + b'0,' * 10**7 + b'0]'))",
    "a number of a million digits": "send(frame(b'[1,\"value\",' + b'9' * 10**6 + b']'))",
    "another reply's number": "send(frame([number + 1, 'value', 1.0]))",
    "no number": "send(frame([True, 'value', 1.0]))",
    "answers to later questions": "[send(frame([n, 'value', 1.0])) for n in range(99)]",
    "an unknown status": "send(frame([number, 'passed', 1.0]))",
    "a status that is no word": "send(frame([number, ['value'], 1.0]))",
    "a value that is no observation": "value(True)",
    "a passed check": "value({'d': [['outcome', 'credit'], ['passed', 1.0]]})",
    "a failure of another form": "send(frame([number, 'raised', 'all is well']))",
    "a failure that lies about its types": (
        "send(frame([number, 'raised', [{'t': []}, 1, 'x', [], {}, 0]]))"
    ),
    "a handle on nothing": "value({'h': [10**30, 'float']})",
    "an unknown type": "value({'py/object': 'os.system'})",
    "a pickle": "send(pickle.dumps(Bomb()))",
    "a pickle in a buffer": "value({'a': 0}, pickle.dumps(Bomb()))",
    "an array of objects": "value({'a': 0}, npy(\"'|O'\", '(1,)', pickle.dumps([Bomb()])))",
    "a header that is an expression": (
        "value({'a': 0}, npy(\"__import__('os').system('touch /tmp/MARK-run')\", '(1,)'))"
    ),
    "a header that claims too much": (
        "value({'a': 0}, npy(\"'<f8'\", '(1000000000, 1000000000)', bytes(8)))"
    ),
    "a header that claims less": "value({'a': 0}, npy(\"'<f8'\", '(1,)', bytes(80)))",
    "a negative shape": "value({'a': 0}, npy(\"'<f8'\", '(-1,)', bytes(8)))",
    "one buffer named twice": "value([{'a': 0}, {'a': 0}], npy(\"'<f8'\", '(1,)', bytes(8)))",
    "a billion empty arrays": "value({'A': 0}, npy(\"'<f8'\", '(1000000000, 0)'))",
    "a billion columns": "value({'z': [[1]] * 10**5 + [{'A': 0}]}, npy(\"'<f8'\", '(9, 0)'))",
}


@pytest.fixture(scope="module")
def answered(toy, graded_together):
    """The verdicts on a right answer whose process answers one check in its own way."""
    return graded_together(
        toy,
        {
            title: toy.right(ANSWERING.replace("ACT", act).replace("MARK", toy.mark), name=f"s{n}")
            for n, (title, act) in enumerate(ACTS.items())
        },
    )


@pytest.mark.parametrize("answer", ACTS)
def test_an_illegal_answer_fails_its_check_alone(answered, points, answer):
    assert answered[answer]["status"] == "graded"
    assert points(answered[answer]) == {"square": 0.0, "sigmoid": 3.0, "gradient": 3.0}


# The same one level up: the process that is to be forked for every check.
SERVING = r"""
import os, socket, sys, threading, time
from grader.in_kernel import agent, codec, operations, protocol

def flood(address):
    held = []
    while True:
        try:
            s = socket.socket(socket.AF_UNIX)
            s.connect(address.partition(":")[2])
            held = [*held[-200:], s]
        except OSError:
            time.sleep(0.01)
"""
SERVED = {
    "forks nothing": "agent._fork_for_check = lambda *a: 12345678",
    "names its parent": "agent._fork_for_check = lambda *a: os.getppid()",
    "names process 1": "agent._fork_for_check = lambda *a: 1",
    "raises": "agent._fork_for_check = lambda *a: 1 / 0",
    "answers with a text": "agent._fork_for_check = lambda *a: 'a' * 10**5",
    "never says hello": "agent.serve = lambda *a, **k: sum(iter(int, 1))",
    "ends instead": "agent.serve = lambda *a, **k: os._exit(0)",
    "raises instead": "agent.serve = lambda *a, **k: 1 / 0",
    "returns instead": "agent.serve = lambda *a, **k: None",
    "has a wrong token": (
        "honest = agent.serve\n"
        "agent.serve = lambda address, token, *a, **k: honest(address, token[::-1], *a, **k)"
    ),
    "is noise": "protocol.Stream.send = lambda s, p: s._socket.sendall(b'x' * 9999)",
    "is never silent": (
        "honest = protocol.Stream.send\n"
        "def send(s, p):\n"
        "    honest(s, p)\n"
        "    while True: s._socket.sendall(b'GRDF' * 999)\n"
        "protocol.Stream.send = send"
    ),
    "connects without end": "agent.serve = lambda address, *a, **k: flood(address)",
    "answers in its place": (
        "operations.Check._answer = (\n"
        "    lambda self, number, *a: codec.encode([number, 'value', 'passed']))"
    ),
    "has another codec": (
        "codec.decode = codec.encode = codec.encoding.Encoder = lambda *a, **k: [b'']"
    ),
}


@pytest.fixture(scope="module")
def served_by(attacks):
    return attacks({served: SERVING + source for served, source in SERVED.items()})


@pytest.mark.parametrize("served", SERVED)
def test_a_process_that_does_not_serve_gains_nothing_and_holds_nothing_up(served_by, served):
    assert served_by[served]["status"] == "graded"
    assert served_by[served]["score"] <= HALF


# Jupyter messages: whatever the kernel can send, the notebook can.
KERNEL = """
k = get_ipython().kernel
raw = k.outlet._stream.send
def publish(kind, content): k.session.send("iopub", kind, content)
def reply(content): k.session.send("shell", "execute_reply", content)
reply.sent = k.outlet.send("iopub", "stream", {"name": "stdout", "text": "it can send"})
"""
FORGED = {
    "idle before its time": "for _ in range(3): publish('status', {'execution_state': 'idle'})",
    "twenty replies": "for _ in range(20): reply({'status': 'ok', 'execution_count': 1})",
    "a reply without a status": "reply({})",
    "a reply of the wrong types": (
        "reply({'status': ['ok'], 'ename': {}, 'evalue': [1] * 9, 'line': 'seven'})"
    ),
    "outputs of the wrong types": (
        "for kind, content in [\n"
        "    ('stream', {}), ('stream', {'name': 3, 'text': None}), ('display_data', {}),\n"
        "    ('display_data', {'data': 7, 'metadata': []}), ('error', {'traceback': 5}),\n"
        "    ('execute_result', {'data': {'text/plain': {}}}), ('update_display_data', {}),\n"
        "    ('clear_output', {}), ('comm_open', {}), ('comm_msg', {'comm_id': 'x'}), ('no', {}),\n"
        "]: publish(kind, content)"
    ),
    "an output that claims points": (
        "publish('display_data', {'data': {'application/json': {'score': 8},\n"
        "    'text/plain': 'Total 8 / 8 points (100 %)'}, 'metadata': {}})\n"
        'print(\'{"schema": 1, "submissions": [{"score": 8}]}\')'
    ),
    "frames that are no messages": "for _ in range(50): raw([b'\\0\\0\\0\\2{{'])",
    "a message that lacks what it must have": "raw([b'\\0\\0\\0\\2{}'])",
    "brackets without end": "raw([(10**5).to_bytes(4, 'big') + b'[' * 10**5])",
    "a frame longer than the grader takes": "raw([b'\\xff' * 4 + b'x' * 1000])",
    "a frame that stops in the middle": "raw([b'\\0\\1\\0\\0{'])",
    "a closed connection": "import os; os.close(k.outlet.fileno())",
    "the request to serve": (
        "try: k._serve({'address': 'unix:/x', 'token': ''})\nexcept BaseException: pass"
    ),
}


@pytest.fixture(scope="module")
def forged_by(attacks):
    return attacks({forged: KERNEL + source for forged, source in FORGED.items()})


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_message_earns_nothing_and_holds_nothing_up(forged_by, forged):
    assert forged_by[forged]["status"] == "graded"
    assert forged_by[forged]["score"] == HALF
