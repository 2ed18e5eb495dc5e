"""The detectors: each is one function of the Evidence that yields what it finds, with its threshold and its gate. Layers in findings
count from 1.

`settings` looks at what was chosen and can be known before the first step; `code` at planted faults of backprop; `stability`, `signal` and
`progress` at what training shows. A wrong setting is a warning while it keeps the run from learning, or before anybody can tell; all but
`nonfinite` are silent on runs that learn.
"""

from core.diagnosis.detectors import code, progress, settings, signal, stability

DETECTORS = [detect for theme in (code, settings, stability, signal, progress) for detect in theme.DETECTORS]
