"""The `vestibule` command: `python -m app`."""

from app.cli import vestibule


def main() -> None:
    """Run the command and exit with its code."""
    vestibule(prog_name="vestibule")


if __name__ == "__main__":
    main()
