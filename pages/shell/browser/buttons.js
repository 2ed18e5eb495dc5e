// A row of buttons, and choices among them, as a table of the server's names them; the line says which can be pressed now.

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  step: "M6 6l9 6-9 6zM16 6h2v12h-2z",
  epoch: "M4 6l8 6-8 6zM13 6l8 6-8 6z",
  reset: "M12 5V1L7 6l5 5V7a5 5 0 1 1-5 5H5a7 7 0 1 0 7-7z",
  dice: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm3 3.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm8 8a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3zm-4-4a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z",
  back: "M13 3a9 9 0 0 0-9 9H1l4 4 4-4H6a7 7 0 1 1 2 4.9l-1.400 1.400A9 9 0 1 0 13 3zm-1 5v5l4.200 2.500.8-1.300-3.500-2V8z",
  fork: "M14 4l2.300 2.300-2.900 2.900 1.400 1.400 2.900-2.900L20 10V4zM10 4H4v6l2.300-2.300 4.700 4.700V20h2v-8.400L7.700 6.300z",
}
const TYPED = "input:not([type=range]), textarea, select, [contenteditable=true], [role=textbox], [role=combobox]"

export class Buttons {
  constructor(root) {
    this.root = root
    this.made = new Map() // name -> element
    this.lostNote = Object.assign(document.createElement("span"), { className: "descent-lost", hidden: true })
    this.lostNote.setAttribute("role", "status")
    this.press = (event) => this.typed(event)
    document.addEventListener("keydown", this.press)
  }

  show({ buttons, choices = [], hold }, trigger) {
    this.trigger = trigger
    if (JSON.stringify([buttons, choices]) === this.table) return
    this.table = JSON.stringify([buttons, choices])
    this.shortcuts = new Map(buttons.filter((button) => button.shortcut).map((button) => [button.shortcut.toLowerCase(), button]))
    this.all = buttons
    this.made.clear()
    const row = [...buttons.map((button) => this.button(button)), ...choices.map((choice) => this.choice(choice))]
    this.root.replaceChildren(...row, this.lostNote)
    this.root.classList.add("descent-buttons")
    if (this.state) this.receive({ buttons: this.state })
  }

  button({ name, label, icon, shortcut, help, primary }) {
    const button = document.createElement("button")
    button.type = "button"
    button.dataset.name = name
    button.className = primary ? "primary" : ""
    const picture = ICONS[icon] ? `<svg viewBox="0 0 24 24" aria-hidden="true"><path fill-rule="evenodd" d="${ICONS[icon]}"/></svg>` : ""
    button.innerHTML = `${picture}<span></span>${shortcut ? "<kbd aria-hidden='true'></kbd>" : ""}`
    button.querySelector("span").textContent = label
    if (shortcut) {
      button.querySelector("kbd").textContent = shortcut
      button.setAttribute("aria-keyshortcuts", shortcut)
    }
    if (help) button.title = help
    button.disabled = true // until the line says otherwise
    button.addEventListener("click", () => this.line.send(name))
    this.made.set(name, button)
    return button
  }

  choice({ name, label, options, help }) {
    const select = document.createElement("select")
    select.setAttribute("aria-label", label)
    select.title = help
    select.append(...options.map((text) => new Option(text, text)))
    select.addEventListener("change", () => this.line.send(name, select.value))
    this.made.set(name, select)
    return select
  }

  // `buttons` of a picture: name -> {disabled, hidden, label, value}, each where it differs from the table's; null: none of them is there
  receive({ buttons }) {
    this.state = buttons
    this.lostNote.hidden = true
    this.root.classList.toggle("descent-none", !buttons)
    if (!buttons) return
    const focused = document.activeElement
    for (const [name, element] of this.made) {
      const { disabled = false, hidden = false, label, value } = buttons[name] ?? {}
      if (element.disabled !== disabled) element.disabled = disabled
      if (element.hidden !== hidden) element.hidden = hidden
      if (label && element.lastElementChild.textContent !== label) element.querySelector("span").textContent = label
      if (value !== undefined && element !== focused && element.value !== value) element.value = value
    }
    // What takes the place of the one that had the keyboard's focus takes that, too
    if (focused.hidden && this.root.contains(focused)) [...this.made.values()].find(({ hidden }) => !hidden)?.focus()
  }

  lost(unknown) {
    if (unknown) return this.trigger("lost", true)
    this.lostNote.textContent = "Connection lost. Connecting again ..."
    this.lostNote.hidden = false
  }

  typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.(TYPED)) return
    const named = this.all?.filter(({ shortcut }) => shortcut?.toLowerCase() === event.key.toLowerCase()) ?? []
    const there = named.map(({ name }) => this.made.get(name)).find((button) => !button.hidden && !button.disabled)
    if (!there) return
    event.preventDefault()
    there.click()
  }

  close() {
    document.removeEventListener("keydown", this.press)
  }
}
