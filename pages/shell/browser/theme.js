// Whether the page is light or dark now, and each change of that.

export function shownTheme(changed) {
  const app = document.querySelector(".stApp")
  const read = () => (getComputedStyle(app).colorScheme === "dark" ? "dark" : "light")
  const theme = { value: read(), stop: () => watcher.disconnect() }
  const watcher = new MutationObserver(() => {
    const now = read()
    if (now !== theme.value) changed((theme.value = now))
  })
  watcher.observe(app, { attributes: true })
  return theme
}
