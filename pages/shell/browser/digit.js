// A picture to draw: ink on a fine grid, of which each pixel counts what lies in it, as the data set of digits was made from handwriting.
// What is drawn goes to the page when the pointer is lifted, and at each key.

const FINE = 4 // places a pixel's side: it is between 0 and FINE * FINE
const REACH = 2.4 // places from the pointer to the edge of its ink
const WORDS = "Draw here; by keyboard, move with the arrow keys and press Space for ink"

export class Digit {
  constructor(root) {
    root.classList.add("descent-pad")
    this.canvas = document.createElement("canvas")
    this.canvas.className = "descent-digit"
    this.canvas.tabIndex = 0
    this.canvas.setAttribute("role", "application")
    this.canvas.setAttribute("aria-label", WORDS)
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event))
    this.canvas.addEventListener("pointermove", (event) => this.drawing && this.stroke(event))
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => this.end())
    this.canvas.addEventListener("keydown", (event) => this.key(event))
    for (const change of ["focus", "blur"]) this.canvas.addEventListener(change, () => this.draw())
    const clear = Object.assign(document.createElement("button"), { type: "button", textContent: "Clear" })
    clear.addEventListener("click", () => this.clear())
    const tools = Object.assign(document.createElement("div"), { className: "descent-buttons" })
    tools.append(clear)
    root.replaceChildren(this.canvas, tools)
  }

  // `side`: pixels a side
  show({ side }, trigger) {
    this.trigger = trigger
    if (side === this.side) return
    this.side = this.canvas.width = this.canvas.height = side
    this.cursor = [side >> 1, side >> 1]
    this.clear(true)
  }

  clear(silent = false) {
    this.ink = new Uint8Array((this.side * FINE) ** 2)
    this.draw()
    if (!silent) this.tell()
  }

  // How much ink each pixel holds, row by row
  get pixels() {
    const counts = Array(this.side ** 2).fill(0)
    const wide = this.side * FINE
    this.ink.forEach((on, place) => on && counts[Math.floor(place / wide / FINE) * this.side + Math.floor((place % wide) / FINE)]++)
    return counts
  }

  draw() {
    const context = this.canvas.getContext("2d")
    const image = context.createImageData(this.side, this.side)
    this.pixels.forEach((count, place) => image.data.set([255, 255, 255, (255 * count) / FINE ** 2], 4 * place))
    context.putImageData(image, 0, 0)
    if (!this.canvas.matches(":focus-visible")) return
    context.fillStyle = "#62b3f2aa"
    context.fillRect(...this.cursor, 1, 1)
  }

  begin(event) {
    if (event.button) return
    this.canvas.setPointerCapture(event.pointerId)
    this.drawing = true
    this.last = undefined
    this.stroke(event)
  }

  stroke({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect()
    const wide = this.side * FINE
    const at = [((clientX - box.left) / box.width) * wide, ((clientY - box.top) / box.height) * wide]
    const [x, y] = this.last ?? at
    const pieces = Math.ceil(Math.hypot(at[0] - x, at[1] - y)) || 1
    for (let piece = 1; piece <= pieces; piece++) this.put(x + ((at[0] - x) * piece) / pieces, y + ((at[1] - y) * piece) / pieces)
    this.last = at
    this.draw()
  }

  put(x, y) {
    const wide = this.side * FINE
    for (let place = 0; place < wide * wide; place++)
      if (Math.hypot((place % wide) + 0.5 - x, Math.floor(place / wide) + 0.5 - y) < REACH) this.ink[place] = 1
  }

  end() {
    if (this.drawing) this.tell()
    this.drawing = false
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
    if (!step && event.key !== " ") return
    event.preventDefault()
    if (step) this.cursor = this.cursor.map((at, axis) => Math.max(0, Math.min(this.side - 1, at + step[axis])))
    else {
      this.put(...this.cursor.map((at) => (at + 0.5) * FINE))
      this.tell()
    }
    this.draw()
  }

  tell() {
    this.trigger("drawn", this.pixels)
  }
}
