"""Descent's core: configuration, training and diagnosis, without a browser.

The public names are loaded on first use, so that `python -m core` can pin the BLAS threads before NumPy is imported.
"""

from importlib import import_module

_HOMES = {
    "RunConfig": "core.config",
    "ConfigError": "core.config",
    "Trainer": "core.training.trainer",
    "diagnose": "core.diagnosis",
    "check_gradients": "core.diagnosis.gradient_check",
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
