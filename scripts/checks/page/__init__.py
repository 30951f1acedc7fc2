"""The page in a large cluster: what it costs a browser, and how soon it shows something."""
