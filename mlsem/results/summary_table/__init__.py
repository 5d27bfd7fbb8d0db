"""Several fits side by side, as papers show them: `records`, `rows` of parameters, what stands
`below` them, and the `result`."""
