// Draws Plotly figures in place. Panels keep their nodes for as long as the page has them; a panel is drawn again only when
// its figure has changed and it is in view, one panel at a time, so that clicks and scrolling come between.
// After each drawing the plot's node sends the event "drawn".

import { copyPicture, ICON, picture, save } from "./picture.js"
import { frame, repaint } from "./repaint.js"
import { shownTheme } from "./theme.js"

const MARGIN = "200px" // panels this near to the view are kept up to date
const TOLD = 2500 // milliseconds for which it is told that a picture was copied
const COPIED = { true: "Picture copied", false: "Not allowed here: save it instead" }
const STILL = 1500 // milliseconds without a new figure after which a repainted panel is drawn in full
const POINTING = 80 // milliseconds from one cell that is pointed at to the next that is told
const SIGNS = { diamond: "◆", star: "★" } // of a legend, for the markers of these names
let loading

// Begins to fetch Plotly's script, once
export function loadPlotly(url) {
  loading ??= new Promise((resolve, reject) => {
    const script = document.head.appendChild(Object.assign(document.createElement("script"), { src: url }))
    script.addEventListener("load", () => resolve())
    script.addEventListener("error", () => {
      loading = undefined
      script.remove()
      reject(new Error("The charts could not be loaded. Reload the page to try again."))
    })
  })
  return loading
}

// Text, not URLSearchParams: those would write the rest of the address in another way
function keepInAddress(name, value) {
  const others = location.search.slice(1).split("&").filter((part) => part && !part.startsWith(`${name}=`))
  const search = [...others, ...(value ? [`${name}=${value}`] : [])].join("&")
  if (search !== location.search.slice(1)) history.replaceState(history.state, "", `${location.pathname}${search && "?"}${search}${location.hash}`)
}

const rest = () => (window.scheduler?.yield ? window.scheduler.yield() : new Promise((resolve) => setTimeout(resolve)))

export class Board {
  constructor(root) {
    this.root = root
    this.grid = element("div", "descent-grid")
    root.replaceChildren(this.grid)
    root.classList.add("descent-figures")
    this.panels = new Map()
    this.inView = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: MARGIN })
    this.resized = new ResizeObserver((entries) => this.measured(entries))
  }

  // `figures` of charts that do not move come with the page; those of a run over the line, and `waiting` says what that takes time for
  show({ plotly, names, theme, figures, waiting }, trigger) {
    this.url = plotly
    this.trigger = trigger
    if (waiting) this.grid.dataset.waiting = waiting
    if (this.line) return
    this.theme ??= shownTheme((shown) => this.trigger("theme", shown))
    if (this.theme.value !== theme && this.asked !== this.theme.value) trigger("theme", (this.asked = this.theme.value))
    this.receive({ names }, figures)
  }

  // `figures`: the text of each of these names
  receive({ names, address }, figures) {
    if (address) keepInAddress(...address)
    for (const [name, panel] of this.panels) if (!names.includes(name)) this.remove(name, panel)
    let previous = null
    names.forEach((name, index) => {
      const panel = this.panels.get(name) ?? this.add(name, previous)
      panel.receive(figures[index])
      previous = panel
    })
    this.draw()
  }

  add(name, previous) {
    const panel = new Panel(name, (command, value) => this.line?.send(command, value), () => this.draw())
    this.panels.set(name, panel)
    previous ? previous.node.after(panel.node) : this.grid.prepend(panel.node)
    this.inView.observe(panel.node)
    this.resized.observe(panel.plot)
    return panel
  }

  remove(name, panel) {
    this.inView.unobserve(panel.node)
    this.resized.unobserve(panel.plot)
    panel.close()
    this.panels.delete(name)
  }

  seen(entries) {
    for (const entry of entries) this.of(entry.target).visible = entry.isIntersecting
    this.draw()
  }

  measured(entries) {
    for (const entry of entries) this.of(entry.target.parentElement).resize(Math.round(entry.contentRect.width))
    this.draw()
  }

  of(node) {
    return this.panels.get(node.dataset.name) ?? {}
  }

  draw() {
    this.drawn = this.drawing ??= this.drawAll().finally(() => (this.drawing = undefined))
  }

  async drawAll() {
    try {
      await loadPlotly(this.url)
    } catch (error) {
      this.root.replaceChildren(element("div", "descent-missing", error.message))
      return
    }
    let drawn = true
    while (drawn) {
      drawn = false
      for (const panel of [...this.panels.values()]) {
        if (!panel.due) continue
        try {
          panel.draw()
        } catch (error) {
          reportError(error) // the other panels are drawn, and the next picture comes
        }
        drawn = true
        await rest()
      }
    }
  }

  close() {
    this.theme?.stop()
    this.inView.disconnect()
    this.resized.disconnect()
    for (const [name, panel] of this.panels) this.remove(name, panel)
  }
}

