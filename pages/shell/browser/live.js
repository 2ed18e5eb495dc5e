// What the page mounts: each component of pages/shell/live_line.py is one part of what a live line shows and takes.

import { Board, loadPlotly } from "./board.js"
import { Buttons } from "./buttons.js"
import { Copy } from "./copy.js"
import { Digit } from "./digit.js"
import { Line } from "./line.js"
import { Listener } from "./listener.js"
import { Pad } from "./pad.js"
import { Slider } from "./slider.js"
import { Text } from "./text.js"
import { Tour } from "./tour.js"

const PARTS = { board: Board, buttons: Buttons, copy: Copy, digit: Digit, listener: Listener, pad: Pad, slider: Slider, text: Text, tour: Tour }
const parts = new WeakMap()

// Called at each run of the page. Returns what to call when the component may have gone.
export function mount({ data, parentElement, setTriggerValue }) {
  const [head, ...figures] = new TextDecoder().decode(data).split("\n")
  const options = { ...JSON.parse(head), figures }
  const root = parentElement.querySelector(".descent-part")
  if (!parts.has(root)) parts.set(root, new PARTS[options.part](root))
  const part = parts.get(root)
  const line = options.line && Line.of(options.line)
  // Plotly's script takes a second, in which the browser does nothing else: the server makes the first picture meanwhile. Whoever draws
  // tells if it failed.
  Promise.resolve(line?.opened).then(() => loadPlotly(options.plotly)).catch(() => {})
  part.view = options.view
  if (part.line !== line) {
    part.line?.leave(part)
    part.line = line
    line?.join(part)
  }
  part.show(options, setTriggerValue)
  // Also called when a later run overtakes this one: only a root that has left the page is over
  return () => {
    if (root.isConnected) return
    part.line?.leave(part)
    part.close?.()
    parts.delete(root)
  }
}
