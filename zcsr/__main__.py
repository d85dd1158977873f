"""`python -m zcsr`: the command line."""

from zcsr.cli import main

if __name__ == "__main__":
    main()
