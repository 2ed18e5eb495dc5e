// A tour of the page: a card beside each thing that it explains, never over it. It comes by itself once in a browser, where the address
// asks for nothing, and whenever its button is pressed. Who would rather go on alone just does: a press on anything else ends it.

const TAKEN = "descent tour" // the browser's note that the tour was there
const GAP = 12 // pixels between the card and what it explains, and to the edges of the window
const NARROW = 768 // pixels: where the sidebar lies over the page

export class Tour {
  constructor(root) {
    root.classList.add("descent-buttons", "descent-tour-button")
    this.button = root.appendChild(element("button", "", "Tour"))
    this.button.title = "What is where on this page, in a minute"
    this.button.addEventListener("click", () => {
      this.begin()
      this.next.focus({ preventScroll: true })
    })
    this.plain = !location.search
    this.leave = (event) => event.key === "Escape" && this.end()
    this.press = ({ target }) => this.card.contains(target) || this.target()?.contains(target) || this.end()
  }

  // `steps`: {title, text, at}, where `at` are selectors of what is explained; the first of them that can be seen is
  show({ steps }) {
    this.steps = steps
    if (this.plain && !taken()) this.begin()
    this.plain = false
  }

  begin() {
    remember()
    this.end()
    this.before = document.activeElement
    if (innerWidth < NARROW) document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click()
    this.ring = element("div", "descent-ring")
    this.card = element("div", "descent-tour")
    this.card.setAttribute("role", "dialog")
    this.card.setAttribute("aria-label", "Tour")
    this.words = element("div")
    this.words.setAttribute("aria-live", "polite")
    this.next = element("button", "primary")
    this.next.addEventListener("click", () => this.go(this.index + 1))
    this.back = element("button", "", "Back")
    this.back.addEventListener("click", () => this.go(this.index - 1))
    const skip = element("button", "", "End tour")
    skip.addEventListener("click", () => this.end())
    const row = element("div", "descent-buttons")
    row.append(skip, this.back, this.next)
    this.card.append(this.words, row)
    document.querySelector(".stApp").append(this.ring, this.card)
    document.addEventListener("keydown", this.leave)
    document.addEventListener("pointerdown", this.press, true)
    this.go(0)
    this.follow()
  }

  go(index) {
    if (index === this.steps.length) return this.end()
    this.index = index
    const { title, text } = this.steps[index]
    this.words.replaceChildren(element("b", "", `${index + 1} of ${this.steps.length}: ${title}`), element("p", "", text))
    this.next.textContent = index + 1 < this.steps.length ? "Next" : "Done"
    this.back.disabled = !index
    this.target()?.scrollIntoView({ block: "nearest", behavior: "instant" })
  }

  target() {
    return this.steps[this.index].at.map((selector) => document.querySelector(selector)).find(seen)
  }

  // The page moves under the card while it loads, plays and is scrolled
  follow() {
    const box = this.target()?.getBoundingClientRect()
    this.ring.hidden = !box
    if (box) {
      const [width, height] = [this.card.offsetWidth, this.card.offsetHeight]
      const [left, top] = beside(box, width, height)
      const place = JSON.stringify([left, top, box])
      if (place !== this.place) {
        this.place = place
        Object.assign(this.card.style, { left: `${left}px`, top: `${top}px` })
        Object.assign(this.ring.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` })
      }
    }
    this.following = requestAnimationFrame(() => this.follow())
  }

  end() {
    if (!this.card) return
    cancelAnimationFrame(this.following)
    document.removeEventListener("keydown", this.leave)
    document.removeEventListener("pointerdown", this.press, true)
    this.ring.remove()
    this.card.remove()
    this.card = this.place = undefined
    if (this.before === this.button) this.button.focus({ preventScroll: true })
  }

  close() {
    this.end()
  }
}

// Where a card of this size stands beside a box: right of it, left, below or above, where there is most room
function beside(box, width, height) {
  const within = (at, size, room) => Math.max(GAP, Math.min(at, room - size - GAP))
  const x = within(box.left + (box.width - width) / 2, width, innerWidth)
  const y = within(box.top + (box.height - height) / 2, height, innerHeight)
  const places = [
    [innerWidth - box.right - width, box.right + GAP, y],
    [box.left - width, box.left - width - GAP, y],
    [innerHeight - box.bottom - height, x, box.bottom + GAP],
    [box.top - height, x, box.top - height - GAP],
  ]
  const [, left, top] = places.reduce((best, place) => (place[0] > best[0] ? place : best))
  return [within(left, width, innerWidth), within(top, height, innerHeight)]
}

function seen(node) {
  const box = node?.getBoundingClientRect()
  return box && box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth
}

function taken() {
  try {
    return localStorage.getItem(TAKEN) !== null
  } catch {
    return true // a browser that keeps nothing would show it each time
  }
}

function remember() {
  try {
    localStorage.setItem(TAKEN, "yes")
  } catch {}
}

function element(tag, className = "", text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text, ...(tag === "button" ? { type: "button" } : {}) })
}
