"""A page of HTML that stands alone: plain records in, one file that needs no network out.

`records` are what a page is made of, `render` makes HTML of them with `page.css` and `page.js`.
It knows nothing of models, and may import what `report` may.
"""
