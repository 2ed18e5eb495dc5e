// A chart as a picture of its own: with the title and the legend that stand around it on the page, and on the page's ground.

const HEADING = 44 // pixels above the plot, for title and legend
const SHARPNESS = 2 // pixels of the picture for one of the page

export const ICON = {
  whole: { width: 24, height: 24, path: "M3 3h7v2H5v5H3zM14 3h7v7h-2V5h-5zM3 14h2v5h5v2H3zM19 14h2v7h-7v-2h5z" },
  copy: {
    width: 24, height: 24,
    path: "M8 1h11a2 2 0 0 1 2 2v13h-2V3H8zM5 5h9a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2zm0 2v14h9V7z",
  },
}

// The PNG, a Blob, of a figure that is `width` pixels wide on the page, with these `axes` and `traces` as the page shows them
export async function picture({ layout }, traces, axes, width, family) {
  const { title, legend, margin, height, font, ...rest } = structuredClone(layout)
  const page = getComputedStyle(document.querySelector(".stApp"))
  const shown = {
    ...rest, ...axes, width, height: height + HEADING, margin: { ...margin, t: margin.t + HEADING },
    paper_bgcolor: page.backgroundColor,
    font: { ...font, family },
    title: { text: title.text, x: 0, y: 1, xanchor: "left", yanchor: "top", pad: { l: 14, t: 14 }, font: { size: 16, color: page.color } },
    legend: { ...legend, x: 1, xanchor: "right", y: 1, yanchor: "bottom" },
  }
  const size = { format: "png", width, height: shown.height, scale: SHARPNESS, imageDataOnly: true }
  const bytes = atob(await window.Plotly.toImage({ data: traces, layout: shown }, size))
  return new Blob([Uint8Array.from(bytes, (letter) => letter.charCodeAt(0))], { type: "image/png" })
}

// Hands a Blob, or the promise of one, to the person as a file
export async function save(made, name) {
  const address = URL.createObjectURL(await made)
  Object.assign(document.createElement("a"), { href: address, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(address), 1000)
}

// Puts a picture into the clipboard; whether the browser lets a page do that. The promise goes along: some want it within the click
export async function copyPicture(made) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": made })])
    return true
  } catch {
    return false
  }
}
