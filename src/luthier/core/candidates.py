"""The names under which a run's own models stand in files and tables, and with them in `evaluate.against`."""

from __future__ import annotations

# The trained model, and the model that it was trained from.
TUNED, BASE = "tuned", "base"
# The trained model as the export `merged` wrote it.
MERGED = "merged"
# Behind a candidate's name: its answers are read with the Markdown parser.
PARSER = "+parser"
BASE_PARSER, BASE_SHOTS = f"{BASE}{PARSER}", f"{BASE}+shots"
# What the tuned model is compared with where a run file names nothing else, in the tables' order.
OWN_CANDIDATES = (BASE, BASE_PARSER, BASE_SHOTS)
# The source of a run's own answers.
RUN = "run"
# Names that nothing else which a run is compared with may have.
RESERVED = frozenset((*OWN_CANDIDATES, TUNED, RUN))
