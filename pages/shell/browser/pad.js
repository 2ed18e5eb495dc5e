// The plane as something to draw on: brushes, one a class, put points down along a stroke; what is drawn goes to the page when the pointer
// is lifted.

const APART = 0.055 // of the plane's side: between the points of a stroke
const REACH = 0.035 // of the eraser
const PATIENCE = 4000 // milliseconds in which the page may still show what was there before the last stroke
const SVG = "http://www.w3.org/2000/svg"
// A mark a class, so that none is told by its colour alone; from the sixth on they come again as outlines
const MARKS = ["M-5,0a5,5 0 1 0 10,0a5,5 0 1 0 -10,0", "M-4.5,-4.5h9v9h-9z", "M0,-5.5L5.5,4.5H-5.5z", "M0,-6L6,0L0,6L-6,0z", "M-2,-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z"]
const ERASE = "erase"

export class Pad {
  constructor(root) {
    this.root = root
    this.points = []
    this.strokes = [] // what was there before each stroke of this page
    this.brush = 0
    this.plane = document.createElementNS(SVG, "svg")
    this.plane.setAttribute("role", "img")
    this.plane.classList.add("descent-plane")
    this.plane.addEventListener("pointerdown", (event) => this.begin(event))
    this.plane.addEventListener("pointermove", (event) => this.from && this.stroke(event))
    for (const end of ["pointerup", "pointercancel"]) this.plane.addEventListener(end, () => this.end())
    this.tools = Object.assign(document.createElement("div"), { className: "descent-buttons" })
    root.replaceChildren(this.tools, this.plane)
    root.classList.add("descent-pad")
  }

  // `points` [[x1, x2, class]], `colors` one a class, `classes` brushes, `half` the side's half, `most` points
  show({ points, colors, classes, half, most }, trigger) {
    Object.assign(this, { colors, classes, half, most, trigger })
    this.plane.setAttribute("viewBox", `${-half} ${-half} ${2 * half} ${2 * half}`)
    const late = this.sent && JSON.stringify(points) !== this.sent && performance.now() < this.asked + PATIENCE
    if (!late && !this.from) [this.points, this.sent] = [points, undefined]
    if (this.brush !== ERASE && this.brush >= classes) this.brush = 0
    this.draw()
  }

  draw() {
    this.makeTools()
    const size = this.half / 150
    const lines = `<path d="M${-this.half},0H${this.half}M0,${-this.half}V${this.half}" class="axes"/>`
    const marks = this.points.map(([x, y, label]) => `<path transform="translate(${x},${-y}) scale(${size})" ${this.look(label)}/>`)
    this.plane.innerHTML = lines + marks.join("")
    const count = this.points.length
    this.plane.setAttribute("aria-label", `The plane with ${count} point${count === 1 ? "" : "s"}; by keyboard, use the table below`)
  }

  look(label) {
    const [color, mark] = [this.colors[label] ?? "currentColor", MARKS[label % MARKS.length]]
    return label < MARKS.length ? `d="${mark}" fill="${color}"` : `d="${mark}" fill="none" stroke="${color}" stroke-width="2"`
  }

  makeTools() {
    const brushes = Array.from({ length: this.classes }, (_, label) => [label, `Class ${label}`])
    const acts = [[ERASE, "Erase"], ["undo", "Undo"], ["clear", "Clear"]]
    const told = JSON.stringify([brushes.length, this.colors])
    if (told !== this.told) {
      this.told = told
      const icon = (label) => `<svg viewBox="-8 -8 16 16" aria-hidden="true"><path ${this.look(label)}/></svg>`
      this.tools.replaceChildren(
        ...[...brushes, ...acts].map(([name, label]) => {
          const button = Object.assign(document.createElement("button"), { type: "button", title: label })
          button.innerHTML = typeof name === "number" ? icon(name) + `<span>${name}</span>` : `<span>${label}</span>`
          button.setAttribute("aria-label", typeof name === "number" ? `Brush: class ${name}` : label)
          button.dataset.name = name
          button.addEventListener("click", () => this.press(name))
          return button
        }),
      )
    }
    for (const button of this.tools.children) {
      const { name } = button.dataset
      if (name === "undo") button.disabled = !this.strokes.length
      else if (name === "clear") button.disabled = !this.points.length
      else button.setAttribute("aria-pressed", String(this.brush) === name)
    }
  }

  press(name) {
    if (name === "undo") this.use(this.strokes.pop())
    else if (name === "clear") {
      this.strokes.push(this.points)
      this.use([])
    } else {
      this.brush = name
      this.draw()
    }
  }

  begin(event) {
    if (event.button) return
    event.preventDefault()
    this.plane.setPointerCapture(event.pointerId)
    this.strokes.push(this.points)
    this.from = [Infinity, Infinity]
    this.stroke(event)
  }

  stroke(event) {
    const box = this.plane.getBoundingClientRect()
    const place = (at, low, length) => Math.min(1, Math.max(0, (at - low) / length)) * 2 * this.half - this.half
    const [x, y] = [place(event.clientX, box.left, box.width), -place(event.clientY, box.top, box.height)]
    const far = ([x1, x2], reach) => Math.hypot(x1 - x, x2 - y) > 2 * this.half * reach
    if (this.brush === ERASE) this.points = this.points.filter((point) => far(point, REACH))
    else if (far(this.from, APART) && this.points.length < this.most) {
      this.from = [x, y]
      this.points = [...this.points, [Math.round(100 * x) / 100, Math.round(100 * y) / 100, this.brush]]
    } else return
    this.draw()
  }

  end() {
    if (!this.from) return
    this.from = undefined
    const before = this.strokes.at(-1)
    if (before.length === this.points.length) this.strokes.pop()
    else this.use(this.points)
  }

  use(points) {
    this.points = points
    this.sent = JSON.stringify(points)
    this.asked = performance.now()
    this.draw()
    this.trigger("drawn", points)
  }
}
