"""The embedded people: drawn from anthropometric norms, moved by their own muscles, painted."""

from mien.data.sources.procedural.build import build_procedural

__all__ = ["build_procedural"]
