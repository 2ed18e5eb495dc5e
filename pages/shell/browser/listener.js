// Streamlit's part of the page is drawn anew when what it shows of the run has changed: this part hears it from the line and asks.

const PATIENCE = 5000 // milliseconds after which a page that has not come is asked for again

export class Listener {
  show({ outline, drawing }, trigger) {
    this.outline = outline
    this.trigger = trigger
    this.asked = undefined
    if (drawing !== this.drawing) this.line.send("page", (this.drawing = drawing))
    this.line.show(this)
  }

  receive({ outline, drawing }) {
    if (this.drawing === undefined) return // it joins the line before it is shown
    if (this.told !== this.line.socket) this.line.send("page", this.drawing) // what was said before the line was open is lost
    this.told = this.line.socket
    if (drawing !== this.drawing) this.line.send("page", this.drawing) // a new connection does not know
    else if (outline !== this.outline && !(performance.now() < this.asked + PATIENCE)) {
      this.asked = performance.now()
      this.trigger("outdated", true)
    }
  }
}