class Panel {
  constructor(name, send, again) {
    this.name = name
    this.send = send
    this.again = again
    this.node = element("section", "descent-panel")
    this.node.dataset.name = name
    this.head = element("div", "descent-head")
    this.title = element("div", "descent-title")
    this.title.setAttribute("role", "heading")
    this.title.setAttribute("aria-level", "3")
    this.legend = element("div", "descent-legend")
    this.help = element("button", "descent-help", "?")
    this.said = element("span", "descent-said")
    this.said.setAttribute("role", "status")
    this.head.append(this.title, this.help, this.said, this.legend)
    this.plot = element("div", "descent-plot")
    this.node.append(this.head, this.plot)
    this.hidden = new Set() // names of traces that were switched off
    this.zoom = {} // axis -> range the viewer chose
    this.width = 0
    this.watchPointer()
    this.node.addEventListener("fullscreenchange", () => this.change())
  }

  // While a button is down on a chart it stays as it is: a drag or a click must end on what it began on
  watchPointer() {
    const release = () => {
      window.removeEventListener("pointerup", release)
      window.removeEventListener("pointercancel", release)
      setTimeout(() => {
        this.held = false
        this.again()
      })
    }
    this.plot.addEventListener("pointerdown", () => {
      this.held = true
      window.addEventListener("pointerup", release)
      window.addEventListener("pointercancel", release)
    })
    // Plotly counts clicks by its own clock, which runs on while a busy page draws; the browser's count is the person's
    this.plot.addEventListener("mousedown", ({ detail }) => detail === 2 && this.unzoom(), true)
    this.plot.addEventListener("mousemove", (event) => (this.pointer = event), true)
    this.plot.addEventListener("mouseenter", () => this.catchUp())
    this.plot.addEventListener("mouseleave", () => (this.pointer = undefined))
  }

  receive(text) {
    if (text === this.text) return
    this.text = text
    this.dirty = true
    clearTimeout(this.pause)
    if (!this.figure) this.read()
  }

  read() {
    this.figure = JSON.parse(this.text)
    const { layout, help } = this.figure
    this.title.textContent = layout.title.text
    this.plot.style.height = `${layout.height}px`
    this.help.hidden = !help
    this.help.dataset.help = help
    this.help.setAttribute("aria-label", help)
    this.plot.classList.toggle("descent-pixels", layout.meta === "pixels")
    this.showLegend()
    this.drawnText = this.text
  }

  resize(width) {
    if (width === this.width) return
    this.width = width
    this.change()
  }

  get due() {
    return this.dirty && this.visible && this.width > 0 && !this.held
  }

  draw() {
    this.dirty = false
    if (this.drawnText !== this.text) this.read()
    const now = frame(this.figure)
    this.behind = !this.pointer && now === this.frame && repaint(this.plot, this.figure)
    this.frame = now
    if (this.behind) this.pause = setTimeout(() => this.catchUp(), STILL)
    else this.react()
    this.speak()
    this.plot.dispatchEvent(new Event("drawn", { bubbles: true }))
  }

  react() {
    const { title, legend, ...rest } = structuredClone(this.figure.layout) // Plotly writes into what it is given
    const shown = { ...rest, width: this.width, showlegend: false, font: { ...rest.font, family: getComputedStyle(this.node).fontFamily } }
    Object.assign(shown, this.axes())
    if (document.fullscreenElement === this.node) shown.height = this.plot.clientHeight
    window.Plotly.react(this.plot, this.traces(), shown, this.config())
    if (!this.listening) this.listen()
    if (this.pointer) window.Plotly.Fx.hover(this.plot, this.pointer)
  }

  // The traces as they are shown: some may have been switched off
  traces() {
    return this.figure.data.map((trace) => (this.hidden.has(trace.name) ? { ...trace, visible: false } : trace))
  }

  // The axes on which the viewer zoomed in
  axes() {
    const zoomed = Object.entries(this.zoom).map(([axis, range]) => [axis, { ...this.figure.layout[axis], range, autorange: false }])
    return Object.fromEntries(zoomed)
  }

  // Whoever hears the chart hears one picture; the buttons that Plotly puts beside it are not part of that
  speak() {
    const [picture, ...above] = this.plot.querySelectorAll(".main-svg")
    if (!picture) return
    picture.setAttribute("role", "img")
    picture.setAttribute("aria-label", this.figure.alt)
    for (const layer of above) layer.setAttribute("aria-hidden", "true")
  }

  // Draw in full what was only repainted
  catchUp() {
    if (this.behind) this.change()
  }

  // Something other than the figure has changed: the next drawing is a full one
  change() {
    this.frame = undefined
    this.dirty = true
    this.again()
  }

