// Fetches a script before it is needed; who needs it finds it by its address.

export default function ({ data }) {
  if (document.querySelector(`script[src="${data}"]`)) return
  document.head.append(Object.assign(document.createElement("script"), { src: data, onerror: (event) => event.target.remove() }))
}
