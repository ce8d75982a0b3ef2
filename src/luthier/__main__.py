"""`python -m luthier` and the `luthier` command."""

from luthier.cli.main import main

if __name__ == "__main__":
    main()
