"""The ground floor: errors, atomic writes, manifests, ids, progress. Imports nothing else of the package."""
