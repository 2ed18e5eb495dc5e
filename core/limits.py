"""What a run may ask for, and the error that refuses the rest."""

# What protects a shared server. Hidden layers and outputs differ: a 64x64 RGB picture alone is 12,288 outputs.
LIMITS = {
    "layers": 16,
    "units": 4096,
    "output_units": 16_384,
    "parameters": 20_000_000,
    "samples": 100_000,
    "inputs": 16_384,
    "memory_bytes": 1 << 30,
    "file_bytes": 64 << 20,
    "file_cells": 1 << 24,  # 128 MiB as float64
    "classes": 100,
}


class ConfigError(ValueError):
    """A configuration that cannot run. `field` is the dotted path, `message` says what it must be and what it was."""

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message

    def __reduce__(self):
        return type(self), (self.field, self.message)


def shown(value) -> str:
    """A value as an error message quotes it: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names) -> str:
    """Names as an error message lists them: quoted, the first three and how many more there are."""
    names = list(names)
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(shown(name) for name in names[:3]) + more
