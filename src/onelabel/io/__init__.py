"""The ground floor: errors, atomic writes, manifests, ids and progress. Imports nothing else of the package."""
