"""What the console knows and decides, without a window: results, columns, pivots, wording, what is kept on disk.

No Qt in here (import-linter holds that), so that everything of weight is tested without a display.
"""
