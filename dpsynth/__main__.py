"""`python -m dpsynth` is the command line, for an environment whose scripts are not on the path."""

from dpsynth.cli.app import main

if __name__ == "__main__":
    main()
