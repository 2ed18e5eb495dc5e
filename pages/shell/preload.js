// Fetches a script before it is needed; who needs it finds it by its address.

export default function ({ data }) {
  const src = new TextDecoder().decode(data)
  if (document.querySelector(`script[src="${src}"]`)) return
  document.head.append(Object.assign(document.createElement("script"), { src, onerror: (event) => event.target.remove() }))
}
