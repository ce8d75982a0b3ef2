"""A process of the crew: takes settings, then batch after batch, until the socket closes."""

from __future__ import annotations

import gc
import sys
from multiprocessing.connection import Connection

from luthier.core.errors import LuthierError
from luthier.data.intake.prepare import Preparation


def main(descriptor: int) -> None:
    """Serves the socket `descriptor`. What goes wrong in a batch is sent in place of its result."""
    connection = Connection(descriptor)
    try:
        preparation = Preparation(connection.recv())
        # What is there now stays: without this the collector walks over rules and modules time and again.
        gc.freeze()
        while True:
            batch = connection.recv()
            try:
                connection.send(preparation(batch))
            except LuthierError as error:
                connection.send(str(error))
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]))
