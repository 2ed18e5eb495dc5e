// A button that copies the page's address: it holds the whole set-up, and the run once that is kept.

const SHOWN = 2500 // milliseconds for which the button says that it is done
const COPIED = "Link copied"
const BY_HAND = "Copy it from the address bar"

export class Copy {
  constructor(root) {
    root.classList.add("descent-buttons", "descent-copy")
    this.button = root.appendChild(document.createElement("button"))
    this.button.type = "button"
    this.button.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true"></svg><span></span>'
    this.button.querySelector("svg").innerHTML =
      '<path d="M4 12a3 3 0 0 1 3-3h4V7H7a5 5 0 0 0 0 10h4v-2H7a3 3 0 0 1-3-3zm4 1h8v-2H8zm9-6h-4v2h4a3 3 0 0 1 0 6h-4v2h4a5 5 0 0 0 0-10z"/>'
    this.label = this.button.querySelector("span")
    this.label.setAttribute("aria-live", "polite")
    this.button.addEventListener("click", () => this.copy())
  }

  show({ label, help }) {
    this.name = label
    this.button.title = help
    if (!this.timer) this.label.textContent = label
  }

  async copy() {
    const copied = await copyText(location.href)
    this.label.textContent = copied ? COPIED : BY_HAND
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.label.textContent = this.name
    }, SHOWN)
  }

  close() {
    clearTimeout(this.timer)
  }
}

// Puts a text into the clipboard; whether that could be done. Pages that come over plain HTTP from another machine have no
// `navigator.clipboard`.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }))
    const before = document.activeElement
    field.select()
    const copied = document.execCommand("copy")
    field.remove()
    before?.focus()
    return copied
  }
}
