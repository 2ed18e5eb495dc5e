// Between full draws, lines, heatmaps and pictures that only moved are written straight into the elements that Plotly made for
// them: a Plotly.react of every panel, ten times a second, takes more than a core. Plotly's own state stays behind meanwhile,
// so the panel under the pointer, and every panel once its run stands still, is drawn in full.

const ARRAYS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array }

const moves = (trace) => trace.type === "heatmap" || trace.mode === "lines"

// All of a figure that repainting cannot change: while this text stays the same, repainting will do
export function frame({ data, layout }) {
  const moving = (trace) => (!moves(trace) ? {} : trace.type === "heatmap" ? { z: 0 } : { x: 0, y: 0 })
  const fixed = data.map((trace) => ({ ...trace, ...moving(trace), customdata: 0, hovertext: 0 }))
  return JSON.stringify([fixed, layout], (key, value) => (key === "source" || key === "path" ? 0 : value))
}

// False when Plotly's elements are not as expected; nothing is changed then
export function repaint(plot, { data, layout }) {
  const axes = plot._fullLayout
  const traces = [...plot.querySelectorAll(".scatterlayer > .trace, .heatmaplayer > .hm")].map((node) => {
    const trace = data[node.__data__[0].trace.index]
    return !moves(trace) ? () => {} : trace.type === "heatmap" ? heatmap(node, trace) : line(node, trace, axes)
  })
  const steps = [...traces, pictures(plot, layout.images ?? []), shapes(plot, layout.shapes ?? [], axes)]
  if (steps.includes(null)) return false
  for (const step of steps) step()
  return true
}

function line(node, trace, axes) {
  const strokes = node.querySelectorAll(".js-line")
  const fills = node.querySelectorAll(".js-fill")
  if (strokes.length !== 1 || fills.length !== (trace.fill === "toself" ? 1 : 0)) return null
  const [xAxis, yAxis] = [axisOf(axes, trace.xaxis ?? "x"), axisOf(axes, trace.yaxis ?? "y")]
  const [x, y] = [values(trace.x), values(trace.y)]
  let path = ""
  let pen = "M"
  for (let index = 0; index < x.length; index++) {
    const known = Number.isFinite(y[index])
    if (known) path += `${pen}${tenth(xAxis.c2p(x[index]))},${tenth(yAxis.c2p(y[index]))}`
    pen = known ? "L" : "M"
  }
  return () => {
    strokes[0].setAttribute("d", path || "M0,0")
    if (fills.length) fills[0].setAttribute("d", `${path}Z`)
  }
}

function heatmap(node, trace) {
  const image = node.querySelector("image")
  if (!image || !trace.z.shape) return null
  const [height, width] = trace.z.shape.split(", ").map(Number)
  return () => setSource(image, heatmapPicture(values(trace.z), width, height, trace))
}

function heatmapPicture(z, width, height, { zmin, zmax, colorscale }) {
  const canvas = document.createElement("canvas")
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext("2d")
  const picture = context.createImageData(width, height)
  const pixels = new Uint32Array(picture.data.buffer)
  const colors = palette(colorscale)
  for (let row = 0; row < height; row++) {
    const start = (height - 1 - row) * width // the first row of z lies at the bottom
    for (let column = 0; column < width; column++) {
      const share = (z[row * width + column] - zmin) / (zmax - zmin)
      if (share === share) pixels[start + column] = colors[Math.max(0, Math.min(255, Math.round(share * 255)))]
    }
  }
  context.putImageData(picture, 0, 0)
  return canvas.toDataURL()
}

// 256 little-endian RGBA colours of a scale of hex stops
function palette(colorscale) {
  const stops = colorscale.map(([place, color]) => [place, [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16))])
  return Uint32Array.from({ length: 256 }, (_, index) => {
    const place = index / 255
    const right = Math.max(1, stops.findIndex(([end]) => end >= place))
    const [[start, from], [end, to]] = [stops[right - 1], stops[right]]
    const share = end > start ? (place - start) / (end - start) : 1
    const [red, green, blue] = from.map((channel, at) => Math.round(channel + share * (to[at] - channel)))
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0
  })
}

function pictures(plot, images) {
  const nodes = plot.querySelectorAll(".imagelayer image")
  if (nodes.length !== images.length) return null
  return () => nodes.forEach((node, index) => node._imgSrc !== images[index].source && setSource(node, images[index].source))
}

function setSource(node, source) {
  node.setAttributeNS("http://www.w3.org/1999/xlink", "xlink:href", source)
  node._imgSrc = source // where Plotly looks whether it has to change anything
}

function shapes(plot, all, axes) {
  const wanted = all.filter((shape) => shape.type === "path")
  const nodes = plot.querySelectorAll(".shapelayer path")
  if (!wanted.length) return () => {}
  if (nodes.length !== all.length || wanted.length !== all.length) return null
  return () => nodes.forEach((node, index) => node.setAttribute("d", inPixels(all[index], axes)))
}

function inPixels({ path, xref, yref }, axes) {
  const [xAxis, yAxis] = [axisOf(axes, xref), axisOf(axes, yref)]
  const place = (_, x, y) => `${tenth(xAxis._offset + xAxis.c2p(+x))},${tenth(yAxis._offset + yAxis.c2p(+y))}`
  return path.replace(/([\d.]+),([\d.]+)/g, place)
}

function values(array) {
  if (!array.bdata) return array
  const text = atob(array.bdata)
  const bytes = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index)
  return new ARRAYS[array.dtype](bytes.buffer)
}

const axisOf = (axes, name) => axes[name.replace(/^([xy])/, "$1axis")]
const tenth = (pixels) => Math.round(pixels * 10) / 10
