"""The versions of all that makes rows of sources: they are part of the data stage's key, and of what made rows are kept by."""

from __future__ import annotations

from luthier.data.synthesize.makers.registry import MAKERS
from luthier.data.teacher import teach
from luthier.data.teacher.tasks import TASKS
from luthier.retrieval.shown import FORM
from luthier.retrieval.sources import cutting, reading

# Goes up when other rows come of the same material and makers: the budget, the order, what an origin says.
MAKING = 9


def row_versions() -> dict[str, int]:
    """The version of each by its name: reading, cutting, making, every maker, the teacher and its prompts, the form of shown pieces."""
    versions = {
        "reading": reading.VERSION,
        "cutting": cutting.VERSION,
        "making": MAKING,
        "teacher": teach.VERSION,
        "shown": FORM,
    }
    versions |= {f"maker {name}": facts.version for name, facts in MAKERS.items()}
    return versions | {f"prompt {task.name}": task.version for task in TASKS}
