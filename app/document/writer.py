"""Plain values to YAML text that `source` reads back as the same values."""

from typing import Any

import yaml

from app.document.source import is_plain_text


class _Dumper(yaml.CSafeDumper):
    """PyYAML knows YAML 1.1 only: what other text looks like in 1.2 is quoted here."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value out; documents have no aliases."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Certificates are read line by line.
    style = "|" if "\n" in text else None if is_plain_text(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(tree: Any) -> str:
    """Return values as YAML, the innermost lists and mappings on one line."""
    text: str = yaml.dump(tree, Dumper=_Dumper, allow_unicode=True, default_flow_style=None, sort_keys=False, width=120)
    return text
