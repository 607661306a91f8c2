"""The queue that all analysts share: alerts and watches' matches, folded into rows, disposed of by a key."""
