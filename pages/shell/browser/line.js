// The live line: one WebSocket for each view of the server's, shared by all parts of the page that show it. The server sends the next
// picture when the last one has been drawn; what a person presses goes up at once.

import { shownTheme } from "./theme.js"

const lines = new Map() // key -> Line
const AGAIN = [250, 500, 1000, 2000, 4000] // milliseconds until the next try to connect
const UNKNOWN = 4404 // the server's word for a key that it does not have: it was started anew, or has let the tab go
const SLOW = 2000 // milliseconds after which the next picture is asked for, drawn or not
const STATE = ["hidden", "theme", "page", "back"] // what the browser tells of itself; all else was pressed
const SILENCE = 15000 // milliseconds without a word from the server after which the line counts as lost

export class Line {
  static of({ url, key }) {
    if (!lines.has(key)) lines.set(key, new Line(url, key))
    return lines.get(key)
  }

  constructor(url, key) {
    this.url = new URL(url, location.href.replace(/^http/, "ws"))
    this.key = key
    this.parts = new Set()
    this.figures = [] // the texts of the last picture
    this.tries = 0
    this.waiting = [] // what was pressed while there was no connection
    this.opened = new Promise((resolve) => (this.tellOpened = resolve))
    this.tellVisibility = () => this.send("hidden", document.hidden)
    document.addEventListener("visibilitychange", this.tellVisibility)
    this.tellBack = () => this.send("back")
    window.addEventListener("popstate", this.tellBack, { capture: true }) // before Streamlit asks for that address
    this.theme = shownTheme((theme) => this.send("theme", theme))
    this.connect()
  }

  connect() {
    const socket = (this.socket = new WebSocket(this.url))
    socket.binaryType = "arraybuffer"
    socket.onopen = () => {
      this.figures = []
      this.pressed = 0
      socket.send(JSON.stringify({ key: this.key, theme: this.theme.value, hidden: document.hidden }))
      this.tellOpened()
    }
    socket.onmessage = ({ data }) => this.receive(data)
    socket.onclose = ({ code }) => this.lost(code)
    this.listen()
  }

  // A line that was cut without a word is found by its silence
  listen() {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => (document.hidden ? this.listen() : this.socket.close()), SILENCE)
  }

  async receive(data) {
    this.listen()
    if (!data.byteLength) return // a sign of life
    this.tries = 0
    this.waiting.splice(0).forEach((message) => this.press(message))
    const [head, ...figures] = new TextDecoder().decode(data).split("\n")
    const before = this.last?.names ?? []
    this.last = JSON.parse(head)
    this.last.current = this.last.heard === this.pressed // made after all that was pressed had been heard
    const place = (index) => before.indexOf(this.last.names[index])
    this.figures = figures.map((figure, index) => figure || this.figures[place(index)]) // an empty one has not changed
    for (const part of this.parts) this.show(part)
    const socket = this.socket
    const drawn = Promise.allSettled([...this.parts].map((part) => part.drawn))
    if (!document.hidden) await Promise.race([drawn, new Promise((resolve) => setTimeout(resolve, SLOW))])
    if (socket.readyState === WebSocket.OPEN) socket.send('{"do":"drawn"}')
  }

  send(name, value = null) {
    const message = JSON.stringify({ do: name, value })
    const open = this.socket.readyState === WebSocket.OPEN
    if (!STATE.includes(name)) open ? this.press(message) : this.waiting.push(message)
    else if (open) this.socket.send(message)
  }

  press(message) {
    this.pressed++
    this.socket.send(message)
  }

  lost(code) {
    clearTimeout(this.silence)
    if (!this.parts.size) return
    ;[...this.parts].find((part) => part.lost)?.lost(code === UNKNOWN) // one says it, and asks
    const wait = AGAIN[Math.min(this.tries++, AGAIN.length - 1)]
    this.retry = setTimeout(() => this.connect(), wait)
  }

  // A page that is about to go gets no picture of the next one's
  show(part) {
    if (this.last?.view === part.view) part.receive?.(this.last, this.figures)
  }

  join(part) {
    this.parts.add(part)
    this.show(part)
  }

  leave(part) {
    this.parts.delete(part)
    if (this.parts.size) return
    clearTimeout(this.retry)
    clearTimeout(this.silence)
    document.removeEventListener("visibilitychange", this.tellVisibility)
    window.removeEventListener("popstate", this.tellBack, { capture: true })
    this.theme.stop()
    lines.delete(this.key)
    this.socket.close()
  }
}
