// Words and figures that the server writes as HTML. What has not changed stays the same node, so that a screen reader is told of
// changes alone, and a selection stays.

export class Text {
  constructor(root) {
    this.root = root
  }

  show({ name }) {
    this.name = name
  }

  receive({ text }) {
    if (text[this.name] === this.text) return
    this.text = text[this.name]
    const made = document.createElement("template")
    made.innerHTML = this.text
    renew(this.root, made.content)
  }
}

function renew(old, made) {
  const [before, after] = [[...old.childNodes], [...made.childNodes]]
  after.forEach((node, index) => {
    const there = before[index]
    if (!there) old.append(node)
    else if (there.nodeName !== node.nodeName) there.replaceWith(node)
    else if (node.nodeType === Node.TEXT_NODE) there.data === node.data || (there.data = node.data)
    else {
      for (const { name } of [...there.attributes]) if (!node.hasAttribute(name)) there.removeAttribute(name)
      for (const { name, value } of node.attributes) if (there.getAttribute(name) !== value) there.setAttribute(name, value)
      renew(there, node)
    }
  })
  for (const node of before.slice(after.length)) node.remove()
}
