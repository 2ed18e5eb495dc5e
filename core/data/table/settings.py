"""What a person may say of a table, checked: columns left out or used otherwise, whether there is a header, what separates cells."""

from __future__ import annotations

from dataclasses import dataclass

from core.data.table.columns import TYPES, USES
from core.limits import LIMITS, TEXT_LENGTH, ConfigError, plain_text, shown


class Named(tuple):
    """((name, object), ...), in JSON an object; a tuple, so that it can be neither changed nor fail to be hashed."""


@dataclass(frozen=True)
class ColumnSetting:
    """What a person says of a column; None leaves it to Descent."""

    type: str | None = None
    use: str | None = None


def column_settings(field: str, value: object) -> Named:
    """The ColumnSettings, Named, of {name: {"type": ..., "use": ...}}. Raises ConfigError."""
    if isinstance(value, Named):
        return value
    if not isinstance(value, dict):
        raise ConfigError(field, f"must be an object of column names; was {shown(value)}")
    if len(value) > LIMITS["inputs"]:
        raise ConfigError(field, f"must name at most {LIMITS['inputs']:,} columns; had {len(value):,}")
    return Named((plain_text(field, name, TEXT_LENGTH), _setting(field, said)) for name, said in value.items())


def _setting(field, said):
    allowed = {"type": TYPES, "use": USES}
    if not isinstance(said, dict) or not set(said) <= set(allowed):
        raise ConfigError(field, f"must say type and use of a column; was {shown(said)}")
    for name, options in allowed.items():
        if said.get(name) is not None and (not isinstance(said[name], str) or said[name] not in options):
            raise ConfigError(field, f"must have a {name} that is one of {', '.join(options)}; was {shown(said[name])}")
    return ColumnSetting(**said)


def column_names(field: str, value: object) -> tuple[str, ...]:
    """A tuple of distinct column names. Raises ConfigError."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(entry, str) for entry in value):
        raise ConfigError(field, f"must be a list of column names; was {shown(value)}")
    return tuple(dict.fromkeys(plain_text(field, entry, TEXT_LENGTH) for entry in value))


def header(field: str, value: object) -> bool | None:
    """True, False or None. Raises ConfigError."""
    if value is not None and not isinstance(value, bool):
        raise ConfigError(field, f"must be true, false or null; was {shown(value)}")
    return value


def delimiter(field: str, value: object) -> str | None:
    """One character, or None. Raises ConfigError."""
    if value is not None and (not isinstance(value, str) or len(value) != 1 or value.isalnum() or value in '"\n\r\0'):
        raise ConfigError(field, f"must be one character such as , or ;, a tab, a blank, or null; was {shown(value)}")
    return value
