// A slider over steps that the server names. What is chosen goes up the line while it is dragged, one choice at a time: what was passed
// over meanwhile is not asked for.

export class Slider {
  constructor(root) {
    this.root = root
    this.options = []
    this.input = Object.assign(document.createElement("input"), { type: "range", min: 0, step: 1 })
    this.input.addEventListener("input", () => this.slide())
    for (const end of ["change", "blur"]) this.input.addEventListener(end, () => (this.dragged = false))
    this.from = document.createElement("small")
    this.to = document.createElement("small")
    root.replaceChildren(this.from, this.input, this.to)
    root.classList.add("descent-slider")
  }

  show({ name, label, help }) {
    this.name = name
    this.input.setAttribute("aria-label", label)
    this.input.title = help
  }

  // `slider` of a picture: options [text], index of the one that is shown, disabled. A picture that was made before the server heard
  // of the last choice does not move it back.
  receive({ slider, current }) {
    this.root.classList.toggle("descent-none", !slider)
    if (!slider) return
    this.options = slider.options
    this.input.max = this.options.length - 1
    this.input.disabled = slider.disabled
    if (current && !this.dragged) this.input.value = slider.index
    this.from.textContent = this.options[0]
    this.to.textContent = this.options.at(-1)
    this.tell()
    if (!current) return
    this.asked = false
    if (this.next !== undefined) this.ask(this.next)
  }

  slide() {
    this.dragged = true
    this.tell()
    const chosen = this.options[this.input.value]
    this.asked ? (this.next = chosen) : this.ask(chosen)
  }

  ask(chosen) {
    this.asked = true
    this.next = undefined
    this.line.send(this.name, chosen)
  }

  tell() {
    this.input.setAttribute("aria-valuetext", this.options[this.input.value] ?? "")
  }
}
