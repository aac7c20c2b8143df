"""Pages that anybody can open: one HTML file each, with figures, tables and photos inside.

``page`` holds the building blocks, ``figures`` draws them; their libraries (extra ``report``) load when used.
"""
