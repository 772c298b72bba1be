"""``python -m snndeploy`` is ``snndeploy``."""

from snndeploy.cli import main

if __name__ == "__main__":
    main()
