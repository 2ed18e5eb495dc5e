"""Programs that people posted because they did not work, and what mends them. To add one, write a file and list it here."""

from core.cases.case import Case, Expects, Slip, Variant
from core.cases.flower_boundary import FLOWER_BOUNDARY
from core.cases.four_equations import FOUR_EQUATIONS
from core.cases.overfit_ten_images import OVERFIT_TEN_IMAGES
from core.cases.upscale_16_to_64 import UPSCALE_16_TO_64
from core.cases.xor_answer import XOR_ANSWER
from core.limits import ConfigError, shown

__all__ = ["CASES", "Case", "Expects", "Slip", "Variant", "variant"]

CASES = {case.name: case for case in (UPSCALE_16_TO_64, OVERFIT_TEN_IMAGES, XOR_ANSWER, FOUR_EQUATIONS, FLOWER_BOUNDARY)}


def variant(name: str) -> Variant:
    """The Variant that NAME or NAME/VARIANT means, NAME alone the program as posted; raises ConfigError."""
    case, _, wanted = name.partition("/")
    if case not in CASES:
        raise ConfigError("case", f"must be one of {', '.join(CASES)}; was {shown(case)}")
    found = CASES[case].variant(wanted or "as_posted")
    if found is None:
        names = ", ".join(variant.name for variant in CASES[case].variants)
        raise ConfigError("case", f"must have one of the variants {names}; was {shown(wanted)}")
    return found
