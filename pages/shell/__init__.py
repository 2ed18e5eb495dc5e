"""What every page stands in: the live line, the browser's parts, who a browser is, controls."""