  // Made once: a configuration that differs, be it in a function, makes Plotly build the chart anew
  config() {
    const reset = { name: "Reset view", title: "Reset view", icon: window.Plotly.Icons.home, click: () => this.unzoom() }
    const made = () => picture(this.figure, this.traces(), this.axes(), this.width, getComputedStyle(this.node).fontFamily)
    const saved = { name: "Save as PNG", title: "Save as PNG", icon: window.Plotly.Icons.camera, click: () => save(made(), `descent_${this.name}.png`) }
    const copied = { name: "Copy picture", title: "Copy picture", icon: ICON.copy, click: async () => this.tell(COPIED[await copyPicture(made())]) }
    const whole = { name: "Full screen", title: "Full screen (Escape leaves it)", icon: ICON.whole, click: () => this.fill() }
    const still = this.figure.layout.dragmode === false
    this.settings ??= { displaylogo: false, doubleClick: false, displayModeBar: "hover", modeBarButtons: [[whole, saved, copied, ...(still ? [] : [reset])]] }
    return this.settings
  }

  // The panel alone on the screen, and back
  fill() {
    if (document.fullscreenElement) document.exitFullscreen()
    else this.node.requestFullscreen().catch(() => this.tell("Not allowed here"))
  }

  tell(text) {
    this.said.textContent = text
    clearTimeout(this.saying)
    this.saying = setTimeout(() => (this.said.textContent = ""), TOLD)
  }

  listen() {
    this.listening = true
    this.plot.on("plotly_relayout", (change) => {
      for (const key of Object.keys(change)) {
        const axis = key.match(/^([xy]axis\d*)\.range/)?.[1]
        if (axis) this.zoom[axis] = [...this.plot._fullLayout[axis].range]
      }
      if (this.cells && Object.keys(this.zoom).length) {
        this.zoom = {} // the server makes a map of that window, with axes of its own
        this.send("zoom", { x: this.plot._fullLayout.xaxis.range, y: this.plot._fullLayout.yaxis.range })
      }
    })
    this.plot.on("plotly_click", ({ points }) => {
      const [layer, index] = (this.name === "network" && points[0].customdata) || []
      if (layer > 0) this.send("pick", [layer, index])
      if (this.cells && Array.isArray(points[0].pointNumber)) this.send("pick", points[0].pointNumber)
    })
    this.plot.on("plotly_hover", ({ points }) => {
      if (!this.cells || !Array.isArray(points[0].pointNumber)) return
      this.pointed = points[0].pointNumber
      this.pointing ??= setTimeout(() => {
        this.pointing = undefined
        this.send("point", this.pointed)
      }, POINTING)
    })
  }

  // Whether this is the map of divergence, whose cells are runs
  get cells() {
    return this.figure.layout.meta === "cells"
  }

  unzoom() {
    this.zoom = {}
    this.change()
  }

  showLegend() {
    const { data, layout, keys } = this.figure
    const named = layout.showlegend ? data.filter((trace) => trace.name && trace.showlegend !== false) : []
    const entries = named.map(({ name, line, marker }) => [name, line?.dash, line?.color, marker?.symbol])
    const caption = layout.showlegend ? layout.legend.title.text : ""
    const signature = JSON.stringify([keys, caption, entries])
    if (signature === this.signature) return
    this.signature = signature
    const explained = keys.map(([name, dash]) => this.mark(element("span", "descent-key"), name, dash))
    this.legend.replaceChildren(...explained, ...(caption ? [element("span", "", caption)] : []), ...entries.map((entry) => this.key(...entry)))
  }

  mark(node, name, dash, color, symbol) {
    const mark = element("span", symbol ? "descent-dot" : "descent-line")
    if (symbol === "circle") mark.style.background = "currentColor"
    if (SIGNS[symbol]) Object.assign(mark, { className: "", textContent: SIGNS[symbol] })
    if (color) mark.style.borderColor = color
    if (dash) mark.style.borderTopStyle = { dot: "dotted", dash: "dashed" }[dash] ?? "solid"
    node.append(mark, name)
    return node
  }

  // A button that shows and hides its trace
  key(name, ...look) {
    const key = this.mark(element("button", "descent-key"), name, ...look)
    const tell = () => key.setAttribute("aria-pressed", String(!this.hidden.has(name)))
    tell()
    key.addEventListener("click", () => {
      this.hidden.delete(name) || this.hidden.add(name)
      tell()
      this.change()
    })
    return key
  }

  close() {
    clearTimeout(this.pause)
    clearTimeout(this.pointing)
    clearTimeout(this.saying)
    if (this.listening) window.Plotly.purge(this.plot)
    this.node.remove()
  }
}

function element(tag, className, text = "") {
  const node = document.createElement(tag)
  node.className = className
  node.textContent = text
  return node
}
