"""What the checks with AWS's device SDKs for Python share: arguments, bounded waiting, and how they end."""

import argparse
import faulthandler
import os
import queue
import traceback

# How long a single answer may take, in seconds.
PATIENCE = 15
# How long everything may take: less than the caller waits, so that what hangs is shown.
LIMIT = 50

# From the lengths that fit a byte of a WebSocket frame to those that need eight, and over several TLS records.
PAYLOADS = [f"{n} " + "x" * (250 * n * n) for n in range(20)]


class Failure(Exception):
    """What was checked does not hold."""


class Inbox:
    """What callbacks bring from the SDK's threads, one after another."""

    def __init__(self, what):
        self.what = what
        self.items = queue.Queue()

    def put(self, *item):
        self.items.put(item[0] if len(item) == 1 else item)

    def take(self):
        try:
            return self.items.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failure(f"no {self.what} within {PATIENCE} s") from None


def arguments():
    """Where the emulator is, and who we are: a certificate with its key, or credentials to sign with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--thing", required=True, help="its name; clients and topics are called after it, too")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--host")
    parser.add_argument("--region")
    parser.add_argument("--access-key")
    parser.add_argument("--secret")
    parser.add_argument("--mqtt", choices=["3.1.1", "5"], default="3.1.1")
    args = parser.parse_args()
    if (args.cert is None) == (args.access_key is None):
        parser.error("either --cert and --key or --access-key and --secret")
    return args


def check(holds, otherwise):
    if not holds:
        raise Failure(otherwise)


def arrived(inbox, topic, qos):
    """Every payload has come by this topic, in order, whole, and with this quality of service."""
    for n, payload in enumerate(PAYLOADS):
        got_topic, message, got_qos = inbox.take()
        message = bytes(message).decode()
        check(
            (got_topic, message, int(got_qos)) == (topic, payload, qos),
            f"message {n}: {len(message)} characters {message[:40]!r} on {got_topic} with QoS {got_qos} instead of "
            f"{len(payload)} characters {payload[:40]!r} on {topic} with QoS {qos}",
        )
    say(f"{len(PAYLOADS)} messages there and back, QoS {qos}")


def say(what):
    """A line for what has been seen to work."""
    print(what, flush=True)


def run(main):
    """Runs the check, and ends the process whatever threads the SDK leaves behind."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    try:
        main(arguments())
    except Exception:
        traceback.print_exc()
        os._exit(1)
