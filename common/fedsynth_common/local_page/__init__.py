"""A read-only page for a browser of this computer, and its facts for monitors; both ends have one.

Starlette and uvicorn, which Flower brings, serve it. Whoever imports this package has Flower.
"""
