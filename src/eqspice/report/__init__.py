"""Pictures and pages: of a run from its folder, of transistors and cells from a preset."""
