"""Nobody to talk to: no address, no name, no local service, no other submission."""

import contextlib
import socket
import threading

import pytest

MAX = 8.0

# `reached()` lists what it could talk to; a failed check's reason tells us.
TRY = r"""
import glob, os, socket

def reached():
    found = []
    def attempt(name, do):
        try:
            do()
        except BaseException:
            return
        found.append(name)
    def connect(family, address, kind=socket.SOCK_STREAM):
        with socket.socket(family, kind) as s:
            s.settimeout(1)
            s.connect(address)
            s.sendall(b"hello")
    def udp():
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", UDP))
    attempt("tcp", lambda: connect(socket.AF_INET, ("127.0.0.1", TCP)))
    attempt("a local name", lambda: socket.create_connection(("localhost", TCP), 1).send(b"hello"))
    attempt("udp", udp)
    attempt("an abstract socket", lambda: connect(socket.AF_UNIX, "\0ABSTRACT"))
    attempt("a unix socket", lambda: connect(socket.AF_UNIX, "UNIX"))
    attempt("an address", lambda: socket.create_connection(("192.0.2.1", 53), 1))
    attempt("a name", lambda: socket.getaddrinfo("example.com", 80))
    attempt("raw packets", lambda: socket.socket(17, socket.SOCK_RAW, 768))
    return found
"""
SAY = 'raise RuntimeError("reached: " + (", ".join({}) or "nothing"))'


@pytest.fixture
def services(host, sandbox):
    """Services of this machine. Gives the hostile source, who came, and the udp socket."""
    heard = []
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{host.mark}")
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        path = host.tmp.with_name(f"u-{host.mark}")
        unix.bind(str(path))
        path.chmod(0o777)
        stack.callback(path.unlink)

        def listen(server):
            server.listen()
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                heard.append(server.getsockname())
                connection.close()

        threads = [threading.Thread(target=listen, args=(s,)) for s in (tcp, abstract, unix)]
        for thread in threads:
            thread.start()
        host.allowed = [path]
        source = TRY.replace("TCP", str(tcp.getsockname()[1])).replace("UNIX", str(path))
        source = source.replace("UDP", str(udp.getsockname()[1])).replace("ABSTRACT", host.mark)
        # The words that `socket` itself uses.
        yield source.replace("AF_" + str(path), "AF_UNIX"), heard, udp
        for server in (tcp, abstract, unix):
            server.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def test_no_connection_is_made(host, services, messages):
    source, heard, udp = services
    verdict = host.grade(
        host.right(
            source,
            "first = reached()",
            mean_square=SAY.format("reached()"),
            sigmoid=SAY.format("first"),
        ),
        host.right(name="honest"),
    )
    said = messages(verdict["right"])
    assert "reached: nothing" in said["square"]
    assert "reached: nothing" in said["sigmoid"]
    assert heard == []
    with pytest.raises(BlockingIOError):
        udp.recv(100)
    assert verdict["honest"]["score"] == MAX


def test_a_server_of_its_own_is_not_to_be_reached(host, sandbox):
    """A submission may listen to itself at most; nothing of it answers outside."""
    serve = """
        import socket, threading, time
        try:
            s = socket.create_server(("0.0.0.0", PORT))
            threading.Thread(target=s.accept, daemon=True).start()
            time.sleep(1)
        except OSError:
            pass
        """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reached = []
    done = threading.Event()

    def knock():
        while not done.wait(0.02):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                reached.append(1)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        verdict = host.grade(host.right(serve.replace("PORT", str(port))))
    finally:
        done.set()
        thread.join()
    assert reached == []
    assert verdict["right"]["score"] == MAX


def test_another_submissions_kernel_is_not_to_be_met(host, messages, sandbox):
    """While this notebook runs, so does another grader; its sockets and folders are not there."""
    look = """
        import os, socket, time
        met = []
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            for place in ("/tmp", "/var/tmp", "/run", "TMP"):
                for folder, folders, files in os.walk(place):
                    for name in files:
                        if name.startswith("other-"):
                            met.append("its file")
                        try:
                            with socket.socket(socket.AF_UNIX) as s:
                                s.connect(os.path.join(folder, name))
                            if os.stat(os.path.join(folder, name)).st_mtime < STARTED:
                                met.append("its socket")
                        except OSError:
                            pass
            for name in os.listdir("/proc"):
                try:
                    if "other" in open(f"/proc/{name}/cmdline").read():
                        met.append("its process")
                except OSError:
                    pass
            time.sleep(0.1)
        """
    stay = "import pathlib, time\npathlib.Path('other-notes').write_text('x')\ntime.sleep(1.8)"
    say = 'raise RuntimeError("met: " + (", ".join(sorted({*met})) or "nobody"))'
    look = look.replace("TMP", str(host.tmp)).replace("STARTED", "0")
    other = host.right(stay, name="other")
    spy = host.right(look, name="spy", mean_square=say)
    graded = []
    before = threading.Thread(target=lambda: graded.append(host.run(other)))
    before.start()
    verdict = host.run(spy)
    before.join()
    assert "met: nobody" in messages(verdict["spy"])["square"]
    assert graded[0]["other"]["score"] == MAX
    assert host.processes() == []
