"""`python -m lighterage` is the command `lighterage`."""

from lighterage.cli import main

if __name__ == "__main__":
    main()
