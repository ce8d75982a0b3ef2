"""A process of a crew: takes what it is to do, then item after item, until the socket closes."""

from __future__ import annotations

import gc
import os
import select
import sys
import threading
from multiprocessing.connection import Connection

from luthier.core.errors import LuthierError
from luthier.core.machine import GONE
from luthier.data.crew.members import Failed


def main(descriptor: int) -> None:
    """Serves the socket `descriptor`. What goes wrong with an item is sent in place of its result."""
    threading.Thread(target=_end_with_the_parent, args=(descriptor,), daemon=True).start()
    connection = Connection(descriptor)
    try:
        work = connection.recv()()
        # What is there now stays: without this the collector walks over rules and modules time and again.
        gc.freeze()
        while True:
            item = connection.recv()
            try:
                result = work(item)
            except LuthierError as error:
                result = Failed(str(error))
            try:
                connection.send(result)
            except RecursionError:  # It is nested more deeply than can be sent; nothing of it was.
                connection.send(Failed())
    except (EOFError, ConnectionError):
        return


def _end_with_the_parent(descriptor: int) -> None:
    """Ends this process when the other side is gone, also in the midst of an item that nobody waits for any more."""
    poller = select.poll()
    poller.register(descriptor, GONE)
    poller.poll()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
