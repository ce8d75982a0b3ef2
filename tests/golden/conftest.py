"""The project that rows are made of has tests of its own, which are not of this suite."""

collect_ignore = ["made_rows"]
