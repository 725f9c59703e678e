# SPDX-License-Identifier: GPL-2.0
#
# A runner that prints TAP, and what tests are made of.
#
#	@case("what holds")
#	def _():
#		expect(got, wanted)
#
#	run_cases()

import contextlib
import errno
import gc
import os
import signal
import sys
import threading
import time
import traceback

# All time limits are longer by this factor.
SLOW = int(os.environ.get("HS_SLOW", "1"))

_cases = []


class Failure(Exception):
    pass


def case(name, limit=30):
    """Registers a function as one TAP point, with a time limit in seconds."""

    def register(function):
        _cases.append((name, limit, function))
        return function

    return register


def case_in_real_time(name, limit=30):
    """For what is lost where computing takes longer than the network: on a debug kernel."""
    return case(name, limit) if SLOW == 1 else lambda function: function


def expect(got, wanted, what=""):
    if got != wanted:
        raise Failure(f"{what + ': ' if what else ''}got {got!r}, want {wanted!r}")


def expect_true(condition, what):
    if not condition:
        raise Failure(what)


@contextlib.contextmanager
def raises(*numbers):
    """The block ends in an OSError with one of these numbers."""
    names = [errno.errorcode.get(number, number) for number in numbers]
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            got = errno.errorcode.get(error.errno, error.errno)
            raise Failure(f"got {got}, want {names}") from error
    else:
        raise Failure(f"succeeded, want {names}")


def _too_long(_signal, _frame):
    raise Failure("time limit")


def run_cases():
    signal.signal(signal.SIGALRM, _too_long)
    print(f"1..{len(_cases)}", flush=True)
    failed = 0
    for number, (name, limit, function) in enumerate(_cases, 1):
        start = time.monotonic()
        try:
            signal.alarm(limit * SLOW)
            function()
            signal.alarm(0)
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            signal.alarm(0)
            failed += 1
            why = str(error).replace("\n", " ") or type(error).__name__
            print(f"not ok {number} - {name} # {why}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        # Sockets that only an old traceback still knows are not to be there for the next one.
        gc.collect()
        print(f"# {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


def wait_until(condition, seconds=10, what="condition"):
    """Polls until condition() is true and returns what it returned."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Background:
    """Runs a function in a thread; result() gives what it returned or raised."""

    def __init__(self, function, *arguments):
        self._value = None
        self._error = None
        self._thread = threading.Thread(target=self._run, args=(function, *arguments), daemon=True)
        self._thread.start()

    def _run(self, function, *arguments):
        try:
            self._value = function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self._error = error

    def running(self):
        return self._thread.is_alive()

    def result(self, seconds=20):
        self._thread.join(seconds * SLOW)
        if self._thread.is_alive():
            raise Failure("the thread does not end")
        if self._error:
            raise self._error
        return self._value


def forked(function):
    """Runs a function in a child and returns its process ID; the exit status says how it went."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def joined(pid):
    expect(os.waitpid(pid, 0)[1], 0, "status of the child")
