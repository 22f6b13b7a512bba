"""What the Python client programs share: see lib.mjs."""
import json
import os
import sys
import threading

asked = json.loads(sys.argv[1])
_lock = threading.Lock()


def say(what, **row):
    line = json.dumps({"what": what, **row})
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _end_with_stdin():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=_end_with_stdin, daemon=True).start()
