"""`python -m mindscope` is the command line."""

from mindscope.cli import main

if __name__ == "__main__":
    main()
