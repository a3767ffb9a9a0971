"""`python -m covend`: the same as the `covend` command."""

from covend.cli import main

if __name__ == "__main__":
    main(prog_name="covend")
